"""The contract between refinery-beam and one kind of data.

A plugin is a value: a `Kind`, names, specs and pure functions. It knows no recipe, no Beam and no cache. This module is its face:
everything a plugin is written with is imported from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, ParamSpec, Protocol, TypeAlias, TypeVar

from refinery_beam.errors import PluginError, RefineryError, display
from refinery_beam.plugins.assertions.base import (
    AnyAssertion,
    AssertionSpec,
    DatasetAssertion,
    Facts,
    RecordAssertion,
    Verdict,
)
from refinery_beam.plugins.kind import (
    BadRecord,
    Content,
    Encoding,
    Kind,
    Loader,
    LoaderFile,
    Refusal,
    SourceType,
    type_of,
)
from refinery_beam.plugins.ops import (
    ArrayType,
    AugmentOp,
    ClassSampleOp,
    DerivesLabel,
    DuplicatesOp,
    FeaturizeOp,
    FieldType,
    FilterOp,
    FittedFeaturizeOp,
    FittedOp,
    GenerateOp,
    HeaderFilterOp,
    NamesFields,
    NamesLabels,
    NamesTags,
    OpSpec,
    OpTypeError,
    OwnFilterOp,
    Params,
    PredicateOp,
    SampleOp,
    TransformOp,
    Variant,
)
from refinery_beam.plugins.pictures import PictureOp
from refinery_beam.records import TAGS_FIELD

if TYPE_CHECKING:
    from refinery_beam.plugins.modules import PathCode

__all__ = [
    "FILTERS",
    "PROTOCOLS",
    "TAGS_FIELD",
    "AnyAssertion",
    "AnyOp",
    "ArrayType",
    "AssertionSpec",
    "AugmentOp",
    "BadRecord",
    "BoundOp",
    "ClassSampleOp",
    "Content",
    "DatasetAssertion",
    "DerivesLabel",
    "DuplicatesOp",
    "Encoding",
    "Extension",
    "Facts",
    "FeaturizeOp",
    "FieldType",
    "FilterOp",
    "FittedFeaturizeOp",
    "FittedOp",
    "GenerateOp",
    "HeaderFilterOp",
    "Kind",
    "Loader",
    "LoaderFile",
    "NamesFields",
    "NamesLabels",
    "NamesTags",
    "OpFailed",
    "OpSpec",
    "OpT",
    "OpTypeError",
    "Origin",
    "OwnFilterOp",
    "Params",
    "PictureOp",
    "Plugin",
    "PredicateOp",
    "RecordAssertion",
    "Refusal",
    "SampleOp",
    "SourceType",
    "TransformOp",
    "Use",
    "Variant",
    "Verdict",
    "misfit",
    "type_of",
]

AnyOp: TypeAlias = TransformOp | FilterOp | FeaturizeOp | GenerateOp | AugmentOp | PictureOp

PROTOCOLS: Mapping[str, type[AnyOp]] = {
    "Filters": FilterOp,
    "Generation": GenerateOp,
    "Transformations": TransformOp,
    "Augmentations": AugmentOp,
    "Featurizations": FeaturizeOp,
    "Visualizations": PictureOp,
}
"""What an op of a section can do; the only table of it."""

FILTERS: Mapping[str, type[FilterOp]] = {
    "predicate": PredicateOp,
    "sample": SampleOp,
    "sample_per_class": ClassSampleOp,
    "header": HeaderFilterOp,
    "duplicates": DuplicatesOp,
}
"""What a filter of a kind can do; filters of any other kind are an `OwnFilterOp`."""

_FITTED: Mapping[str, type[AnyOp]] = {"Transformations": FittedOp, "Featurizations": FittedFeaturizeOp}


def misfit(op: Any) -> str:
    """The name of the protocol that an op with an `OpSpec` should have and has not; '' where it has them all."""
    spec: OpSpec = op.spec
    wanted: list[type[AnyOp]] = [PROTOCOLS[spec.section]]
    if spec.section == "Filters":
        wanted.append(FILTERS.get(getattr(op, "kind", ""), OwnFilterOp))
    if spec.fitted and spec.section in _FITTED:
        wanted.append(_FITTED[spec.section])
    return next((protocol.__name__ for protocol in wanted if not isinstance(op, protocol)), "")


class OpFailed(Exception):
    """An op raised what its protocol does not know. ``step`` is its name in the recipe, ``op`` the op's."""

    def __init__(self, step: str, op: str, error: Exception) -> None:
        super().__init__(step, op, str(error))
        self.step, self.op, self.error = step, op, error


OpT = TypeVar("OpT", bound=AnyOp, covariant=True)
R = TypeVar("R")
P = ParamSpec("P")


