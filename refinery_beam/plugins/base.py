"""The contract between refinery-beam and one kind of data.

A plugin is a value: a `Kind`, names, specs and pure functions. It knows no recipe, no Beam and no cache. This module is its face:
everything a plugin is written with is imported from here.
"""

from __future__ import annotations

import operator
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
    Cell,
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
    Content,
    DerivesLabel,
    DuplicatesOp,
    FeaturizeOp,
    FieldType,
    FilterOp,
    FittedFeaturizeOp,
    FittedOp,
    GeneratedRecord,
    GenerateOp,
    HeaderFilterOp,
    MeasuredFilterOp,
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
    "Cell",
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
    "GeneratedRecord",
    "HeaderFilterOp",
    "Kind",
    "Loader",
    "LoaderFile",
    "MeasuredFilterOp",
    "NamesFields",
    "NamesLabels",
    "NamesTags",
    "OpSpec",
    "OpT",
    "OpTypeError",
    "Origin",
    "OwnFilterOp",
    "Params",
    "PictureOp",
    "Plugin",
    "PluginFailed",
    "PredicateOp",
    "RecordAssertion",
    "Refusal",
    "SampleOp",
    "SourceType",
    "TransformOp",
    "Use",
    "Verdict",
    "call_plugin",
    "misfit",
    "type_of",
    "whole",
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
"""The protocols of ops by section. No other module has such a table."""

FILTERS: Mapping[str, type[FilterOp]] = {
    "predicate": PredicateOp,
    "sample": SampleOp,
    "sample_per_class": ClassSampleOp,
    "header": HeaderFilterOp,
    "measured": MeasuredFilterOp,
    "duplicates": DuplicatesOp,
}
"""The protocols of filters by kind; a filter of any other kind is an `OwnFilterOp`."""

SECTIONS = frozenset(PROTOCOLS) | {"InputContracts", "OutputExpectations", "SampleData", "Sinks"}
"""The sections that every kind of data accepts, if its plugin has words for them."""

_FITTED: Mapping[str, type[AnyOp]] = {"Transformations": FittedOp, "Featurizations": FittedFeaturizeOp}


def misfit(op: Any) -> str:
    """The name of a protocol that an op lacks although its `OpSpec` requires it; '' if it lacks none."""
    spec: OpSpec = op.spec
    wanted: list[type[AnyOp]] = [PROTOCOLS[spec.section]]
    if spec.section == "Filters":
        wanted.append(FILTERS.get(getattr(op, "kind", ""), OwnFilterOp))
    if spec.fitted and spec.section in _FITTED:
        wanted.append(_FITTED[spec.section])
    return next((protocol.__name__ for protocol in wanted if not isinstance(op, protocol)), "")


def whole(value: Any) -> int | None:
    """A whole number as a Python int, from NumPy's too; None for anything else, truth values included.

    >>> whole(7), whole(7.0), whole(True)
    (7, None, None)
    """
    if isinstance(value, bool):
        return None
    try:
        return operator.index(value)
    except TypeError:
        return None


OpT = TypeVar("OpT", bound=AnyOp, covariant=True)
R = TypeVar("R")
P = ParamSpec("P")


class PluginFailed(Exception):
    """Code of a plugin raised an exception that its protocol does not allow. ``word`` names the code ("op:resize", "encoding:png",
    "kind:image"), ``step`` where the recipe uses it.
    """

    def __init__(self, step: str, word: str, error: Exception) -> None:
        super().__init__(step, word, str(error))
        self.step, self.word, self.error = step, word, error


