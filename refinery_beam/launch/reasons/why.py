"""`why`: a hit or a miss, and for a miss what differs from the nearest instance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from refinery_beam import __version__, locations
from refinery_beam.cache import Found
from refinery_beam.cache.instances import key_name_of, short_key
from refinery_beam.cache.journal.ask import newest_rows
from refinery_beam.errors import RefineryError
from refinery_beam.identity import LAW_VERSION, value_digest
from refinery_beam.job.versions import RECORDED, package_version
from refinery_beam.launch.cached import name_of
from refinery_beam.launch.options import Options, keywords
from refinery_beam.launch.prepare import STORAGE_VERSION, Prepared, prepare
from refinery_beam.launch.reasons.difference import Difference, said
from refinery_beam.launch.reasons.inputs import input_differences
from refinery_beam.launch.reasons.nearest import Stored, find_nearest
from refinery_beam.launch.run import CONTRACT
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.masking import mask
from refinery_beam.recipe import canonical, load_recipe


@dataclass(frozen=True, kw_only=True)
class WhyResult:
    """Why a run would be a ``hit`` or a ``miss`` (or finds a ``damaged`` instance, which it builds again).

    `instance` is the instance of a hit, or the nearest one, which a miss was compared with ('' where the cache is empty); `nearest` is its
    key. `differences` are what a miss is made of, and `notes` what cannot be known of them. As text, one sentence a line.
    """

    status: Literal["hit", "miss", "damaged"]
    recipe: str
    path: str
    recipe_hash: str
    input_hash: str
    seed: int
    records_in: int
    instance: str = ""
    nearest: str = ""
    differences: tuple[Difference, ...] = ()
    notes: tuple[str, ...] = ()

    def sentences(self) -> list[str]:
        """The differences in words, and then the notes."""
        return [*(d.sentence for d in self.differences), *self.notes]

    @property
    def summary(self) -> str:
        """The result in one line."""
        if self.status == "hit":
            what = f"the recipe means the same, and its {self.records_in:,} files, seed and codecs are those of {self.instance}"
            return f"hit: {what}"
        if self.status == "damaged":
            return f"damaged: {self.path} is not whole, and is built again"
        if not self.instance:
            return "miss: the cache holds no instance to compare with"
        return f"miss: compared with {self.nearest}, the nearest instance ({self.instance})"

    def to_dict(self) -> dict[str, Any]:
        """The object `why --json` prints (contract 1)."""
        return {
            "contract": CONTRACT,
            "status": self.status,
            "instance": self.path,
            "recipe": self.recipe,
            "recipe_hash": self.recipe_hash,
            "input_hash": self.input_hash,
            "seed": self.seed,
            "records_in": self.records_in,
            "compared_with": self.instance or None,
            "differences": [d.to_dict() for d in self.differences],
            "notes": list(self.notes),
            "summary": self.summary,
        }

    def __str__(self) -> str:
        return "\n".join([self.summary, *(f"  {sentence}" for sentence in self.sentences())])


@keywords(Options)
def why(recipe: StrPath, options: Options) -> WhyResult:
    """Say why a run of a recipe would be a hit, or a miss: what differs from the nearest instance in the cache roots, field by field and
    file by file. The nearest is one of a recipe of the same name, of which the fewest parts differ, the newest of those. Builds nothing.

    What an instance does not hold, as the files in those of format 1, is in ``notes``, and not guessed.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> print(rb.why("recipe.yaml"))                                     # doctest: +SKIP
    miss: compared with 3fa985b1-8c11a0e2-0, the nearest instance (/data/cache/instances/...)
      Splits.ratios.train changed from 0.7 to 0.8 (recipe.yaml:11:20)
    """
    return why_with(recipe, Settings.of(options))


def why_with(recipe: StrPath, settings: Settings) -> WhyResult:
    """`why` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        prepared = prepare(recipe, settings)
        return reasons(prepared, prepared.lookup())


def reasons(prepared: Prepared, found: Found) -> WhyResult:
    """The result of `why` for a prepared recipe and what the cache holds of it."""
    key = prepared.key
    head: dict[str, Any] = {
        "recipe": prepared.recipe.name,
        "path": prepared.location if found.manifest is None else found.manifest.location,
        "recipe_hash": key.recipe_hash,
        "input_hash": key.input_hash,
        "seed": key.seed,
        "records_in": prepared.index.records_in,
    }
    if found.manifest is not None:
        at = key_name_of(found.manifest.location)
        hit: dict[str, Any] = {"instance": found.manifest.location, "nearest": short_key(at[1]) if at else ""}
        return WhyResult(status="hit", notes=_only_words(prepared, at), **hit, **head)
    if found.damage:
        return WhyResult(status="damaged", notes=(found.damage,), **head)
    stored = find_nearest(prepared)
    if stored is None:
        return WhyResult(status="miss", **head)
    differences, notes = compare(prepared, stored)
    name = name_of(stored.cached)
    if name and name != prepared.recipe.name:
        notes = [f"the nearest instance is that of a recipe called {name}; none is of one called {prepared.recipe.name}", *notes]
    nearest = short_key(stored.cached.key_name)
    return WhyResult(
        status="miss", instance=stored.manifest.location, nearest=nearest, differences=tuple(differences), notes=tuple(notes), **head
    )


