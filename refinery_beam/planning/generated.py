"""Steps that make records of records: generation before transformations, augmentation after them. Frozen values, as all of a plan."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

SOURCE_RECORD = "source_record_id"
"""The field that names the parent of a generated or augmented record, where Output.record_schema declares it."""

AUGMENTATION = "augmentation"
"""The column of sampled parameters, there whenever a recipe stores augmented records."""


@dataclass(frozen=True, kw_only=True)
class GenerateStep:
    """One generation: it makes records of each record of `splits`, as refs. `fields` are (the op's word, field name) pairs.

    `kind` 'variants': the records that `plugins.base.GenerateOp.generated` lists. 'balance': copies until classes are equal.
    """

    name: str
    op: str
    version: int
    params: Mapping[str, Any]
    seed: int
    kind: Literal["variants", "balance"]
    splits: tuple[str, ...]
    replace: bool
    fields: tuple[tuple[str, str], ...]

    def to_dict(self) -> dict[str, Any]:
        """The form stored in manifest.json."""
        return {
            "name": self.name,
            "op": self.op,
            "version": self.version,
            "params": dict(self.params),
            "seed": self.seed,
            "splits": list(self.splits),
            "replace_input_records": self.replace,
        }


@dataclass(frozen=True, kw_only=True)
class AugmentStep:
    """One augmentation. Aggressive: each record of `splits` becomes `expansion` stored variants. Lazy: a policy for readers."""

    name: str
    op: str
    version: int
    params: Mapping[str, Any]
    seed: int
    splits: tuple[str, ...]
    materialization: Literal["lazy", "aggressive"]
    expansion: int

    def to_dict(self) -> dict[str, Any]:
        """The form stored in manifest.json, from which readers apply a lazy policy and sampled parameters are replayed."""
        return {
            "name": self.name,
            "op": self.op,
            "version": self.version,
            "params": dict(self.params),
            "seed": self.seed,
            "splits": list(self.splits),
            "materialization": self.materialization,
            "expansion": self.expansion,
        }


def aggressive(steps: Sequence[AugmentStep]) -> tuple[AugmentStep, ...]:
    """The augmentations whose variants are stored, in order."""
    return tuple(step for step in steps if step.materialization == "aggressive")


def generated_fields(generation: Sequence[GenerateStep], augmentations: Sequence[AugmentStep]) -> tuple[str, ...]:
    """The fields that only generated and augmented records have; null in the others. Each once, in the order of the steps."""
    names = [field for step in generation for _, field in step.fields]
    if generation or aggressive(augmentations):
        names.append(SOURCE_RECORD)
    if aggressive(augmentations):
        names.append(AUGMENTATION)
    return tuple(dict.fromkeys(names))