def call_plugin(step: str, word: str, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
    """Call a function of a plugin and give its result. BadRecord, OpTypeError, RefineryError and MemoryError pass unchanged.

    Any other exception is the plugin's fault, never the record's: PluginFailed.
    """
    try:
        return function(*args, **kwargs)
    except (BadRecord, OpTypeError, RefineryError, MemoryError):
        raise
    except Exception as error:
        raise PluginFailed(step, word, error) from error


@dataclass(frozen=True)
class BoundOp(Generic[OpT]):
    """An op with its validated parameters, under the name that a step of the recipe gives it."""

    name: str
    op: OpT
    params: Any

    def call(self, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        """Call a function of the op, as `call_plugin` does. Adds the op's section and the step to a BadRecord."""
        try:
            return call_plugin(self.name, f"op:{self.op.spec.name}", function, *args, **kwargs)
        except BadRecord as error:
            error.stage, error.op = error.stage or self.op.spec.section, error.op or self.name
            raise


class OpUse(Protocol):
    """A step that uses an op: a step of a plan, or `Use`."""

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
    """More words for an existing plugin: ops (pictures among them), encodings, loaders and kinds of assertions of another package."""

    name: str
    version: int
    extends: str = "image_classification"
    ops: Sequence[AnyOp] = ()
    encodings: Sequence[Encoding] = ()
    loaders: Sequence[Loader] = ()
    assertions: Sequence[AnyAssertion] = ()


class Origin(NamedTuple):
    """The origin of a third-party word: the plugin or extension, its version and the digest of its source."""

    name: str
    version: int
    digest: str


@dataclass(frozen=True, kw_only=True)
class Plugin:
    """One kind of data with its words.

    Content is stored in its ``encodings``. ``ops`` are executed in the ``sections``; ``known`` are words of the language that this release
    reads but refuses by name ({op: section}). ``assertions`` are the kinds that contracts may use, and ``extension_keys`` ({namespace:
    keys}) the extensions it reads. ``loaders`` are source types beyond those of its kind. Discovery fills in ``origins`` and ``origin``,
    where third-party words ("op:NAME", "encoding:NAME", "loader:TYPE", "assertion:KIND"), or the whole plugin, come from, and ``code``, the
    plugin paths in force.
    """

    name: str
    version: int
    kind: Kind
    ops: Mapping[str, AnyOp]
    encodings: Mapping[str, Encoding] = field(default_factory=dict)
    sections: frozenset[str] = SECTIONS
    known: Mapping[str, str] = field(default_factory=dict)
    assertions: Mapping[str, AnyAssertion] = field(default_factory=dict)
    extension_keys: Mapping[str, frozenset[str]] = field(default_factory=dict)
    loaders: Mapping[str, Loader] = field(default_factory=dict)
    origins: Mapping[str, Origin] = field(default_factory=dict)
    origin: Origin | None = None
    code: tuple[PathCode, ...] = ()

    @cached_property
    def source_types(self) -> frozenset[str]:
        """Every source type that it reads: its kind's, and those of loaders."""
        return frozenset(self.kind.source_types) | frozenset(self.loaders)

    def op(self, name: str, section: str = "") -> AnyOp | None:
        """The op of that name, and of that section unless it is None; None without such an op. Protocols do not imply a section."""
        op = self.ops.get(name)
        return None if op is None or section not in ("", op.spec.section) else op

    def bind(self, step: OpUse, protocol: type[OpT]) -> BoundOp[OpT]:
        """The op that a step uses, with its parameters validated.

        Raises PluginError ``unknown-op`` if this plugin has no such op, or if the op lacks the `protocol`.
        """
        op = self.ops.get(step.op)
        if not isinstance(op, protocol):
            raise PluginError(
                f"plugin {self.name!r} has no op {step.op!r} that is a {protocol.__name__}",
                code="unknown-op",
                at=step.name,
                value=step.op,
                rule="the words of a dataset are those of the plugin that built it",
                remedy="install the plugin that built the instance, or name its file with --plugin-path (plugin_paths= in Python)",
            )
        return BoundOp(step.name, op, op.spec.params.model_validate(dict(step.params)))

    def encoding(self, word: str) -> Encoding:
        """The encoding of that word. Raises PluginError ``unknown-encoding``."""
        if word not in self.encodings:
            raise PluginError(f"plugin {self.name!r} has no encoding {word!r}", code="unknown-encoding", value=word)
        return self.encodings[word]

    @contextmanager
    def named(self, record_id: str = "") -> Iterator[None]:
        """Inside, code of the plugin works on a record, if one is named. Turns PluginFailed into the PluginError of `blame`."""
        try:
            yield
        except PluginFailed as error:
            raise self.blame(error, record_id) from error.error

    def blame(self, failed: PluginFailed, record_id: str = "") -> PluginError:
        """The PluginError ``op-failed``, which names the code that failed, its plugin and the record."""
        origin = self.origins.get(failed.word) or self.origin
        whose = f" of the plugin {origin.name!r}" if origin is not None else ""
        what, _, word = failed.word.partition(":")
        where = f" on {display(record_id)}" if record_id else ""
        return PluginError(
            f"the {what} {word!r}{whose} failed{where}: {type(failed.error).__name__}: {display(str(failed.error))}",
            code="op-failed",
            at=record_id,
            value=failed.step,
            remedy=None if whose else "report this with the recipe and the file",
            what=what,
        )

    def used_origins(self, **words: Iterable[str]) -> dict[str, dict[str, Any]]:
        """The third-party code behind these words: {name: {version, digest}}. Words that a recipe does not use do not count.

        The caller passes the words by kind: ``op=["resize"], encoding=["png"], loader=[], assertion=[]``.
        """
        found = [self.origin] if self.origin is not None else []
        used = [f"{what}:{name}" for what, names in words.items() for name in names]
        found += [self.origins[word] for word in used if word in self.origins]
        return {o.name: {"version": o.version, "digest": o.digest} for o in sorted(set(found))}
