"""Python, the packages that are needed, optional extras, codecs, plugins, and the variables that are set."""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from importlib import metadata

from packaging.requirements import Requirement

from refinery_beam import __version__
from refinery_beam.errors import PluginError, closest
from refinery_beam.job.versions import package_version
from refinery_beam.launch.checkup.rows import CheckRow
from refinery_beam.launch.options import Options
from refinery_beam.plugins.discovery import assemble, find_plugin, installed_points, plugin_names, read_plugin_paths
from refinery_beam.plugins.modules import load_path

PACKAGE = "refinery-beam"
PYTHONS = ((3, 11), (3, 14))
"""The first release of Python that is tested, and the first that is not."""

EXTRAS = {
    "dataflow": "Google Cloud Dataflow",
    "gcs": "sources and caches in Google Cloud Storage",
    "s3": "sources and caches in S3",
    "hf": "Hugging Face datasets",
    "heic": "HEIC files",
    "strict": "Input.damage: strict",
    "torch": "loaders for PyTorch",
}
"""What each optional extra is for."""

OTHER_VARIABLES = (
    "REFINERY_BEAM_ENGINES",
    "XDG_CACHE_HOME",
    "NO_COLOR",
    "TERM",
    "JAVA_HOME",
    "GOOGLE_APPLICATION_CREDENTIALS",
    "GOOGLE_CLOUD_PROJECT",
    "AWS_PROFILE",
    "AWS_REGION",
    "AWS_ENDPOINT_URL",
    "OMP_NUM_THREADS",
)
"""Variables of other programs that a run obeys, and whose values are no secrets."""


def python_rows() -> Iterator[CheckRow]:
    """The interpreter, and this package."""
    version = sys.version_info[:2]
    fits = PYTHONS[0] <= version < PYTHONS[1]
    yield CheckRow(
        kind="python",
        thing="Python",
        state="ok" if fits else "broken" if version < PYTHONS[0] else "warning",
        fact=f"{platform.python_version()} ({platform.python_implementation()}, {sys.platform}-{platform.machine()}) {sys.executable}",
        remedy="" if fits else "use Python 3.11, 3.12 or 3.13, which this release is tested on",
    )
    yield CheckRow(kind="python", thing=PACKAGE, state="ok", fact=__version__)


def package_rows() -> Iterator[CheckRow]:
    """Every package that is needed, and whether its version is one that this package takes."""
    for requirement in _requirements():
        if requirement.marker is not None:
            continue
        have, fits = _installed(requirement)
        wanted = str(requirement.specifier) or "any version"
        yield CheckRow(
            kind="package",
            thing=requirement.name,
            state="ok" if fits else "broken",
            fact=f"{have or 'not installed'} (needed: {wanted})",
            remedy="" if fits else f"pip install '{requirement.name}{requirement.specifier}'",
        )


def extra_rows() -> Iterator[CheckRow]:
    """Every optional extra, what it is for, and what of it is not there."""
    requirements = [one for one in _requirements() if one.marker is not None]
    for extra, purpose in EXTRAS.items():
        mine = [one for one in requirements if one.marker is not None and one.marker.evaluate({"extra": extra}) and one.name != PACKAGE]
        lacks = [f"{one.name}{one.specifier}" for one in mine if not _installed(one)[1]]
        have = ", ".join(f"{one.name} {_installed(one)[0]}" for one in mine if _installed(one)[1] and not one.extras)
        yield CheckRow(
            kind="extra",
            thing=extra,
            state="absent" if lacks or not mine else "ok",
            fact=f"{purpose}: " + (f"lacks {', '.join(lacks)}" if lacks else have or "there"),
            remedy=f"pip install '{PACKAGE}[{extra}]'" if lacks else "",
        )


