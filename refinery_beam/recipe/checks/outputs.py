"""Checks of what comes out: assertions, pictures, sinks, stored form."""

from __future__ import annotations

import re
from typing import Any

from refinery_beam.errors import did_you_mean
from refinery_beam.plugins.pictures import PictureOp
from refinery_beam.recipe.checks.context import Context, Finding, Findings, Step
from refinery_beam.recipe.params import model_errors

DTYPES = (
    *("str", "bytes", "bool", "int", "float", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "list[str]", "list[int64]", "list[float64]"),
)
FILTERS = ("stem", "lower", "upper", "str")
MAX_PART = 200
"""Bytes of one part of a sink's path, which leaves room below what file systems take."""
_TOKEN = re.compile(r"\{([^{}]*)\}")

# kind -> (takes a field: yes, no, or either; parameters: name -> (type, required); for OutputExpectations only)
ASSERTIONS: dict[str, tuple[bool | None, dict[str, tuple[str, bool]], bool]] = {
    "record_count_in_range": (False, {"min": ("int", False), "max": ("int", False)}, False),
    "required_field": (True, {}, False),
    "dtype_equals": (True, {"expected": ("text", True)}, False),
    "value_range": (True, {"min": ("number", False), "max": ("number", False)}, False),
    "distributional": (True, {"reference": ("mapping", True), "distance": ("text", True), "max": ("number", True)}, False),
    "split_record_counts": (False, {"counts": ("counts", True)}, True),
    "per_class_count_per_split": (True, {"per_class": ("int", True), "tolerance": ("int", False)}, True),
    "count_by_field": (True, {"value_per_key": ("int", True)}, False),
    "count_by_fields": (False, {"fields": ("texts", True), "value_per_combination": ("int", True)}, False),
    "shape_equals": (True, {"value": ("ints", True)}, False),
    "value_in_set": (True, {"value": ("list", True)}, False),
    "per_class_count_equals": (True, {"value": ("int", True)}, False),
}
_EXPECTED = ("int", "float", "bool", "str", "bytes", *(d for d in DTYPES if d[-1].isdigit()))
_WORDS = {
    "int": "a whole number of at least 0",
    "number": "a number",
    "text": "text",
    "texts": "a list of field names",
    "ints": "a list of whole numbers",
    "list": "a list",
    "counts": "a mapping of splits to whole numbers",
    "mapping": "a mapping",
}


def visualization_well_formed(c: Context) -> Findings:
    """11: a picture shows a stage that exists, splits that exist, and pixels only where images are stored."""
    for i, v in enumerate(c.model.Visualizations):
        section = v.stage.removeprefix("post_")
        if section not in ("pipeline", "Splits") and not getattr(c.model, section):
            yield c.error(
                f"{v.name!r} draws {v.stage}, but {section} is empty",
                "Visualizations",
                i,
                "stage",
                code="empty-stage",
                value=v.stage,
                rule="a picture shows the records after a section that has entries",
                remedy="write 'stage: post_pipeline'",
            )
        splits = v.params.get("splits")
        for j, name in enumerate(splits if isinstance(splits, list | tuple) else ()):
            if name not in c.split_names and not c.split_layouts:
                yield c.error(
                    f"{v.name!r} draws the split {name!r}, which there is not",
                    "Visualizations",
                    i,
                    "params",
                    "splits",
                    j,
                    code="unknown-split",
                    value=name,
                    rule="defined splits: " + ", ".join(c.split_names),
                    remedy=did_you_mean(name, c.split_names) if isinstance(name, str) else "",
                )
        op = c.plugin.op(v.op)
        if getattr(op, "needs_pixels", False) and "image" not in c.model.Output.record_schema and isinstance(op, PictureOp):
            yield c.error(
                f"{v.name!r} draws images, and none are stored",
                "Visualizations",
                i,
                "op",
                code="picture-without-image",
                value=v.op,
                rule="pictures are drawn from stored rows",
                remedy="add image to Output.record_schema",
            )


def visualization_group_by_resolvable(c: Context) -> Findings:
    """25: pictures group by a field that exists."""
    known = c.known_fields()
    for i, v in enumerate(c.model.Visualizations):
        name = v.params.get("group_by")
        if isinstance(name, str) and name not in known and not c.open_fields:
            yield c.error(
                f"{v.name!r} groups by {name!r}, which is no field",
                "Visualizations",
                i,
                "params",
                "group_by",
                code="unknown-field-name",
                value=name,
                rule=f"fields: {', '.join(known)}",
                remedy=did_you_mean(name, known),
            )


