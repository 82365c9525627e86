"""`run`: look in the cache, and build what is not there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any

from refinery_beam import locations
from refinery_beam.cache import Manifest, home, resume_dir, sweep, sweep_store
from refinery_beam.errors import RefineryError
from refinery_beam.index import Selection
from refinery_beam.launch.ahead import while_hashing
from refinery_beam.launch.history.record import Record
from refinery_beam.launch.options import Options, keywords
from refinery_beam.launch.own_recipe import find_own, is_gone
from refinery_beam.launch.prepare import GivenText, Prepared, prepare
from refinery_beam.launch.report import PAGE, page_of
from refinery_beam.launch.roots import note_use
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.discovery import read_plugin_paths
from refinery_beam.plugins.modules import PathCode
from refinery_beam.reading.instance import Instance, Status
from refinery_beam.resume.parts import discard, kept_for_next
from refinery_beam.resume.reused import Reused
from refinery_beam.runners.dataflow.options import require_extra

CONTRACT = 1
NOTHING_LISTED = Selection()
NOTHING_REUSED = Reused()


class RunResult(Instance):
    """The instance that a run gave, and how: `status` is ``built`` or ``hit``, or ``opened`` for the recipe in an instance whose raw data
    are gone. `seconds` is wall time, `notes` are what listing the sources noticed, `pictures` the files of the recipe's reporting pictures
    by name, `page` the location of report.html ('' where it could not be made). `selection` is what listing left out, and `warnings`
    (code, message) are those of the instance and of the selection. `reused` is what an earlier run of the same key, which did not come to
    its end, had finished.
    """

    def __init__(
        self,
        manifest: Manifest,
        *,
        status: Status,
        seconds: float,
        notes: tuple[str, ...] = (),
        selection: Selection = NOTHING_LISTED,
        selection_warnings: tuple[tuple[str, str], ...] = (),
        pictures: Mapping[str, str] | None = None,
        page: str = "",
        code: tuple[PathCode, ...] = (),
        reused: Reused = NOTHING_REUSED,
    ) -> None:
        super().__init__(manifest, code=code)
        self.reused = reused
        self.status = status
        self.seconds = seconds
        self.notes = notes
        self.selection = selection
        self.warnings = (*((w["code"], w["message"]) for w in manifest.warnings), *selection_warnings)
        self.pictures = dict(pictures or {})
        self.page = page

    def to_dict(self) -> dict[str, Any]:
        """The object `run --json` prints (contract 1)."""
        raw = self.manifest.raw
        return {
            "contract": CONTRACT,
            "status": self.status,
            "instance": self.path,
            "recipe_hash": raw["recipe_hash"],
            "input_hash": raw["input_hash"],
            "seed": raw["seed"],
            "logical_digest": raw["logical_digest"],
            "files_digest": raw["files_digest"],
            "counts": self.counts,
            "ledger": dict(raw["ledger"]),
            "warnings": said(self.warnings),
            "selection": self.selection.to_dict(),
            "pictures": dict(self.pictures),
            "report": self.page or None,
            "seconds": round(self.seconds, 3),
            **({"reused": self.reused.to_dict()} if self.reused else {}),
        }


@keywords(Options)
def run(recipe: StrPath, options: Options) -> RunResult:
    """Make the instance of a recipe, or find it; gives the instance.

    The same recipe over the same files with the same seed gives the same bytes, whatever the workers, the mode and the engine.
    `refinery_beam.Options` says what each option means. Raises RefineryError.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> data = rb.run("recipe.yaml", cache_root="cache")                 # doctest: +SKIP
    >>> data.status, data.counts, data["train"][0]["label"]              # doctest: +SKIP
    ('built', {'train': 2800, 'val': 600, 'test': 600}, 'cat')
    """
    return run_with(recipe, Settings.of(options))


def run_with(recipe: StrPath, settings: Settings) -> RunResult:
    """`run` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        return run_recipe(recipe, settings)