def codec_rows(paths: Sequence[str]) -> Iterator[CheckRow]:
    """What the codecs of each kind of data do with its calibration set: the fingerprint that keys hold, and the parts that are absent."""
    try:
        kinds = {name: find_plugin(name, paths=read_plugin_paths(paths)).kind for name in plugin_names(read_plugin_paths(paths))}
    except PluginError:
        # Which plugin is broken has a row of its own; the codecs of the built-in kinds are there all the same.
        kinds = {name: plugin.kind for name, plugin in assemble(()).items()}
    for name, kind in kinds.items():
        versions = ", ".join(f"{codec} {version}" for codec, version in sorted(kind.codecs().items()) if version)
        fingerprint = kind.fingerprint(kind.policy(), kind.limits())[:16]
        yield CheckRow(kind="codecs", thing=f"fingerprint of {name}", state="ok", fact=f"{fingerprint} ({versions or 'no codec'})")
        # Kinds of other packages may have none.
        test = getattr(kind, "self_test", None)
        if test is not None:
            yield from _self_test(test())


def _self_test(parts: Mapping[str, bool]) -> Iterator[CheckRow]:
    formats = sorted(
        {part.removeprefix("decode-").partition("_")[0] for part, works in parts.items() if works and part.startswith("decode-")}
    )
    working = sum(parts.values())
    yield CheckRow(
        kind="codecs", thing="self-test", state="ok", fact=f"{working} of {len(parts)} parts work; proved to decode {', '.join(formats)}"
    )
    for part in sorted(part for part, works in parts.items() if not works):
        # Formats are optional; what is resized, converted and stored is not.
        optional = part.startswith("decode-") or part == "encode-webp"
        yield CheckRow(
            kind="codecs",
            thing=part,
            state="absent" if optional else "broken",
            fact="this build of Pillow cannot do it",
            remedy="install the Pillow wheel from PyPI, which has every codec",
        )


def plugin_rows(paths: Sequence[str]) -> Iterator[CheckRow]:
    """The built-in kinds of data, every installed plugin, and those of plugin paths: each loads, or why it does not. A broken one stops
    every run, since nobody else can say what it would mean for a recipe.
    """
    broken = False
    for point, error in installed_points():
        broken |= error is not None
        yield _plugin_row(f"{point.name} ({point.dist.name} {point.dist.version})" if point.dist else point.name, point.value, error)
    for path in paths:
        try:
            (code,) = read_plugin_paths([path])
            found = ", ".join(sorted(str(getattr(value, "name", "?")) for value, _ in load_path(code)))
            yield CheckRow(kind="plugin", thing=path, state="ok", fact=f"{found} (--plugin-path)")
        except PluginError as error:
            broken = True
            yield _plugin_row(path, "--plugin-path", error)
    if not broken:
        # Two that say the same word load one by one, and not together.
        names = plugin_names(read_plugin_paths(paths))
        yield CheckRow(kind="plugin", thing="kinds of data", state="ok", fact=", ".join(names))


def variable_rows(environment: Mapping[str, str]) -> Iterator[CheckRow]:
    """The variables that are set and obeyed; those that look like ours and are not."""
    ours = {f.metadata["help"].variable: f.name for f in fields(Options) if f.metadata["help"].variable}
    known = {*ours, *OTHER_VARIABLES}
    for name in sorted(environment):
        if name in known:
            yield CheckRow(kind="variable", thing=name, state="ok", fact=environment[name] or "(empty)")
        elif name.startswith("REFINERY_BEAM_"):
            meant = closest(name, known)
            yield CheckRow(
                kind="variable",
                thing=name,
                state="warning",
                fact="nothing obeys it",
                remedy=f"did you mean {meant}?" if meant else "unset it",
            )


def _plugin_row(thing: str, fact: str, error: PluginError | None) -> CheckRow:
    if error is None:
        return CheckRow(kind="plugin", thing=thing, state="ok", fact=fact)
    return CheckRow(kind="plugin", thing=thing, state="broken", fact=error.message, remedy=error.remedy)


def _requirements() -> list[Requirement]:
    try:
        return [Requirement(text) for text in metadata.requires(PACKAGE) or ()]
    except metadata.PackageNotFoundError:
        return []


def _installed(requirement: Requirement) -> tuple[str, bool]:
    have = package_version(requirement.name) or ""
    return have, bool(have) and requirement.specifier.contains(have, prereleases=True)
