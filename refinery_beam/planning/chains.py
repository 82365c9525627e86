"""The chain of each split: type inference, the step after which content is stored, the deferred tail, and the points where statistics are
fitted.

Deferring: an op that only changes how one record is represented (normalize, cast) need not be stored applied. When Output.record_schema
declares the type *before* such a tail, the tail is left to readers; its statistics come from the content that is stored anyway, so a
recipe of resize + normalize costs one decoding pass and a quarter of the bytes.

Fitting: a fitted step observes the values after the steps before it. Where a kind of data has an accumulator of its own for the values at
some point (`Kind.accumulator`: of 8-bit pixels a histogram) and everything between that point and the step is elementwise, it determines
the values at the step exactly; so any number of fitted steps in such a tail share it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from refinery_beam.errors import RecipeError, RefineryError
from refinery_beam.planning.borrowed import borrowed_statistics, channel_problem, own_params
from refinery_beam.planning.build_generated import augmented, odd_augmentation, retyped
from refinery_beam.planning.generated import AugmentStep
from refinery_beam.planning.nodes import Borrowed, Chain, FitPoint, Step
from refinery_beam.plugins.base import ArrayType, FittedOp, Kind, OpTypeError, Plugin, TransformOp, call_plugin
from refinery_beam.recipe import Recipe, decode_policy


def build_chains(
    recipe: Recipe,
    plugin: Plugin,
    splits: Sequence[str],
    errors: list[RefineryError],
    augmentations: Sequence[AugmentStep] = (),
    borrowed: Mapping[str, Borrowed] | None = None,
) -> tuple[dict[str, Chain], ArrayType | None]:
    """The chain of every split and the one stored type they share (None when content is not stored or errors were found)."""
    kind = plugin.kind
    schema = recipe.model.Output.record_schema.get(kind.field)
    decoded = kind.decoded(decode_policy(recipe, plugin))
    chains: dict[str, Chain] = {}
    stored: ArrayType | None = None
    unreachable: dict[tuple[tuple[ArrayType, ...], ArrayType | None], tuple[list[str], list[Step], int]] = {}
    for split in splits:
        steps = _infer(recipe, plugin, split, decoded, schema, errors, borrowed)
        if steps is None:
            return {}, None
        types = [decoded, *(s.out for s in steps)]
        first = _tail_start(plugin, steps)
        if schema is None:
            boundary = first
        else:
            ends = _ends(plugin, augmentations, split, types, first)
            reach = [b for b, end in ends.items() if isinstance(end, ArrayType) and _holds(end, schema)]
            odd = next((end for b, end in ends.items() if isinstance(end, OpTypeError) and _holds(types[b], schema)), None)
            if not reach and odd is not None:
                errors.append(odd_augmentation(recipe, plugin, split, odd))
                continue
            if not reach:
                # One error for all splits with the same fault.
                end = next((e for b, e in ends.items() if isinstance(e, ArrayType) and e != types[b]), None)
                unreachable.setdefault((tuple(types), end), ([], steps, first))[0].append(split)
                continue
            boundary = reach[-1]
        here, tail = types[boundary], tuple(steps[boundary:])
        if schema is not None:
            try:
                here = augmented(plugin, augmentations, split, here)
                augmented(plugin, augmentations, split, here, lazy=True)
            except OpTypeError as error:
                errors.append(odd_augmentation(recipe, plugin, split, error))
                continue
            tail = retyped(plugin, tail, here) if here != types[boundary] else tail
            here = _declared(here, schema)
        chains[split] = Chain(split=split, eager=tuple(steps[:boundary]), deferred=tail, decoded=decoded, stored=here)
        stored = here if stored is None else _join(stored, here)
    errors += [
        _unreachable(recipe, kind, among, steps, types, schema, first, end) for (types, end), (among, steps, first) in unreachable.items()
    ]
    return chains, stored


def build_fits(
    plugin: Plugin, chains: Mapping[str, Chain], errors: list[RefineryError], recipe: Recipe, *, rides: bool
) -> tuple[FitPoint, ...]:
    """The fit points in the order they can be computed; a riding one last."""
    wanted: dict[str, tuple[Step, ...]] = {}
    for i, t in enumerate(recipe.model.Transformations):
        step = next((s for c in chains.values() for s in c.steps if s.name == t.name), None)
        if step is None or not step.needs_fit:
            continue
        source = step.fit_source or ""
        if source not in chains or all(s.name != step.name for s in chains[source].steps):
            errors.append(
                RecipeError(
                    f"{step.name!r} is fitted on {source or 'no split'}, but it does not run on that split",
                    code="fit-source",
                    at=recipe.at(("Transformations", i)),
                    value=source,
                    split=source or "train",
                )
            )
            continue
        wanted.setdefault(source, ())
        wanted[source] += (step,)
    points: list[FitPoint] = []
    for source, steps in wanted.items():
        chain = chains[source]
        by_index: dict[int, list[str]] = {}
        for step in steps:
            by_index.setdefault(_fit_index(plugin.kind, chain, step), []).append(step.name)
        boundary = len(chain.eager)
        late = [index for index in by_index if index >= boundary]
        for index in sorted(by_index):
            riding = rides and index == boundary and late == [boundary]
            points.append(FitPoint(name=f"{source}-{index}", split=source, index=index, steps=tuple(by_index[index]), riding=riding))
    return tuple(points)


def _infer(
    recipe: Recipe,
    plugin: Plugin,
    split: str,
    decoded: ArrayType,
    schema: Any,
    errors: list[RefineryError],
    borrowed: Mapping[str, Borrowed] | None = None,
) -> list[Step] | None:
    steps: list[Step] = []
    before = decoded
    for i, t in enumerate(recipe.model.Transformations):
        op = plugin.op(t.op, "Transformations")
        if not isinstance(op, TransformOp):
            errors.append(
                RecipeError(
                    f"{t.op!r} is not an op of Transformations",
                    code="unknown-op",
                    at=recipe.at(("Transformations", i, "op")),
                    value=t.op,
                    section="Transformations",
                )
            )
            return None
        if split not in t.splits:
            continue
        params = op.spec.params.model_validate(own_params(t.params))
        try:
            out = call_plugin(t.name, f"op:{t.op}", op.infer, before, params)
        except OpTypeError as error:
            errors.append(
                RecipeError(
                    f"{t.name!r} ({t.op}) cannot take {before}: {error}",
                    code="op-type",
                    at=recipe.at(("Transformations", i)),
                    value=str(before),
                    rule=str(error),
                    remedy=error.remedy or "reorder the transformations",
                )
            )
            return None
        if op.spec.fitted and out.dtype == "float32" and schema is not None and schema.dtype in ("float16", "float64"):
            out = out._replace(dtype=schema.dtype)
        pinned: Mapping[str, Any] | None = op.pinned(params) if isinstance(op, FittedOp) else None
        origin: Mapping[str, Any] | None = None
        if "stats_from_instance" in t.params:
            pinned, origin = borrowed_statistics(t.name, borrowed)
            if (problem := channel_problem(pinned, before)) is not None:
                errors.append(
                    RecipeError(
                        f"{t.name!r} imports statistics of {problem[0]} channels for {plugin.kind.noun} of {problem[1]}",
                        code="stats-import",
                        at=recipe.at(("Transformations", i, "params", "stats_from_instance")),
                        value=problem[0],
                        rule="imported statistics have one value, or one a channel",
                        remedy="import from a recipe with the same Input.decode.mode",
                    )
                )
                return None
        steps.append(
            Step(
                name=t.name,
                op=t.op,
                version=op.spec.version,
                params=params.model_dump(mode="json"),
                before=before,
                out=out,
                fitted=op.spec.fitted,
                fit_source=t.fit_source,
                elementwise=op.spec.elementwise,
                splits=tuple(t.splits),
                pinned=pinned,
                origin=origin,
            )
        )
        before = out
    return steps


def _ends(
    plugin: Plugin, augmentations: Sequence[AugmentStep], split: str, types: Sequence[ArrayType], first: int
) -> dict[int, ArrayType | OpTypeError]:
    """The stored type if the tail began at each position from `first` on: after the split's stored augmentations."""
    found: dict[int, ArrayType | OpTypeError] = {}
    for at in range(first, len(types)):
        try:
            found[at] = augmented(plugin, augmentations, split, types[at])
        except OpTypeError as error:
            found[at] = error
    return found