@dataclass(frozen=True)
class BoundOp(Generic[OpT]):
    """An op with its validated parameters, under the name that a step of the recipe gives it."""

    name: str
    op: OpT
    params: Any

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """What a function of the op gives. Whatever it raises comes out in one form.

        A BadRecord says where it was raised: the op's section and the step. RefineryError and memory running out pass as they are.
        Anything else is the op's fault, never the record's: OpFailed.
        """
        try:
            return function(*args, **kwargs)
        except BadRecord as error:
            error.stage, error.op = error.stage or self.op.spec.section, error.op or self.name
            raise
        except (RefineryError, MemoryError):
            raise
        except Exception as error:
            raise OpFailed(self.name, self.op.spec.name, error) from error


class OpUse(Protocol):
    """A step that uses an op: any of those of a plan, or `Use`."""

    @property
    def name(self) -> str: ...

    @property
    def op(self) -> str: ...

    @property
    def params(self) -> Mapping[str, Any]: ...


class Use(NamedTuple):
    """The use of an op by its name, with plain parameters."""

    name: str
    op: str
    params: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Extension:
    """More words for an existing plugin: ops (pictures among them), kinds of assertions and loaders of another package."""

    name: str
    version: int
    extends: str = "image_classification"
    ops: Sequence[AnyOp] = ()
    loaders: Sequence[Loader] = ()
    assertions: Sequence[AnyAssertion] = ()


class Origin(NamedTuple):
    """Where a word of a plugin comes from, if not from this package: the plugin or extension, its version and the digest of its source."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One kind of data with its words.

    ``ops`` are executed; ``known`` are words of the language this release reads but refuses by name ({op: section}). ``assertions`` are the
    kinds that contracts may use, and ``extension_keys`` ({namespace: keys}) the extensions it reads. ``loaders`` are source types beyond
    those of its kind. Discovery fills in ``origins`` and ``origin``, where third-party ops ("op:NAME"), assertions ("assertion:KIND") and
    loaders ("loader:TYPE"), or the whole plugin, come from, and ``code``, the plugin paths in force.
    """

    name: str
    version: int
    kind: Kind
    sections: frozenset[str]
    ops: Mapping[str, AnyOp]
    known: Mapping[str, str] = field(default_factory=dict)
    assertions: Mapping[str, AnyAssertion] = field(default_factory=dict)
    extension_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    origin: Origin | None = None
    code: tuple[PathCode, ...] = ()

    @cached_property
    def source_types(self) -> frozenset[str]:
        """Every source type it reads: those of its kind, and those of loaders."""
        return frozenset(self.kind.source_types) | frozenset(self.loaders)

    def op(self, name: str, section: str = "") -> AnyOp | None:
        """The op of that name, in that section if one is given, or None. Protocols alone do not tell an op's section."""
        op = self.ops.get(name)
        return None if op is None or section not in ("", op.spec.section) else op

    def bind(self, step: OpUse, protocol: type[OpT]) -> BoundOp[OpT]:
        """The op that a step uses, with its parameters validated.

        Raises PluginError ``unknown-op`` where this plugin has no such op, or one that cannot do what `protocol` asks.
        """
        op = self.ops.get(step.op)
        if not isinstance(op, protocol):
            raise PluginError(
                f"plugin {self.name!r} has no op {step.op!r} that is a {protocol.__name__}",
                code="unknown-op",
                place=step.name,
                value=step.op,
                rule="the ops of a dataset are those of the plugin that built it",
                remedy="install the plugin that built the instance, or name its file with --plugin-path (plugin_paths= in Python)",
            )
        return BoundOp(step.name, op, op.spec.params.model_validate(dict(step.params)))

    @contextmanager
    def named(self, record_id: str) -> Iterator[None]:
        """Inside, one record is worked on. Turns OpFailed into a PluginError ``op-failed`` that names the op, its plugin and the record."""
        try:
            yield
        except OpFailed as error:
            origin = self.origins.get(f"op:{error.op}") or self.origin
            whose = f" of the plugin {origin.name!r}" if origin is not None else ""
            raise PluginError(
                f"the op {error.op!r}{whose} failed on {display(record_id)}: {type(error.error).__name__}: {display(str(error.error))}",
                code="op-failed",
                place=display(record_id),
                value=error.step,
                rule="an op raises BadRecord for a record it cannot take, and nothing else",
                remedy="mend the op (--debug shows where it failed)" if whose else "report this with the recipe and the file",
            ) from error.error

    def used_origins(self, ops: Iterable[str], source_types: Iterable[str], kinds: Iterable[str] = ()) -> dict[str, dict[str, Any]]:
        """The third-party code that such a use of the plugin runs: {name: {version, digest}}. What is not used is not in it."""
        found = [self.origin] if self.origin is not None else []
        words = [*(f"op:{name}" for name in ops), *(f"loader:{kind}" for kind in source_types), *(f"assertion:{kind}" for kind in kinds)]
        found += [self.origins[word] for word in words if word in self.origins]
        return {o.name: {"version": o.version, "digest": o.digest} for o in sorted(set(found))}