def run_recipe(
    recipe: StrPath,
    settings: Settings,
    *,
    verb: str = "run",
    given: GivenText | None = None,
    agreed: Callable[[Prepared], None] = lambda prepared: None,
) -> RunResult:
    """Run a recipe, or the text that is `given` for it; `agreed` raises where the caller does not want what was prepared."""
    begun = monotonic()
    settings.check()
    if settings.runner == "dataflow":
        require_extra()
    record = Record(recipe, settings, verb=verb, text=given.text if given is not None else None)
    settings = replace(settings, meter=record.meter)
    with record.ends():
        try:
            with settings.phase("prepare"):
                prepared = prepare(recipe, settings, given=given, hashers=partial(while_hashing, settings))
        except RefineryError as error:
            if given is not None:
                raise
            opened = _opened(recipe, settings, error, begun)
            record.ended("opened", opened.manifest)
            return opened
        notes = listing_notes(prepared)
        record.prepared(prepared)
        agreed(prepared)
        status, manifest, reused = _found_or_built(prepared, record)
        note_use(settings, manifest.location)
        pictures: Mapping[str, str] = {}
        if prepared.recipe.model.Visualizations:
            # A door: few recipes have pictures.
            from refinery_beam.launch.pictures import draw_pictures

            with settings.phase("pictures"):
                drawn = draw_pictures(prepared.recipe, prepared.plugin, manifest, settings)
            pictures, notes = drawn.pictures, (*notes, *drawn.notes)
        with settings.phase("report"):
            page, unmade = page_of(prepared.recipe, manifest, settings)
    record.ended(status, manifest)
    code = read_plugin_paths(settings.plugin_paths)
    return RunResult(
        manifest,
        status=status,
        seconds=monotonic() - begun,
        notes=(*notes, *unmade),
        page=page,
        selection=prepared.index.selection,
        selection_warnings=prepared.index.selection_warnings,
        pictures=pictures,
        code=code,
        reused=reused,
    )


def _tidy(prepared: Prepared) -> None:
    """Remove what killed runs left of an instance that is there: a hit costs a listing of an empty folder for it, on a store too."""
    root = prepared.settings.root
    if prepared.own is not None:
        return
    sweep(home(root), prepared.key)
    if locations.is_url(root):
        sweep_store(root, prepared.key)
    else:
        discard(resume_dir(locations.absolute(root), prepared.key))


def _found_or_built(prepared: Prepared, record: Record) -> tuple[Status, Manifest, Reused]:
    settings = prepared.settings
    with settings.phase("lookup"):
        found = prepared.lookup()
    if found.manifest is not None:
        _tidy(prepared)
        return "hit", found.manifest, NOTHING_REUSED
    if found.damage:
        settings.tell(f"rebuilding: {found.damage}")
    record.building()
    # The door behind a miss: a hit pays for nothing that is imported there.
    from refinery_beam.launch.build.build import build
    from refinery_beam.launch.estimate import warn_of_short_disk

    warn_of_short_disk(prepared)
    try:
        built = build(prepared)
    except RefineryError as error:
        if kept := kept_for_next(resume_dir(settings.root, prepared.key)):
            error.add_note(kept)
        raise
    record.reused(built.reused)
    return built


def said(warnings: Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    """Warnings as the objects that verbs print with ``--json``."""
    return [{"code": code, "message": message} for code, message in warnings]


def _opened(recipe: StrPath, settings: Settings, error: RefineryError, begun: float) -> RunResult:
    """The instance that a recipe lies in, where the error says that its raw data are gone. Else raises the error."""
    own = find_own(recipe, settings) if is_gone(error) else None
    if own is None:
        raise error
    note = (
        f"the raw data of this dataset are not here, so they were not compared with it: {'; '.join(one.message for one in error.errors())}"
    )
    code = read_plugin_paths(settings.plugin_paths)
    location = locations.join(own.manifest.location, PAGE)
    page = location if locations.size(location) is not None else ""
    return RunResult(own.manifest, status="opened", seconds=monotonic() - begun, notes=(note,), page=page, code=code)


def listing_notes(prepared: Prepared) -> tuple[str, ...]:
    """The notes of listing, to be printed and journalled; they are in no file that has a digest: a stray file must not change one."""
    index = prepared.index
    return (*index.selection.lines(), *index.notes, *index.run_notes)