def _tail_start(plugin: Plugin, steps: Sequence[Step]) -> int:
    start = len(steps)
    while start and plugin.ops[steps[start - 1].op].spec.deferrable:
        start -= 1
    return start


def _fit_index(kind: Kind, chain: Chain, step: Step) -> int:
    """How many steps come before the values that are accumulated for `step`: behind elementwise steps the nearest point at which the kind
    has an accumulator of its own, else its own input.
    """
    own = next(i for i, s in enumerate(chain.steps) if s.name == step.name)
    types = [chain.decoded, *(s.out for s in chain.steps)]
    index = own
    while index and kind.accumulator(types[index]) is None and chain.steps[index - 1].elementwise:
        index -= 1
    return own if kind.accumulator(types[index]) is None else index


def _holds(actual: ArrayType, schema: Any) -> bool:
    """Whether the declared dtype and shape can hold of the inferred type; sizes known only from the data are checked record by record."""
    if actual.dtype != schema.dtype:
        return False
    if schema.shape is None:
        return True
    have, want = list(actual.shape), list(schema.shape)
    if len(want) == len(have) + 1 and want[-1] == 1:
        have.append(1)
    return len(have) == len(want) and all(h is None or w is None or h == w for h, w in zip(have, want, strict=True))


def _declared(actual: ArrayType, schema: Any) -> ArrayType:
    """The inferred type with what the schema adds: declared sizes where inference knows none, and a trailing 1 for grey images."""
    if schema.shape is None:
        return actual
    have = [*actual.shape, 1] if len(schema.shape) == len(actual.shape) + 1 else list(actual.shape)
    return ArrayType(actual.dtype, tuple(w if h is None else h for h, w in zip(have, schema.shape, strict=True)))


