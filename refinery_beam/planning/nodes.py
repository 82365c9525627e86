"""The plan: what will be done, as small frozen values that can be printed, compared, keyed and sent to workers.

Nothing here does any work. `planning.build` makes a `Plan` from a recipe and a plugin, `pipeline.translate` wires it, and workers
interpret the steps through the plugin. Parameters are plain JSON-able mappings with every default filled in, so a plan prints as data and
hashes as data.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from refinery_beam.identity import value_digest
from refinery_beam.planning.contracts import ContractStep
from refinery_beam.planning.generated import AugmentStep, GenerateStep, generated_fields
from refinery_beam.planning.sample import SamplePlan
from refinery_beam.planning.sinks import SinkStep
from refinery_beam.planning.storage import Storage
from refinery_beam.plugins.base import ArrayType, FieldType
from refinery_beam.plugins.modules import PathCode


@dataclass(frozen=True, kw_only=True)
class SourceRoot:
    """The location of one source, and the third-party loader that decodes its files, or ''. The location is not part of any key."""

    name: str
    root: str
    loader: str = ""


@dataclass(frozen=True, kw_only=True)
class Borrowed:
    """Statistics of another instance, with its full key and the operation that fitted them."""

    statistics: Mapping[str, Any]
    origin: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class FittableStep:
    """One use of an op that may need a statistic: from the split `fit_source`, or stated by the recipe or another instance (`pinned`, and
    its `origin`).
    """

    name: str
    op: str
    version: int
    params: Mapping[str, Any]
    splits: tuple[str, ...]
    fitted: bool = False
    fit_source: str | None = None
    pinned: Mapping[str, Any] | None = None
    origin: Mapping[str, Any] | None = None

    @property
    def needs_fit(self) -> bool:
        """Whether its statistics come from data rather than from the recipe."""
        return self.fitted and self.pinned is None

    @property
    def statistics(self) -> str | None:
        """The instance-relative file of its fitted statistics, or None."""
        return f"fitted_statistics/{self.name}.json" if self.fitted else None


@dataclass(frozen=True, kw_only=True)
class Step(FittableStep):
    """One transformation at one position of a chain, with the types of content before and after it."""

    before: ArrayType
    out: ArrayType
    elementwise: bool

    def to_dict(self) -> dict[str, Any]:
        """The form stored in manifest.json, from which readers and `replay` apply the step."""
        return {
            "name": self.name,
            "op": self.op,
            "version": self.version,
            "params": dict(self.params),
            "statistics": self.statistics,
            "before": {"dtype": self.before.dtype, "shape": list(self.before.shape)},
            "out": {"dtype": self.out.dtype, "shape": list(self.out.shape)},
            "splits": list(self.splits),
        }


@dataclass(frozen=True, kw_only=True)
class Chain:
    """What happens to the content of one split: `eager` steps, then storing as `stored`, then the `deferred` tail that readers apply."""

    split: str
    eager: tuple[Step, ...]
    deferred: tuple[Step, ...]
    decoded: ArrayType
    stored: ArrayType

    @property
    def steps(self) -> tuple[Step, ...]:
        return self.eager + self.deferred


@dataclass(frozen=True, kw_only=True)
class FitPoint:
    """One position in the fit source's chain where values are accumulated, and the fitted steps whose statistics follow from it.

    `index` counts the steps applied before accumulating. Every step between `index` and a fitted step is elementwise on uint8, so one
    integer histogram serves all of them. `riding` points are accumulated while shards are written; the others need a pass of
    their own, in order.
    """

    name: str
    split: str
    index: int
    steps: tuple[str, ...]
    riding: bool


@dataclass(frozen=True, kw_only=True)
class FilterStep:
    """One filter: a predicate on refs, a sample of the lowest seeded ranks, of all or of each class, a peek into file headers, a
    measure of decoded content, or one of each group of duplicates. Empty `splits` before splits are made.

    `tag` is the tag of records that a per-class sample takes, instead of dropping the others; records with a tag of `excluded` cannot be
    sampled. `distance` is that of near duplicates; None for identical files.
    """

    name: str
    op: str
    version: int
    params: Mapping[str, Any]
    seed: int
    kind: str
    splits: tuple[str, ...]
    tag: str = ""
    excluded: tuple[str, ...] = ()
    distance: int | None = None

    @property
    def needs_header(self) -> bool:
        """Whether it reads files, if only their headers."""
        return self.kind == "header" or self.needs_pixels

    @property
    def needs_pixels(self) -> bool:
        """Whether it decodes."""
        return self.kind == "measured" or (self.kind == "duplicates" and self.distance is not None)


@dataclass(frozen=True, kw_only=True)
class FieldStep(FittableStep):
    """One featurization: `field` from `inputs`. Featurizations of metadata are computed when the refs are made, those of content while a
    shard is written.
    """

    field: str
    inputs: tuple[str, ...]
    needs_pixels: bool
    type: FieldType


@dataclass(frozen=True, kw_only=True)
class SplitPlan:
    """The rule that assigns records to splits.

    ``mode``: 'ratios' (of everything, of partition `applies_to`, or of the records with the tag `tag`, while others follow their own tag),
    'key' (a field's value through `mapping`), 'partition' (the source says). With `near_distance` records whose signatures (of the op
    `near_op`) are near stay together. `ratios` keeps the recipe's order. `splits` is every split that may come out, in report order.
    ``method: ordered`` cuts the order of the values of `order_by`.
    """

    mode: Literal["ratios", "key", "partition"]
    splits: tuple[str, ...]
    ratios: tuple[tuple[str, float], ...] = ()
    method: Literal["exact", "ordered", "hash"] = "exact"
    seed: int = 0
    stratify_by: str | None = None
    group_by: str | None = None
    keep_duplicates_together: bool = True
    applies_to: str | None = None
    tag: str | None = None
    near_distance: int | None = None
    near_op: str = ""
    key_field: str | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    order_by: str | None = None
    allow_empty: bool = False

    def identity(self) -> dict[str, Any]:
        """What decides the split of a record. `allow_empty` only decides whether a run may end."""
        words: dict[str, Any] = _plain(self)
        del words["allow_empty"]
        if self.order_by is None:
            del words["order_by"]
        return words


@dataclass(frozen=True, kw_only=True)
class OutputPlan:
    """What a stored row looks like and how rows are cut into files. `fields` keeps the recipe's order; `content_field` is the one among
    them that holds the content, if it is stored; `facts` says whether the facts of records lie beside them.
    """

    fields: tuple[tuple[str, FieldType], ...]
    content_field: str | None
    encoding: str
    quality: int
    shard_records: int | None
    shard_bytes: int | None
    storage: Storage
    facts: bool = True

    def schema(self) -> dict[str, Any]:
        return {name: {"dtype": t.dtype, "shape": None if t.shape is None else list(t.shape)} for name, t in self.fields}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """Everything a worker must know. Holds locations (`sources`) beside identity; `node_keys` cover identity only.

    `content` is the field of the kind's content, stored or not.
    """

    plugin: str
    plugin_version: int
    content: str
    seed: int
    sources: tuple[SourceRoot, ...]
    label_field: str
    unlabeled: tuple[str, ...]
    decode: Mapping[str, Any]
    limits: Mapping[str, Any]
    on_error: Literal["fail", "quarantine"]
    max_bad_fraction: float
    pre_filters: tuple[FilterStep, ...]
    post_filters: tuple[FilterStep, ...]
    fields: tuple[FieldStep, ...]
    split: SplitPlan
    chains: Mapping[str, Chain]
    fits: tuple[FitPoint, ...]
    output: OutputPlan
    op_versions: Mapping[str, int]
    class_balance: Any = None
    generation: tuple[GenerateStep, ...] = ()
    augmentations: tuple[AugmentStep, ...] = ()

    contracts: tuple[ContractStep, ...] = ()
    sample: SamplePlan | None = None
    sinks: tuple[SinkStep, ...] = ()
    plugin_sources: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """The third-party code the plan uses: {plugin or extension: {version, digest}}. Part of the key."""
    loader_versions: Mapping[str, int] = field(default_factory=dict)
    plugin_code: tuple[PathCode, ...] = ()
    """The source of ``--plugin-path`` plugins, which travels to the workers with the plan."""

    @property
    def unlabeled_splits(self) -> tuple[str, ...]:
        """The splits whose records have no label: unlabeled partitions, and the parts that ratios make of one."""
        split = self.split
        parts = tuple(name for name, _ in split.ratios) if split.applies_to in self.unlabeled else ()
        return tuple(name for name in split.splits if name in parts or (name in self.unlabeled and name != split.applies_to))

    @property
    def generated_fields(self) -> tuple[str, ...]:
        """The fields that only generated and augmented records have; null in the others."""
        return generated_fields(self.generation, self.augmentations)

    @property
    def decodes(self) -> bool:
        """Whether any content is ever decoded."""
        return self.stores_decoded or bool(self.fits) or any(f.needs_pixels for f in self.fields) or self.shows_content

    @property
    def shows_content(self) -> bool:
        """Whether an assertion or a sink reads decoded content."""
        return any(c.on_content for c in self.contracts) or any(s.field == self.content for s in self.sinks)

    @property
    def split_from_index(self) -> bool:
        """Whether quotas can be cut from the index alone: nothing before the split removes records or adds facts about them."""
        split = self.split
        undecided = self.pre_filters or split.tag is not None or split.near_distance is not None
        checked = any(c.section == "InputContracts" for c in self.contracts)
        return split.mode == "ratios" and split.method != "hash" and not undecided and not checked

    @property
    def selects_by_files(self) -> bool:
        """Whether filters or splits peek into files: the results of decoding then decide which records come out."""
        return any(f.needs_header for f in (*self.pre_filters, *self.post_filters)) or self.split.near_distance is not None

    @property
    def stores_decoded(self) -> bool:
        """Whether stored content is made from decoded content (not the untouched source bytes)."""
        return self.output.content_field is not None and self.output.encoding != "source"

    def fit_chain(self, point: FitPoint) -> Chain:
        return self.chains[point.split]

    def fitted_steps(self) -> tuple[Step, ...]:
        """Every fitted step, once, in chain order."""
        by_name: dict[str, Step] = {}
        for chain in self.chains.values():
            for step in chain.steps:
                if step.fitted:
                    by_name.setdefault(step.name, step)
        return tuple(by_name.values())

    def fitted_fields(self) -> tuple[FieldStep, ...]:
        """Every fitted featurization."""
        return tuple(f for f in self.fields if f.fitted)

    def borrowed(self) -> dict[str, dict[str, Any]]:
        """The origins of borrowed statistics, by operation: {recipe_hash, input_hash, seed, op_id}. Part of the key."""
        steps: tuple[Step | FieldStep, ...] = (*self.fitted_steps(), *self.fitted_fields())
        return {s.name: dict(s.origin) for s in steps if s.origin}

    def node_keys(self, input_hash: str) -> dict[str, str]:
        """A key for each part of the result from its own op, version, params and upstream keys.

        Parts: 'select' (filters), 'split', 'fit' (statistics), 'dataset' (shards), and besides 'contracts', 'sample' and 'sinks'. Two
        plans that differ only in how results are reported share them.
        """
        decoding = [dict(self.decode), dict(self.limits)] if self.selects_by_files else []
        # Third-party code is at the root of every part: only its source says what it does.
        foreign = [_plain(self.plugin_sources), dict(self.loader_versions)] if self.plugin_sources else []
        select = value_digest("node", ["select", input_hash, self.seed, [_plain(f) for f in self.pre_filters], decoding, *foreign])
        laws = {name: version for name, version in self.op_versions.items() if name.startswith("splits:")}
        split = value_digest("node", ["split", select, self.split.identity(), laws, [_plain(f) for f in self.post_filters]])
        chains = {name: [s.to_dict() for s in c.steps] for name, c in self.chains.items()}
        made = [_plain(g) for g in self.generation]
        points = [_plain(p) for p in self.fits]
        fit = value_digest("node", ["fit", split, made, dict(self.decode), dict(self.limits), chains, points, self.borrowed()])
        varied = [_plain(a) for a in self.augmentations]
        dataset = value_digest("node", ["dataset", fit, varied, _plain(self.output), [_plain(f) for f in self.fields]])
        contracts = value_digest("node", ["contracts", dataset, [c.identity() for c in self.contracts]])
        sample = value_digest("node", ["sample", dataset, self.sample.identity() if self.sample else None])
        sinks = value_digest("node", ["sinks", dataset, [s.identity() for s in self.sinks]])
        keys = {"select": select, "split": split, "fit": fit, "dataset": dataset}
        return {**keys, "contracts": contracts, "sample": sample, "sinks": sinks}


def _plain(value: Any) -> Any:
    """A dataclass as canonical JSON; mappings whose order has meaning are tuples of pairs already."""
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    if isinstance(value, Mapping):
        return {str(k): _plain(v) for k, v in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(v) for v in value]
    return value
