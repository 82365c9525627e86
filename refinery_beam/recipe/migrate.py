"""Schema versions 1 and 2 in the words of version 3, on the tree, so that every value keeps its position in the text.

v1 left parameters to defaults that later versions require: they are written out here, so that a v1 recipe means what it meant and has
the identity of its v3 spelling.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from refinery_beam.errors import RecipeError
from refinery_beam.recipe.model_ops import ASSERTION_SECTIONS, OP_SECTIONS, PictureStage
from refinery_beam.recipe.yaml.nodes import Node

V1_DEFAULTS: dict[tuple[str, str], dict[str, Any]] = {
    ("Transformations", "resize"): {"method": "bilinear"},
    ("Transformations", "cast"): {"scale": 1.0},
    ("Filters", "filter_by_label"): {"action": "include"},
    ("Featurizations", "label_from_path"): {"source": "parent_directory_name"},
    ("Visualizations", "sample_grid"): {"n": 16, "per_class": False},
    ("Augmentations", "horizontal_flip"): {"p": 0.5},
    ("Augmentations", "color_jitter"): {"brightness": 0.0, "contrast": 0.0, "saturation": 0.0, "hue": 0.0},
    ("Augmentations", "random_crop"): {"padding": 0, "padding_mode": "reflect"},
    ("Augmentations", "random_erasing"): {"p": 0.5, "scale": [0.02, 0.33], "ratio": [0.3, 3.3]},
    ("Generation", "imagecorruptions_apply"): {"preserve_original": False},
}
V1_ASSERTIONS = {"dtype": "dtype_equals", "range": "value_range", "record_count": "record_count_in_range"}
V1_OPS = {"cast_dtype": "cast"}


def migrate(root: Node, version: int, *, file: str) -> list[RecipeError]:
    """Rewrite a recipe's tree from `version` to 3 in place, after overlays; returns the errors of shapes that cannot be rewritten."""
    errors: list[RecipeError] = []

    def fail(message: str, node: Node, **words: Any) -> None:
        line, column = node.at
        errors.append(RecipeError(message, at=f"{file}:{line}:{column}", **words))

    if version == 1:
        for item in _items(root, "Filters"):
            _filter_from_v1(item, fail)
        for item in _items(root, "Generation"):
            _generation_from_v1(item, fail)
        for section in ASSERTION_SECTIONS:
            for item in _items(root, section):
                _assertion_from_v1(item)
        for item in _items(root, "Visualizations"):
            _picture_from_v1(item)
        for section in (*OP_SECTIONS, "Visualizations"):
            for item in _items(root, section):
                _defaults_from_v1(section, item)
    for item in _items(root, "Filters"):
        _seed_of_filter(item, fail)
    version_node = root.value["schema_version"]
    root.value["schema_version"] = version_node.like(3)
    return errors


def _items(root: Node, section: str) -> list[Node]:
    node = root.get(section)
    if node is None or not node.is_list:
        return []
    return [item for item in node.value if item.is_map]


def _filter_from_v1(item: Node, fail: Callable[..., None]) -> None:
    predicate = item.value.get("predicate")
    if predicate is None:
        return  # already in the newer spelling; a missing op is reported by the model
    if "op" in item.value:
        fail("a filter has 'op' or 'predicate', not both", predicate, code="v1-filter")
        del item.value["predicate"]
        return
    op = predicate.get("op")
    if op is None or not isinstance(op.value, str):
        fail(
            "the predicate names no op",
            op or predicate,
            code="v1-filter",
            rule="a predicate of schema_version 1 is {op: word, ...parameters}",
            remedy="add 'op: filter_by_label' or another filter op",
        )
        item.value.setdefault("op", predicate.like("?"))
        del item.value["predicate"]
        return
    rest = {key: node for key, node in predicate.value.items() if key not in ("op", "seed")}
    del item.value["predicate"]
    item.value["op"] = op
    if "seed" in predicate.value and "seed" not in item.value:
        item.value["seed"] = predicate.value["seed"]
    params = item.value.get("params")
    if params is not None and params.is_map:
        rest = {**params.value, **rest}
    item.value["params"] = predicate.like(rest)
    item.value["params"].at_key = predicate.at_key


def _generation_from_v1(item: Node, fail: Callable[..., None]) -> None:
    params, name = item.get("params"), item.get("name")
    if "op" not in item.value:
        inner = params.get("op") if params is not None else None
        if inner is not None and params is not None and isinstance(inner.value, str):
            item.value["op"] = inner
            del params.value["op"]
        elif name is not None:
            item.value["op"] = name
    applies = item.value.get("applies_at")
    if applies is not None:
        if "splits" in item.value:
            fail("a generation has 'splits' or 'applies_at', not both", applies, code="v1-generation")
        else:
            item.value["splits"] = applies
        del item.value["applies_at"]
    matches = item.value.get("output_schema_matches_input")
    if matches is not None and isinstance(matches.value, bool):
        del item.value["output_schema_matches_input"]
        if matches.value:
            item.value["output_schema"] = matches.like("matches_input")


def _assertion_from_v1(item: Node) -> None:
    assertion = item.get("assertion")
    kind = assertion.get("kind") if assertion is not None else None
    if kind is not None and isinstance(kind.value, str):
        kind.value = V1_ASSERTIONS.get(kind.value, kind.value)


def _picture_from_v1(item: Node) -> None:
    # v1 took any word and always drew the final records.
    stage = item.get("stage")
    if stage is not None and isinstance(stage.value, str) and stage.value not in get_args(PictureStage):
        stage.value = "post_pipeline"


def _defaults_from_v1(section: str, item: Node) -> None:
    op = item.get("op")
    if op is None or not isinstance(op.value, str):
        return
    op.value = V1_OPS.get(op.value, op.value)
    defaults = V1_DEFAULTS.get((section, op.value))
    if defaults is None:
        return
    params = item.value.get("params")
    if params is None:
        params = item.value["params"] = op.like({})
    if not params.is_map:
        return
    for name, value in defaults.items():
        if name not in params.value:
            params.value[name] = _node(value, params)


def _node(value: Any, sibling: Node) -> Node:
    return sibling.like([_node(v, sibling) for v in value] if isinstance(value, list) else value)


def _seed_of_filter(item: Node, fail: Callable[..., None]) -> None:
    """A filter's seed is a key next to its op; older recipes have it inside params, with the same meaning."""
    params = item.get("params")
    inner = params.get("seed") if params is not None else None
    if inner is None or params is None:
        return
    outer = item.get("seed")
    if outer is not None and outer.value is not None and inner.value is not None and _plain(outer) != _plain(inner):
        fail("the filter has two different seeds", inner, code="two-seeds")
    del params.value["seed"]
    if outer is None or outer.value is None:
        item.value["seed"] = inner


def _plain(node: Node) -> Any:
    from refinery_beam.recipe.yaml.nodes import to_data

    return to_data(node)
