"""The context of every check: the recipe, the plugin, and a few facts that several checks need."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from refinery_beam.errors import RecipeError, RefineryError, did_you_mean
from refinery_beam.plugins.base import ClassSampleOp, FeaturizeOp
from refinery_beam.recipe import reserved
from refinery_beam.recipe.load import Recipe
from refinery_beam.recipe.model_ops import OP_SECTIONS, Operation
from refinery_beam.recipe.params import op_params, op_spec
from refinery_beam.tables import Table, TableFault, open_table

if TYPE_CHECKING:
    from refinery_beam.plugins.base import OpSpec, Params, Plugin
    from refinery_beam.recipe.model import InputSource, RecipeModel

Step: TypeAlias = "str | int"
Path: TypeAlias = "tuple[str | int, ...]"


@dataclass(frozen=True)
class Finding:
    """One result of a check: an error, a warning, or a note on why it passes."""

    kind: Literal["error", "warning", "note"]
    error: RefineryError | None = None
    note: str = ""


Findings: TypeAlias = "Iterator[Finding]"


@dataclass(frozen=True)
class Context:
    """A recipe under check."""

    recipe: Recipe
    plugin: Plugin
    cache_root: str | None = None

    @property
    def model(self) -> RecipeModel:
        """The recipe's model."""
        return self.recipe.model

    def error(self, message: str, path: Path, *, key: bool = False, **words: Any) -> Finding:
        """An error at a path of the recipe; `words` are code, value and facts, or a rule and remedy of its own."""
        return Finding("error", RecipeError(message, at=self.recipe.at(path, key=key), **words))

    def unknown(
        self, message: str, name: Any, known: Iterable[str], path: Path, *, code: str = "unknown-field-name", what: str = ""
    ) -> Finding:
        """A name that is not one of the `known`, which are `what` ("fields"); the remedy is the closest of them."""
        words = list(known)
        rule = f"{what}: {', '.join(words) or 'none'}" if what else None
        return self.error(message, path, code=code, value=name, rule=rule, remedy=did_you_mean(str(name), words), known=words or "none")

    def unknown_split(self, message: str, name: Any, path: Path) -> Finding:
        """A name that is no split of the recipe."""
        if not self.split_names:
            return self.error(message, path, code="unknown-split", value=name, known="none", remedy="define splits first")
        return self.unknown(message, name, self.split_names, path, code="unknown-split")

    def warning(self, message: str, path: Path, **words: Any) -> Finding:
        """A warning at a path of the recipe."""
        return Finding("warning", RecipeError(message, at=self.recipe.at(path), **words))

    def note(self, text: str) -> Finding:
        """Why a check passes, where that is no matter of course."""
        return Finding("note", note=text)

    def operations(self, *sections: str) -> Iterator[tuple[str, int, Any]]:
        """(section, index, operation) of the sections, or of all op sections."""
        for section in sections or OP_SECTIONS:
            for index, item in enumerate(getattr(self.model, section)):
                yield section, index, item

    def spec(self, section: str, operation: Operation) -> OpSpec | None:
        """The plugin's spec of an operation, or None when it is unknown or not executable."""
        return op_spec(self.plugin, section, operation.op)

    def params(self, section: str, index: int, operation: Operation) -> tuple[Params | None, list[RecipeError]]:
        """Validated parameters, or None and the errors."""
        cached = self._params.get((section, index))
        if cached is None:
            cached = self._params[section, index] = op_params(self.recipe, section, index, operation, plugin=self.plugin)
        return cached

    @cached_property
    def _params(self) -> dict[tuple[str, int], tuple[Params | None, list[RecipeError]]]:
        return {}

    @property
    def label(self) -> str:
        """The label's field name."""
        return self.model.Labels.field

    @property
    def partitions(self) -> list[str]:
        """The declared partitions, in order, each once."""
        return list(dict.fromkeys(s.partition for s in self.model.Input.sources if s.partition is not None))

    @property
    def split_layouts(self) -> bool:
        """Whether a layout with ``{split}`` names partitions that only listing will tell."""
        return any(s.layout and "{split}" in s.layout for s in self.model.Input.sources)

    @property
    def partitioned(self) -> bool:
        """Whether sources name their records' partition."""
        return bool(self.partitions) or self.split_layouts

    @property
    def content(self) -> str:
        """The field of the kind's content; '' for a table."""
        return self.plugin.kind.field

    @property
    def loader_fields(self) -> tuple[str, ...]:
        """The fields that every record has from its file."""
        return tuple(name for name in ("record_id", "path", self.content, "partition") if name)

    def arrangement(self, source: InputSource) -> str:
        """How a source's files are arranged: folder, flat, tree, file, or '' for a type that a loader lists, or that nobody knows."""
        known = self.plugin.kind.source_types.get(source.type)
        return known.arrangement if known is not None else reserved.SOURCE_TYPES.get(source.type, "")

    def type_arranged(self, arrangement: str) -> str:
        """A source type of the plugin whose files are arranged so, for remedies."""
        return next((word for word, known in self.plugin.kind.source_types.items() if known.arrangement == arrangement), arrangement)

    @property
    def early_tags(self) -> list[str]:
        """The tags that records may have when splits are made."""
        return self.tags_before(len(self.model.Filters), "pre_split")

    @property
    def tags(self) -> list[str]:
        """The tags that sampling filters put on records."""
        return self.tags_before(len(self.model.Filters), "post_split")

    def tags_before(self, index: int, stage: str) -> list[str]:
        """The tags that filters before a filter give, as it runs in a stage: all filters before the split run first."""
        found = []
        for i, f in enumerate(self.model.Filters):
            earlier = (stage in f.stages and i < index) or (stage == "post_split" and "pre_split" in f.stages)
            op, params = self.plugin.op(f.op), self.params("Filters", i, f)[0]
            if earlier and params is not None and isinstance(op, ClassSampleOp) and (tag := op.tag(params)):
                found.append(tag)
        return list(dict.fromkeys(found))

    @property
    def split_names(self) -> list[str]:
        """Every split the recipe defines by name, in order; more may come from ``{split}`` layouts."""
        splits = self.model.Splits
        names = list(splits.ratios or ())
        if splits.key_assignment is not None:
            names += list(splits.key_assignment.mapping.values())
        carved = splits.applies_to
        names += [p for p in self.partitions if p != carved or not splits.ratios]
        if carved is not None and not self.partitioned:
            names += [t for t in self.early_tags if t != carved]
        return list(dict.fromkeys(names))

    @property
    def sidecars(self) -> dict[int, list[str] | None]:
        """The columns of each source's label table; None if they are not known here."""
        found: dict[int, list[str] | None] = {}
        for index, source in enumerate(self.model.Input.sources):
            if source.label_from is not None:
                table = self.tables.get(index)
                header = source.label_from.header
                found[index] = list(table.columns) if isinstance(table, Table) and not table.open else list(header) if header else None
        return found

    @cached_property
    def tables(self) -> dict[int, Table | TableFault]:
        """The head of each source's local label table, or what is wrong with it."""
        found: dict[int, Table | TableFault] = {}
        for index, source in enumerate(self.model.Input.sources):
            given = source.label_from
            try:
                path = self.recipe.resolve(given.path) if given is not None else ""
            except RefineryError:
                continue  # another check's
            if given is None or "://" in path or not os.path.exists(path):
                continue
            names = [name for name in (given.label_field, given.id_field) if name]
            try:
                found[index] = open_table(
                    path, header=given.header, encoding=given.encoding, delimiter=given.delimiter, names=names, head=True
                )
            except TableFault as fault:
                found[index] = fault
        return found

    @property
    def early_fields(self) -> list[str]:
        """The fields of records before splits are made: the loader's, the label, columns of label tables, and what is made of them."""
        made = [f.output_field for f in self.model.Featurizations if not self.needs_pixels(f) and not self.is_fitted(f)]
        return list(dict.fromkeys(["partition", "path", "record_id", self.label, *self.sidecar_fields, *made]))

    @property
    def open_fields(self) -> bool:
        """Whether label tables may add fields whose names are not known here."""
        return any(columns is None for columns in self.sidecars.values())

    @property
    def sidecar_fields(self) -> list[str]:
        """The known columns of label tables."""
        return list(dict.fromkeys(c for columns in self.sidecars.values() for c in columns or ()))

    def known_fields(self, *, before: int | None = None) -> list[str]:
        """Fields a record has: from the loader, the schema, label tables, and featurizations (those before an index)."""
        made = [f.output_field for f in self.model.Featurizations[:before]]
        return list(dict.fromkeys([*self.model.Output.record_schema, self.label, *self.loader_fields, *self.sidecar_fields, *made]))

    def needs_pixels(self, featurization: Operation) -> bool:
        """Whether a featurization's op reads pixels (unknown ones: assumed to)."""
        op = self.plugin.op(featurization.op)
        return not isinstance(op, FeaturizeOp) or op.needs_pixels

    def is_fitted(self, featurization: Operation) -> bool:
        """Whether a featurization's op learns on train, so that its field exists after splits only."""
        op = self.plugin.op(featurization.op)
        return op is not None and op.spec.fitted

    @property
    def stores_floats(self) -> bool:
        """Whether the schema asks for content that representation-changing ops must have been applied to before it is stored."""
        content = self.model.Output.record_schema.get(self.content)
        return content is not None and content.dtype.startswith("float")