def _only_words(prepared: Prepared, at: tuple[str, str] | None) -> tuple[str, ...]:
    """Of a hit: that the recipe's text is another than when the instance was built, if the journal knows that."""
    if at is None or not prepared.recipe.text:
        return ()
    for row in newest_rows(at[0], at[1], ["status", "recipe_text", "started"]):
        if row["status"] == "built" and row["recipe_text"]:
            if row["recipe_text"] == mask(prepared.recipe.text):
                return ()
            when = row["started"].strftime("%Y-%m-%d %H:%M UTC")
            return (f"the recipe's text is another than that of {when}, and means the same: comments, order or spelling changed",)
    return ()


def compare(prepared: Prepared, stored: Stored) -> tuple[list[Difference], list[str]]:
    """Every difference between a prepared recipe and an instance, and what cannot be known."""
    manifest, key = stored.manifest, prepared.key
    found: list[Difference] = []
    notes: list[str] = []
    if manifest.seed != key.seed:
        settings = prepared.settings
        at = "--seed" if settings.seed is not None else prepared.recipe.at(("seed",))
        words = f"the seed changed from {manifest.seed} to {key.seed} ({at})"
        found.append(Difference(part="seed", change="changed", name="seed", before=manifest.seed, after=key.seed, at=at, sentence=words))
    if manifest.recipe_hash != key.recipe_hash:
        found += _overlays(prepared, manifest.raw.get("recipe_digest"))
        found += [_with_overlay(d, prepared) for d in stored.differences]
        if stored.problem:
            notes.append(stored.problem)
        found += version_differences(prepared, manifest.raw)
        found += _related(prepared, manifest.raw, notes)
        if not found and not notes:
            found.append(_release(manifest.raw))
    if manifest.input_hash != key.input_hash:
        has_table = any(s.label_from is not None for s in prepared.recipe.model.Input.sources)
        files, unknown = input_differences(manifest, prepared.index, has_table=has_table)
        found += files
        notes += unknown
        if not files and not unknown:
            notes.append("the files are the same by name, content and label; something else of the input is not")
    return found, notes


def _overlays(prepared: Prepared, digest: Any) -> Iterator[Difference]:
    """The overlays that an instance was made with, where they can be proved: the recipe of now with them means what the instance's did."""
    recipe, applied = prepared.recipe, list(prepared.recipe.overlays)
    for names in ([], *([name] for name in recipe.model.overlays)):
        if names == applied:
            continue
        try:
            other = load_recipe(recipe.path, text=recipe.text or None, overlays=names, variables=recipe.variables)
            same = value_digest("recipe", canonical(other, prepared.plugin)) == digest
        except RefineryError:
            continue
        if same:
            then, now = (f"with the overlay {' and '.join(n)}" if n else "without an overlay" for n in (names, applied))
            yield Difference(
                part="recipe",
                change="changed",
                name="overlays",
                before=names,
                after=applied,
                overlay=applied[-1] if applied else "",
                sentence=f"this run is {now}; the instance was made {then}",
            )
            return


def _with_overlay(difference: Difference, prepared: Prepared) -> Difference:
    """The same difference with the overlay that the value of now comes from."""
    section = difference.name.partition(".")[0]
    declared: Mapping[str, Mapping[str, Any]] = prepared.recipe.model.overlays
    names = [name for name in prepared.recipe.overlays if section in declared.get(name, {})]
    if not names or difference.change == "removed":
        return difference
    return replace(difference, overlay=names[-1], sentence=f"{difference.sentence}, by the overlay {names[-1]}")


