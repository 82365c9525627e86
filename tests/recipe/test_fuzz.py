"""Damaged recipes: whatever is broken, only our own errors come out, each with a place; whatever still loads keeps its promises."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from typing import Any

import pytest

from refinery_beam.errors import RefineryError
from refinery_beam.identity import canonical_bytes
from refinery_beam.plugins.base import Plugin
from refinery_beam.recipe import canonical, effective_yaml, load_recipe, refuse_unexecuted, run_checks
from refinery_beam.recipe.yaml.nodes import to_data
from refinery_beam.recipe.yaml.parse import parse_yaml
from refinery_beam.recipe.yaml.write import quoted

EXTRA = """\
Augmentations: [{name: a, op: horizontal_flip, params: {p: 0.5}, seed: {from: master}}]
Generation: [{name: g, op: imagecorruptions_apply, params: {severities: [1]}, output_schema: {label: {dtype: str}}, seed: 1}]
InputContracts: [{field: image, assertion: {kind: value_range, min: 0}}]
Sinks: [{name: s, stage: post_Splits, field: image, format: png_per_record, path_template: 'a/{path|stem}'}]
Visualizations: [{name: v, op: sample_grid, params: {n: 1}, stage: post_pipeline, mode: reporting}]
SampleData: {selector: {n: 3, seed: 4}}
overlays: {o: {seed: 5}}
extensions: {e: {k: 1}}
"""
JUNK: list[Any] = [
    *(None, True, False, 0, -1, 1.5, "", "x", "5", "train", [], {}, [1], [None], {"a": 1}, {"from": "master"}, [["a"]], 10**30),
    *("a/../b", "\x00", "${env:X}", "path", "label", ["train"], [{}], {"kind": "x"}, {"recipe": 1}, {"op": "resize"}),
]
KEYS = "op params seed kind splits label path predicate assertion stats_from_instance class_balance layout".split()  # noqa: SIM905


def paths(data: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield path
    for key, value in data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ():
        yield from paths(value, (*path, key))


def damage(data: Any, rng: random.Random) -> Any:
    data = copy.deepcopy(data)
    path = rng.choice([p for p in paths(data) if p])
    owner = data
    for step in path[:-1]:
        owner = owner[step]
    kind = rng.random()
    if kind < 0.6:
        owner[path[-1]] = copy.deepcopy(rng.choice(JUNK))
    elif kind < 0.8:
        del owner[path[-1]]
    elif isinstance(owner, dict):
        owner[rng.choice(KEYS)] = copy.deepcopy(rng.choice(JUNK))
    return data


def written(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{quoted(k)}: {written(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(written(v) for v in value) + "]"
    return quoted(value) if isinstance(value, str) else "null" if value is None else str(value).lower()


@pytest.mark.parametrize("version", [1, 2, 3])
def test_only_our_errors_come_out(version: int, base: str, plugin: Plugin) -> None:
    rng = random.Random(version)
    whole = to_data(parse_yaml(base + EXTRA, name="r.yaml"))
    whole["schema_version"] = version
    loaded = 0
    for _ in range(120):
        data = damage(whole, rng)
        if rng.random() < 0.3 and isinstance(data, dict):
            data = damage(data, rng)
        try:
            recipe = load_recipe("r.yaml", text=written(data))
        except RefineryError as error:
            for single in error.errors():
                assert single.at.startswith("r.yaml:") and single.code and single.rule
                assert "Input should" not in single.render()
            continue
        loaded += 1
        for result in run_checks(recipe, plugin, cache_root="/nowhere"):
            assert all(e.at.startswith("r.yaml:") and e.render() for e in result.errors)
        refuse_unexecuted(recipe, plugin)
        again = load_recipe("r.yaml", text=effective_yaml(recipe, plugin))
        assert canonical_bytes(canonical(again, plugin)) == canonical_bytes(canonical(recipe, plugin))
    assert loaded > 10


def test_noise_in_the_text(base: str) -> None:
    rng = random.Random(7)
    noise = [*"\t:-{['\"\n#!|>%@`é\x85\u2028", "&a ", "*a", "  ", "", "? ", "---\n"]
    for _ in range(200):
        text = list(base)
        for _ in range(rng.randrange(1, 4)):
            text[rng.randrange(len(text))] = rng.choice(noise)
        try:
            load_recipe("r.yaml", text="".join(text))
        except RefineryError as error:
            assert all(e.at.startswith("r.yaml:") and e.rule for e in error.errors())
