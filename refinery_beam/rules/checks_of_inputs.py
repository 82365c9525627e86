"""Codes of the checks of a recipe, first part: names, sources, labels and splits."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

INPUTS = {
    "not-executed-yet": Rule(
        "the language has it, this release does not carry it out",
        "this release reads the whole language and carries out a part of it; the rest is refused, not ignored",
        "remove it",
    ),
    "plugin-mismatch": Rule(
        "the recipe is for another plugin", "a recipe runs with the plugin it names", "name the plugin that is bound, or bind this one"
    ),
    "section-unknown-to-plugin": Rule("the plugin has no such section", "a plugin offers operations for some sections", "remove {section}"),
    "unknown-extension": Rule("no plugin declares this extension", "extensions are read by plugins that declare them", "remove it"),
    "duplicate-name": Rule(
        "two operations, sources or fields of one name",
        "names of {kind} are unique, upper and lower case being one",
        "rename one of the two",
    ),
    "unsafe-name": Rule(
        "a name that could not be a file's",
        "names are letters, digits, '.', '_' and '-', do not start with a dot, and have at most {limit} characters",
        "rename it, for example {name!r}",
    ),
    "path-missing": Rule("a source or label table is not there", "relative paths count from the recipe's folder", "check the path"),
    "path-not-a-folder": Rule("a source is a file", "relative paths count from the recipe's folder", "check the path"),
    "output-inside-source": Rule(
        "the cache root lies in a source",
        "what a run writes must not become the next run's input",
        "name a --cache-root outside the source",
    ),
    "unknown-source-type": Rule("no such type of source", "source types: {known}", "write a type that is known"),
    "layout-missing": Rule(
        "an `image_tree` source without a layout",
        "the layout of a source of type {type} says how its paths are built",
        "add for example 'layout: \"{{label}}/{{file}}\"'",
    ),
    "layout-misplaced": Rule("a layout on another type", "layout belongs to {type} sources", "write 'type: {type}', or remove layout"),
    "bad-layout": Rule(
        "a layout that does not follow the grammar", "{grammar}", "correct it, for example '{{label}}/{{file}}' or '{{split}}/{{label}}/**'"
    ),
    "partition-missing": Rule(
        "only some sources declare a partition",
        "either every source declares its partition or none does",
        "add 'partition: train' (or another name) to it",
    ),
    "partition-twice": Rule("a partition and a `{split}` layout", "the partition is declared once", "remove one of the two"),
    "unknown-partition": Rule(
        "`applies_to` names no partition and no tag",
        "applies_to names a partition of the sources, or a tag that a filter gives before the split",
        "give the sources partitions, or remove applies_to",
    ),
    "applies-to-without-ratios": Rule(
        "nothing to divide the partition by",
        "applies_to names the {divided} that ratios divide",
        "add ratios, or remove applies_to",
    ),
    "ratios-with-partitions": Rule(
        "ratios, but no `applies_to`",
        "partitions are the splits; ratios divide one of them, named by applies_to",
        "add 'applies_to: {partition}' to Splits, or remove ratios",
    ),
    "key-assignment-with-partitions": Rule(
        "two rules for the splits", "partitions already are the splits", "remove the partitions or key_assignment"
    ),
    "split-name-collision": Rule(
        "a split of the ratios is also a partition or a tag",
        "splits carved by ratios and {others} have different names",
        "rename one of the two",
    ),
    "unlabeled-type": Rule(
        "a type of source whose folders are classes",
        "class folders are labels, and an unlabeled source has none",
        "write 'type: {type}'",
    ),
    "unlabeled-with-labels": Rule(
        "an unlabelled source with a label table or `{label}`", "an unlabeled source has no labels", "remove unlabeled or label_from"
    ),
    "unlabeled-without-partition": Rule(
        "an unlabelled source that is no partition",
        "unlabeled records are a partition of their own",
        "add 'partition: test' (or another name)",
    ),
    "label-of-unlabeled": Rule(
        "something needs labels of unlabelled records",
        "what reads labels runs on labeled splits only",
        "let it run on labeled splits, or remove it",
    ),
    "no-label-source": Rule(
        "a flat source without labels",
        "a flat source needs label_from, or 'unlabeled: true' with a partition",
        "add label_from, or set Labels.source.kind to derived",
    ),
    "two-label-sources": Rule(
        "folders and a table",
        "a source of type {value} takes labels from its folders",
        "use type: {type} with label_from, or remove label_from",
    ),
    "label-column-missing": Rule("the table lacks a column", "its columns are {columns}", "name one of its columns"),
    "label-table-empty": Rule("the table has no row", "a label table has a header row and a row for each image", "check the path"),
    "label-not-in-schema": Rule(
        "the label is not in `Output.record_schema`",
        "the label is a field of Output.record_schema",
        "add '{field}: {{dtype: str}}' to Output.record_schema",
    ),
    "label-dtype": Rule(
        "labels that are not of the dtype that is declared",
        "a label is text, or a whole number by its decimal text: '7', not '07' and not '7.0'",
        "declare dtype: str, and number classes with categorical_encode",
    ),
    "label-not-made": Rule(
        "a derived label that nothing derives",
        "a derived label has a derivation, or a featurization that reads it off a path",
        "add 'derivation: parent_directory_name' to Labels.source",
    ),
    "label-made-twice": Rule("two rules make the label", "one rule makes the label", "make both the same, or remove one"),
    "label-derivation-unused": Rule(
        "a derivation, but labels are direct",
        "direct labels come from the folder or the label table; a derivation belongs to kind: derived",
        "write 'kind: derived', or remove the derivation",
    ),
    "reserved-field": Rule("a field name that records already use", "the loader fills {reserved}", "choose another name"),
    "no-split-rule": Rule(
        "neither ratios nor assignment nor partitions",
        "Splits needs ratios or key_assignment, unless every source has a partition",
        "add 'ratios: {{train: 0.8, test: 0.2}}' to Splits",
    ),
    "two-split-rules": Rule("ratios and an assignment", "one rule makes the splits", "remove one of the two"),
    "order-by-misplaced": Rule(
        "`order_by` and `method: ordered` need each other, and ratios",
        "method: ordered divides by ratios in the order of the field order_by",
        "write 'method: ordered' with 'order_by: FIELD' and ratios, or remove both",
    ),
    "stratify-unused": Rule(
        "warning: `stratify_by` with `method: hash`",
        "method: hash looks at nothing but the hash of a record or group",
        "write 'method: exact', or remove stratify_by",
    ),
    "negative-ratio": Rule("a ratio below 0", "a ratio is at least 0", "write a share between 0 and 1"),
    "ratios-above-one": Rule("ratios sum to more than 1", "ratios are shares of 1: they sum to at most 1", "lower one of them"),
    "ratios-below-one": Rule(
        "warning: some records stay unassigned",
        "records beyond the ratios are left out and counted in the ledger",
        "raise one of them if that is not meant",
    ),
    "class-balance-twice": Rule("two places decide on class balance", "one place decides on class balance", "remove one of the two"),
}