def contract_fields_exist_at_stage(c: Context) -> Findings:
    """17: assertions speak of fields that exist at their stage."""
    for section in ("InputContracts", "OutputExpectations"):
        known = c.known_fields(before=0 if section == "InputContracts" else None)
        for i, contract in enumerate(getattr(c.model, section)):
            named: list[tuple[str, tuple[Step, ...]]] = []
            if contract.field is not None:
                named.append((contract.field, (section, i, "field")))
            fields = contract.assertion.get("fields")
            if isinstance(fields, list):
                named += [(f, (section, i, "assertion", "fields", j)) for j, f in enumerate(fields) if isinstance(f, str)]
            for name, path in named:
                if name not in known and not c.open_fields:
                    yield c.error(
                        f"{section} asserts something of {name!r}, which is no field there",
                        *path,
                        code="unknown-field-name",
                        value=name,
                        rule=f"fields: {', '.join(known)}",
                        remedy=did_you_mean(name, known),
                    )


def assertion_params(c: Context) -> Findings:
    """105: assertions are of a known kind, with the parameters it takes."""
    for section in ("InputContracts", "OutputExpectations"):
        for i, contract in enumerate(getattr(c.model, section)):
            kind = contract.assertion["kind"]
            at = (section, i, "assertion")
            kinds = list(dict.fromkeys((*ASSERTIONS, *c.plugin.assertions)))
            if kind not in kinds:
                yield c.error(
                    f"unknown assertion kind {kind!r}",
                    *at,
                    "kind",
                    code="unknown-assertion",
                    value=kind,
                    rule="kinds: " + ", ".join(kinds),
                    remedy=did_you_mean(kind, kinds),
                )
                continue
            spec = c.plugin.assertions[kind].spec if kind in c.plugin.assertions else None
            fields = contract.assertion.get("fields")
            if isinstance(fields, list) and "image" in fields:
                yield c.error(
                    f"{kind} does not count images",
                    *at,
                    "fields",
                    fields.index("image"),
                    code="assertion-field",
                    value="image",
                    rule="records are counted by values that can be equal",
                    remedy="name another field",
                )
            if spec is not None and spec.pixels == "no" and contract.field == "image":
                yield c.error(
                    f"{kind} does not look at images",
                    section,
                    i,
                    "field",
                    code="assertion-field",
                    value="image",
                    rule="of images: " + ", ".join(sorted(k for k, a in c.plugin.assertions.items() if a.spec.pixels != "no")),
                    remedy="name another field",
                )
            if kind in ASSERTIONS:
                needs_field, params, late = ASSERTIONS[kind]
            else:
                assert spec is not None
                needs_field, params, late = spec.field, {}, spec.output_only
            if late and section == "InputContracts":
                yield c.error(
                    f"{kind} is for OutputExpectations",
                    *at,
                    "kind",
                    code="assertion-section",
                    value=kind,
                    rule="input contracts are checked before splits are made",
                    remedy="move it to OutputExpectations",
                )
            if needs_field is not None and needs_field != (contract.field is not None):
                yield c.error(
                    f"{kind} {'needs a field' if needs_field else 'takes no field'}",
                    section,
                    i,
                    *([] if needs_field else ["field"]),
                    code="assertion-field",
                    value=contract.field,
                    rule=f"{kind} speaks of {'one field' if needs_field else 'records'}",
                    remedy="add 'field: name'" if needs_field else "remove field",
                )
            found = list(_parameters(c, at, contract.assertion, kind, params)) if kind in ASSERTIONS else []
            yield from found
            if spec is not None and not found:
                written = {k: v for k, v in contract.assertion.items() if k != "kind"}
                yield from (Finding("error", e) for e in model_errors(c.recipe, at, written, spec.params))


