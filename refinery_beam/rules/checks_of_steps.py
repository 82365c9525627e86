"""Codes of the checks of a recipe, second part: operations, fields, assertions and what is stored."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

STEPS = {
    "no-splits": Rule(
        "an operation names no split",
        "a filter after the split, a transformation, an augmentation and a featurization say which splits they run on",
        "add 'splits: [{splits}]'",
    ),
    "unknown-split": Rule("no such split", "defined splits: {known}", "name a split of the recipe"),
    "unknown-op": Rule("no such op", "an op of section {section}", "name an op of that section"),
    "op-section": Rule("an op in a section that is not its own", "an op belongs to one section", "move it to {section}"),
    "op-type": Rule(
        "an op cannot take what comes before it", "an op takes what comes before it", "reorder the operations, or change what comes before"
    ),
    "unknown-field-name": Rule("no such field", "fields: {known}", "name a field that is there"),
    "unknown-tag": Rule("no earlier filter gives this tag", "tags are given by {givers}", "name a tag of an earlier filter"),
    "fit-source": Rule(
        "a fitted op without `fit_source: train`, or that does not run on train",
        "a fitted op learns from the values it will see, so it must run on its fit_source",
        "add {split!r} to its splits",
    ),
    "fit-source-unused": Rule("warning: the op fits nothing", "fit_source belongs to fitted operations", "remove fit_source"),
    "stats-import": Rule(
        "a malformed `stats_from_instance`, or one that excludes what stands beside it or does not fit the images",
        "stats_from_instance is {{recipe: path, op_id: name}}",
        "write recipe and op_id, and nothing else",
    ),
    "stats-no-instance": Rule(
        "the recipe that statistics come from has no instance in the cache",
        "statistics are imported from an instance that is there; reading never builds",
        "refinery-beam --cache-root {root} run {recipe}",
    ),
    "stats-no-op": Rule(
        "its instance has no statistics of that operation",
        "op_id is the name of a fitted operation of the other recipe",
        "name a fitted operation of the other recipe",
    ),
    "stats-other-op": Rule(
        "they are those of another op, or of another version",
        "statistics are imported from the same op of the same version",
        "name an op of the same kind",
    ),
    "stats-cycle": Rule("imports that lead back", "imports of statistics never lead back", "fit in one of the two recipes"),
    "augmentation-split": Rule("an augmentation outside train", "augmentations run on train only", "write 'splits: [train]'"),
    "dtype-before-augmentation": Rule(
        "an augmentation would get other than 8-bit pixels",
        "aggressive augmentations take what is stored before such operations",
        "declare {content!r} as uint8 in Output.record_schema, so that it is applied by readers",
    ),
    "generation-schema": Rule(
        "generated records of another schema",
        "generated records have the fields of Output.record_schema, with the same dtype and shape",
        "write 'output_schema: matches_input'",
    ),
    "sample-size": Rule("a sample without a sensible size", "a sample is n records or a fraction of them", "write either n or fraction"),
    "unknown-dtype": Rule("no such dtype", "dtypes: {known}", "write a dtype that is known"),
    "schema-reachable": Rule(
        "no rule gives a declared field, or the image has another type",
        "every stored row has every field of Output.record_schema",
        "change the field's declaration, or add the operation that makes it",
    ),
    "output-options": Rule(
        "output options that do not go together", "{encoding} is legal only when no op changes what is stored", "use another encoding"
    ),
    "encoding-dtype": Rule(
        "the encoding cannot hold content of this type", "an encoding holds content of some types", "choose another encoding"
    ),
    "encoding-shape": Rule(
        "a tensor of varying shape",
        "a tensor column has a fixed number of bytes a row",
        "bring all records to one shape, or choose another encoding",
    ),
    "encoding-size": Rule(
        "a tensor larger than a value of a column may be",
        "a value of a column has less than 2 GiB",
        "bring images to a smaller size",
    ),
    "encoding-source": Rule(
        "original files, but an op changes their content",
        "{encoding} is legal only when no op changes content ({op_at})",
        "choose another encoding, or remove the operation",
    ),
    "encoding-unused": Rule(
        "warning: no content is stored",
        "the encoding is that of the field {field!r}",
        "add {field} to Output.record_schema, or remove encoding",
    ),
    "row-groups-unused": Rule(
        "warning: no content is stored",
        "row groups are cut by the bytes of the field {field!r}",
        "add {field} to Output.record_schema, or remove row_group_bytes",
    ),
    "quality-unused": Rule("warning: the encoding has no quality", "quality belongs to encodings that lose something", "remove it"),
    "unknown-assertion": Rule("no such kind of assertion", "kinds: {known}", "write a kind that is known"),
    "assertion-field": Rule(
        "an assertion with a field too many or too few",
        "an assertion speaks of a field that it can look at, or of records",
        "name another field",
    ),
    "assertion-section": Rule(
        "an assertion in the other section",
        "input contracts are checked before splits are made",
        "move it to OutputExpectations",
    ),
    "empty-stage": Rule(
        "a picture of a stage that is empty",
        "a picture shows the records after a section that has entries",
        "write 'stage: post_pipeline'",
    ),
    "bad-template": Rule(
        "a path template that could leave its folder, or is malformed",
        "a template is a relative path of text, {{field}}, {{field|stem}} (stem, lower, upper, str) and {{split}}",
        "for example images/{{split}}/{{path|stem}}.png",
    ),
    "sink-after-fit": Rule(
        "a sink of a fitted value", "npy sinks keep values as they are before normalization", "name the field that goes into it"
    ),
    "sink-field": Rule(
        "a sink of a field that its format cannot hold",
        "png_per_record writes 8-bit images of 1, 3 or 4 channels; npy_per_record writes images and fields of numbers",
        "name another field or format",
    ),
    "contract-reference": Rule(
        "the instance that `distributional` compares with is not there, or lacks the split or field",
        "an assertion is compared with a split of a finished instance: a directory, or the recipe that made it",
        "name an instance that has it, or run its recipe first",
    ),
}