def version_differences(prepared: Prepared, raw: Mapping[str, Any]) -> Iterator[Difference]:
    """Ops, laws, codecs and plugins of other versions."""
    plan, identity = prepared.plan, raw.get("identity", {})
    before: Mapping[str, int] = raw.get("op_versions", {})
    for name, version in plan.op_versions.items():
        if name in before and before[name] != version:
            what, _, word = name.rpartition(":")
            label = f"the op {word}" if not what else f"{word} of {what}"
            words = f"{label} is version {version} here, and was version {before[name]}"
            yield Difference(
                part="op" if not what else "law", change="changed", name=name, before=before[name], after=version, sentence=words
            )
    for name, here, words in (
        ("law", LAW_VERSION, "the law of hashing and random numbers"),
        ("storage", STORAGE_VERSION, "how rows become files"),
    ):
        if name in identity and identity[name] != here:
            sentence = f"{words} is version {here} in this release, and was {identity[name]}"
            yield Difference(part="law", change="changed", name=name, before=identity[name], after=here, sentence=sentence)
    if (plan.decodes or plan.selects_by_files) and raw.get("codec_fingerprint") != prepared.fingerprint:
        yield _codecs(prepared, raw)
    plugin = raw.get("plugin", {})
    if plugin.get("version") != plan.plugin_version:
        words = f"the plugin {plan.plugin} is version {plan.plugin_version} here, and was version {plugin.get('version')}"
        yield Difference(
            part="plugin", change="changed", name=plan.plugin, before=plugin.get("version"), after=plan.plugin_version, sentence=words
        )
    yield from _sources("third-party code", plugin.get("sources", {}), {n: dict(o) for n, o in plan.plugin_sources.items()})
    if "loaders" in identity:
        yield from _sources("loader", identity["loaders"], dict(plan.loader_versions))


def _codecs(prepared: Prepared, raw: Mapping[str, Any]) -> Difference:
    """What decodes, resizes or encodes otherwise, as far as the manifest states its parts, and whose versions are others."""
    was: Mapping[str, str] = raw.get("codec_parts", {})
    now = prepared.codec_parts()
    other = sorted(name for name in was.keys() | now.keys() if was.get(name) != now.get(name)) if was and now else []
    recorded = raw.get("environment", {})
    versions = {**recorded.get("packages", {}), **recorded.get("codecs", {})}
    here = {**{name: package_version(name) or "" for name in RECORDED}, **prepared.plugin.kind.codecs()}
    moved = [f"{n} {versions[n]} -> {here[n] or 'none'}" for n in sorted(versions) if n in here and versions[n] != here[n]]
    parts = f" in {', '.join(other)}" if other else ""
    because = f"; other versions: {', '.join(moved)}" if moved else "; no recorded version is another, so it is another build of one"
    return Difference(
        part="codec",
        change="changed",
        name=other[0] if other else "codecs",
        before={n: versions[n] for n in sorted(versions) if n in here and versions[n] != here[n]},
        after={n: here[n] for n in sorted(versions) if n in here and versions[n] != here[n]},
        count=max(1, len(other)),
        examples=tuple(other),
        sentence=f"the codecs of this machine give other results{parts}{because}",
    )


def _sources(what: str, before: Mapping[str, Any], after: Mapping[str, Any]) -> Iterator[Difference]:
    for name in sorted(before.keys() | after.keys()):
        was, now = before.get(name), after.get(name)
        if was == now:
            continue
        change: Literal["changed", "added", "removed"] = "added" if was is None else "removed" if now is None else "changed"
        words = {"added": "is used now", "removed": "is used no more", "changed": f"is another: {_origin(now)}, and was {_origin(was)}"}[
            change
        ]
        yield Difference(part="plugin", change=change, name=name, before=was, after=now, sentence=f"the {what} {name} {words}")


def _origin(value: Any) -> str:
    if isinstance(value, Mapping):
        return f"version {value.get('version')}, source {str(value.get('digest', ''))[:12]}"
    return f"version {value}"


def _related(prepared: Prepared, raw: Mapping[str, Any], notes: list[str]) -> Iterator[Difference]:
    """Statistics that are borrowed from another instance, and instances that assertions compare with."""
    identity = raw.get("identity", {})
    compared = {str(i): c.identity() for i, c in prepared.comparisons.items()}
    for part, name, now, words in (
        ("statistics", "borrowed", prepared.plan.borrowed(), "borrows statistics of"),
        ("comparison", "compared", compared, "compares with"),
    ):
        if name not in identity:
            if now:
                notes.append(f"whether it {words} the same instance is not known: the instance states no such thing")
            continue
        before: Mapping[str, Mapping[str, Any]] = identity[name]
        for step in sorted(before.keys() & now.keys()):
            if dict(before[step]) != dict(now[step]):
                was, new = _instance(before[step]), _instance(now[step])
                sentence = f"{step if part == 'statistics' else 'an assertion'} {words} another instance: {new}, and it was {was}"
                yield Difference(
                    part="statistics" if part == "statistics" else "comparison",
                    change="changed",
                    name=step,
                    before=dict(before[step]),
                    after=dict(now[step]),
                    sentence=sentence,
                )


def _instance(origin: Mapping[str, Any]) -> str:
    return f"{origin['recipe_hash'][:8]}-{origin['input_hash'][:8]}-{origin['seed']}"


def _release(raw: Mapping[str, Any]) -> Difference:
    was = str(raw.get("refinery_beam", "unknown"))
    words = f"everything that the instance states is the same; refinery-beam {said(was)} made it, and this is {__version__}"
    return Difference(part="release", change="changed", name="refinery-beam", before=was, after=__version__, sentence=words)