def _join(a: ArrayType, b: ArrayType) -> ArrayType:
    """The type both splits satisfy; `Output` declares one for all, so only unknown sizes can differ."""
    if len(a.shape) != len(b.shape):
        return a
    return ArrayType(a.dtype, tuple(x if x == y else None for x, y in zip(a.shape, b.shape, strict=True)))


def _unreachable(
    recipe: Recipe,
    kind: Kind,
    splits: Sequence[str],
    steps: Sequence[Step],
    types: Sequence[ArrayType],
    schema: Any,
    first: int,
    end: ArrayType | None,
) -> RecipeError:
    declared = str(ArrayType(schema.dtype, tuple(schema.shape or ()))) if schema.shape is not None else schema.dtype
    story = [f"decoded {types[0]}", *(f"after {s.name} {s.out}" for s in steps)]
    story += [f"after the stored augmentations {end}"] if end is not None else []
    # The type that differs least from the declaration: the dtype is seldom the mistake.
    fitting = end or next((t for t in reversed(types[first:]) if t.dtype == schema.dtype), types[-1])
    shape = ", ".join("null" if n is None else str(n) for n in fitting.shape)
    grey = schema.shape is not None and (len(schema.shape) == 2 or schema.shape[-1] == 1) and types[0].shape[2:] == (3,)
    among = f"the {kind.noun} of split {splits[0]!r}" if len(splits) == 1 else f"the {kind.noun} of splits {', '.join(splits)}"
    return RecipeError(
        f"Output.record_schema.{kind.field} declares {declared}, which {among} never are: {'; '.join(story)}",
        code="schema-reachable",
        at=recipe.at(("Output", "record_schema", kind.field)),
        value=declared,
        rule=f"the declared {kind.field} holds at the end of Transformations, or before a tail that readers apply (normalize, cast)",
        remedy=f"declare {{dtype: {fitting.dtype}, shape: [{shape}]}}, or "
        + ("set Input.decode.mode: L" if grey else "change the transformations"),
    )