def _parameters(c: Context, at: tuple[Step, ...], given: dict[str, Any], kind: str, params: dict[str, tuple[str, bool]]) -> Findings:
    for name in given:
        if name != "kind" and name not in params:
            yield c.error(
                f"{kind} has no parameter {name!r}",
                *at,
                name,
                key=True,
                code="unknown-field",
                value=name,
                rule=f"{kind} takes {', '.join(params) or 'no parameters'}",
                remedy=did_you_mean(name, params) if params else "remove it",
            )
    for name, (what, required) in params.items():
        if name not in given:
            if required:
                yield c.error(
                    f"{kind} lacks {name!r}", *at, code="missing-field", rule=f"{name!r} is {_WORDS[what]}", remedy=f"add '{name}:'"
                )
        elif not _fits(given[name], what) or (name == "expected" and given[name] not in _EXPECTED):
            yield c.error(
                f"{name} of {kind} must be {_WORDS[what]}" if name != "expected" else f"unknown dtype {given[name]!r}",
                *at,
                name,
                code="bad-type",
                value=str(given[name]),
                rule=f"{name!r} is {_WORDS[what]}" if name != "expected" else "a dtype word",
                remedy=did_you_mean(str(given[name]), _EXPECTED) if name == "expected" else "change the value",
            )
    if {"min", "max"} <= set(params):
        low, high = given.get("min"), given.get("max")
        if low is None and high is None:
            yield c.error(
                f"{kind} has neither min nor max",
                *at,
                code="missing-field",
                rule="a range has at least one end",
                remedy="add 'min:' or 'max:'",
            )
        elif _fits(low, "number") and _fits(high, "number") and low > high:  # type: ignore[operator]
            yield c.error(
                f"min {low} is above max {high}",
                *at,
                "min",
                code="bad-value",
                value=low,
                rule="min is at most max",
                remedy="swap them",
            )


def _fits(value: Any, what: str) -> bool:
    if what == "int":
        return isinstance(value, int) and not isinstance(value, bool) and value >= 0
    if what == "number":
        return isinstance(value, int | float) and not isinstance(value, bool)
    if what == "text":
        return isinstance(value, str)
    if what == "mapping":
        return isinstance(value, dict)
    if what == "counts":
        return isinstance(value, dict) and all(_fits(v, "int") for v in value.values())
    if not isinstance(value, list):
        return False
    inner = {"texts": "text", "ints": "int"}.get(what)
    return inner is None or (bool(value) and all(_fits(v, inner) for v in value))


def sinks(c: Context) -> Findings:
    """24: sinks have names of their own, write fields and splits that exist, and cannot leave the instance."""
    seen: set[str] = set()
    known = c.known_fields()
    for i, sink in enumerate(c.model.Sinks):
        if sink.name.casefold() in seen:
            yield c.error(
                f"two sinks are named {sink.name!r}",
                "Sinks",
                i,
                "name",
                code="duplicate-name",
                value=sink.name,
                rule="sinks have names of their own",
                remedy="rename one of the two",
            )
        seen.add(sink.name.casefold())
        if sink.field not in known and not c.open_fields:
            yield c.error(
                f"the sink {sink.name!r} writes {sink.field!r}, which is no field",
                "Sinks",
                i,
                "field",
                code="unknown-field-name",
                value=sink.field,
                rule=f"fields: {', '.join(known)}",
                remedy=did_you_mean(sink.field, known),
            )
        for j, name in enumerate(sink.splits or ()):
            if name not in c.split_names and name != "_records" and not c.split_layouts:
                yield c.error(
                    f"unknown split {name!r}",
                    "Sinks",
                    i,
                    "splits",
                    j,
                    code="unknown-split",
                    value=name,
                    rule="defined splits: " + ", ".join(c.split_names),
                    remedy=did_you_mean(name, c.split_names),
                )
        problem = template_problem(sink.path_template, known if not c.open_fields else None)
        if problem:
            yield c.error(
                f"the path_template {sink.path_template!r} {problem}",
                "Sinks",
                i,
                "path_template",
                code="bad-template",
                value=sink.path_template,
                rule="a template is a relative path of text, {field}, {field|stem} (stem, lower, upper, str) and {split}",
                remedy="for example images/{split}/{path|stem}.png",
            )


