"""`plan`: what `run` would do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from refinery_beam import locations
from refinery_beam.errors import raise_all
from refinery_beam.launch.first_files import first_remarks
from refinery_beam.launch.options import Options, keywords
from refinery_beam.launch.prepare import Prepared, at_the_rule, prepare
from refinery_beam.launch.reasons.why import WhyResult, reasons
from refinery_beam.launch.run import CONTRACT, listing_notes, said
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.planning.explain import class_table, explain
from refinery_beam.planning.splits.counts import count_classes, count_warnings, decided_by_index, empty_splits, order_warnings
from refinery_beam.planning.splits.refs import make_refs

if TYPE_CHECKING:
    from refinery_beam.launch.cost import Cost


@dataclass(frozen=True, kw_only=True)
class PlanResult:
    """What `run` would do: a ``hit`` or a ``miss``, the key and where the instance is or will be. As text, the whole plan in words.

    `classes` are the records by split and label: of a hit those of the instance, of a miss those that the splits will get, before any
    later step; None where filters before the splits decide. `damage` says why an instance that is there does not count; `notes` are what
    listing the sources noticed, and `warnings` (code, message) what of it, of the counts, and of the first files, somebody will miss.
    `why` is what a miss is made of, and `cost` about what the run would take, from a few files; None where none could be probed.
    """

    status: Literal["hit", "miss"]
    path: str
    recipe_hash: str
    input_hash: str
    seed: int
    records_in: int
    digest: str
    splits: tuple[str, ...]
    classes: Mapping[str, Mapping[str, int]] | None = None
    damage: str | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()
    why: WhyResult | None = None
    cost: Cost | None = field(default=None, compare=False)
    prepared: Prepared = field(repr=False, compare=False)

    @property
    def counts(self) -> dict[str, int] | None:
        """The sums of `classes`: records by split."""
        return None if self.classes is None else {split: sum(labels.values()) for split, labels in self.classes.items()}

    def explain(self) -> str:
        """The plan in words: sources, splits and their counts, the chain of each split, what is fitted and stored."""
        plan, sources = self.prepared.plan, [(s.name, s.type) for s in self.prepared.index.sources]
        return explain(plan, records=self.records_in, sources=sources, counts=class_table(self.classes))

    def to_dict(self) -> dict[str, Any]:
        """The object `plan --json` prints (contract 1)."""
        plan = self.prepared.plan
        return {
            "contract": CONTRACT,
            "status": self.status,
            "instance": self.path,
            "recipe_hash": self.recipe_hash,
            "input_hash": self.input_hash,
            "seed": self.seed,
            "records_in": self.records_in,
            "digest": self.digest,
            "splits": list(self.splits),
            "counts": self.counts,
            "classes": self.classes,
            "warnings": said(self.warnings),
            "selection": self.prepared.index.selection.to_dict(),
            "op_versions": dict(plan.op_versions),
            "node_keys": plan.node_keys(self.input_hash),
            "why": None if self.why is None else self.why.sentences(),
            "cost": None if self.cost is None else self.cost.to_dict(),
        }

    def __str__(self) -> str:
        cost = [] if self.cost is None else self.cost.lines()
        lines = [self.explain(), *cost, "", f"{self.status}: {self.path}", *([f"      ({self.damage})"] if self.damage else [])]
        sentences = self.why.sentences() if self.why is not None else []
        if self.why is not None and sentences and not self.damage:
            more = f", and {len(sentences) - 1} more" if len(sentences) > 1 else ""
            lines.append(f"      {sentences[0]}{more}: refinery-beam why {self.prepared.recipe.path}")
        return "\n".join(lines)


@keywords(Options)
def plan(recipe: StrPath, options: Options) -> PlanResult:
    """Say what `run` would do, without doing it: the key, whether it is a hit, the plan, and about what a miss costs. Reads files; writes
    only hints, and for a moment the rows of a few files to a temporary folder.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> print(rb.plan("recipe.yaml"))                                    # doctest: +SKIP
    """
    return plan_with(recipe, Settings.of(options))


def plan_with(recipe: StrPath, settings: Settings) -> PlanResult:
    """`plan` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        prepared = prepare(recipe, settings)
        found = prepared.lookup()
        classes = expected_classes(prepared) if found.manifest is None else found.manifest.raw["classes"]
    cost = None
    if found.manifest is None:
        # A door: a hit costs nothing, and imports nothing for it.
        from refinery_beam.launch.estimate import estimate

        cost = estimate(prepared)
    short = [("disk-short", cost.short(locations.absolute(settings.root)))] if cost is not None and cost.is_short else []
    splits = order_warnings(prepared.plan, prepared.index.entries)
    splits += count_warnings(prepared.plan, classes) if classes is not None else []
    return PlanResult(
        status="miss" if found.manifest is None else "hit",
        path=prepared.location if found.manifest is None else found.manifest.location,
        recipe_hash=prepared.key.recipe_hash,
        input_hash=prepared.key.input_hash,
        seed=prepared.key.seed,
        records_in=prepared.index.records_in,
        digest=prepared.index.kind,
        splits=tuple(prepared.plan.split.splits),
        classes=classes,
        damage=found.damage,
        notes=listing_notes(prepared),
        warnings=(*prepared.index.warnings, *prepared.index.selection_warnings, *splits, *first_remarks(prepared), *short),
        why=None if found.manifest is not None else reasons(prepared, found),
        cost=cost,
        prepared=prepared,
    )


def expected_classes(prepared: Prepared) -> dict[str, dict[str, int]] | None:
    """Records by split and label as the splits will be made; None where only the run can tell. Raises what a run would raise for them."""
    plan = prepared.plan
    if not decided_by_index(plan):
        return None
    with at_the_rule(prepared.recipe):
        refs, _ = make_refs(prepared.index, plan, prepared.plugin)
        classes = count_classes(refs, plan)
        raise_all(empty_splits(plan.split, {split: sum(labels.values()) for split, labels in classes.items()}))
    return classes


@keywords(Options)
def plan_recipe(recipe: StrPath, options: Options) -> Prepared:
    """The older name of `plan`, which gives what it was made from: recipe, plugin, plan, index and key."""
    return prepare(recipe, Settings.of(options))