def template_problem(template: str, known: list[str] | None) -> str:
    """What is wrong with a sink's path template; '' if nothing is that can be told from its text.

    >>> template_problem("a/{path|stem}.png", ["path"]), template_problem("../{path}", None)
    ('', 'leaves the instance')
    """
    if template.startswith(("/", "~")) or re.match(r"[A-Za-z]:|[A-Za-z][A-Za-z0-9+.-]*://", template):
        return "is absolute"
    if ".." in re.split(r"[/\\]", template):
        return "leaves the instance"
    if any(ord(ch) < 32 for ch in template):
        return "holds a control character"
    rest = _TOKEN.sub("", template)
    if "{" in rest or "}" in rest:
        return "has an unbalanced brace"
    tokens = _TOKEN.findall(template)
    if not tokens:
        return "names every file the same"
    if any(len(part.encode()) > MAX_PART for part in rest.split("/")):
        return f"has a part of more than {MAX_PART} bytes"
    for token in tokens:
        name, bar, word = token.partition("|")
        if bar and word not in FILTERS:
            return f"uses the unknown filter {word!r}: {did_you_mean(word, FILTERS)}"
        if known is not None and name != "split" and name not in known:
            return f"names the unknown field {name!r}: {did_you_mean(name, [*known, 'split'])}"
    if template.startswith("{path}"):
        return "starts with the source path, which may be absolute"
    return ""


def npy_sink_targets_pre_normalize_field(c: Context) -> Findings:
    """30: arrays are written before a fitted featurization replaces their values."""
    fitted = {}
    for section, _, operation in c.operations("Featurizations"):
        spec = c.spec(section, operation)
        if (spec is not None and spec.fitted) or operation.op == "audio_normalize":
            fitted[operation.output_field] = operation.name
    for i, sink in enumerate(c.model.Sinks):
        if sink.format == "npy_per_record" and sink.field in fitted:
            yield c.error(
                f"the sink {sink.name!r} writes {sink.field!r}, the output of the fitted {fitted[sink.field]!r}",
                "Sinks",
                i,
                "field",
                code="sink-after-fit",
                value=sink.field,
                rule="npy sinks keep values as they are before normalization",
                remedy="name the field that goes into it",
            )


def output_options(c: Context) -> Findings:
    """109: dtypes are known words, and the encoding suits format and schema."""
    output = c.model.Output
    for name, declared in output.record_schema.items():
        if declared.dtype not in DTYPES:
            yield c.error(
                f"unknown dtype {declared.dtype!r}",
                "Output",
                "record_schema",
                name,
                "dtype",
                code="unknown-dtype",
                value=declared.dtype,
                rule="dtypes: " + ", ".join(DTYPES),
                remedy=did_you_mean(declared.dtype, DTYPES),
            )
    image = output.record_schema.get("image")
    at = ("Output", "encoding")
    if output.encoding is None:
        return
    if image is None:
        yield c.warning(
            "an encoding is given, but no image is stored",
            *at,
            code="encoding-unused",
            value=output.encoding,
            rule="the encoding is that of the field 'image'",
            remedy="add image to Output.record_schema, or remove encoding",
        )
        return
    if output.encoding == "tensor" and (image.shape is None or None in image.shape):
        yield c.error(
            "encoding: tensor needs a fixed image shape",
            *at,
            code="encoding-shape",
            value=output.encoding,
            rule="a tensor column holds arrays of one shape",
            remedy="declare the whole shape in Output.record_schema.image, or write 'encoding: png'",
        )
    if output.encoding in ("png", "jpeg", "webp") and image.dtype != "uint8":
        yield c.error(
            f"encoding: {output.encoding} cannot hold {image.dtype} pixels",
            *at,
            code="encoding-dtype",
            value=output.encoding,
            rule="image files hold uint8 pixels",
            remedy="write 'encoding: tensor', or declare the image as uint8",
        )
    if output.encoding == "source":
        for section, i, operation in c.operations("Transformations"):
            spec = c.spec(section, operation)
            if spec is not None and spec.pixel_altering:
                yield c.error(
                    f"encoding: source stores the files untouched, but {operation.name!r} changes pixels",
                    *at,
                    code="encoding-source",
                    value=output.encoding,
                    rule=f"source is legal only when no op changes pixels ({c.recipe.place((section, i))})",
                    remedy="choose another encoding, or remove the operation",
                )
    if "quality" in output.model_fields_set and output.encoding not in ("jpeg", "webp"):
        yield c.warning(
            f"quality has no effect with encoding: {output.encoding}",
            "Output",
            "quality",
            code="quality-unused",
            value=output.quality,
            rule="quality belongs to jpeg and webp",
            remedy="remove it",
        )
