"""Codes of a recipe's text, and of its words and values."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

TEXT = {
    "recipe-unreadable": Rule("the file cannot be read", "the recipe is a readable file", "check the path"),
    "yaml-not-utf8": Rule("not UTF-8", "a recipe is UTF-8 text", "save the file as UTF-8"),
    "yaml-characters": Rule(
        "a control character",
        "a recipe is printable UTF-8 text",
        'write it as an escape in double quotes, such as "\\x07", or remove it',
    ),
    "yaml-syntax": Rule("malformed YAML", "the recipe must be valid YAML", "check indentation, quotes and brackets around this place"),
    "yaml-duplicate-key": Rule("a key stands twice", "a mapping has each key once", "remove one of the two"),
    "yaml-key-not-text": Rule("a key is a number, a date, true, ...", "keys are text", "write it in quotes"),
    "yaml-number": Rule(
        "a number that is not finite or too large",
        "numbers in a recipe are finite and fit a double",
        "write an ordinary number, or quote it if it is text",
    ),
    "yaml-alias": Rule(
        "an anchor of a mapping, or an alias of nothing",
        "an alias stands for a value or a list that has the anchor above it; mappings have none",
        "write the value out in each place",
    ),
    "yaml-tag": Rule(
        "tags",
        "a recipe is plain data; its values carry no tags",
        "remove the tag; quote the value if it shall be text",
    ),
    "yaml-many-documents": Rule(
        "more than one document",
        "a recipe is one YAML document",
        "remove the '---' line or keep the documents in files of their own",
    ),
    "yaml-too-large": Rule(
        "more bytes than a recipe may have",
        "a recipe has at most {limit} bytes",
        "keep tables and lists of files in files of their own (label_from, ...)",
    ),
    "yaml-too-deep": Rule("nested too deep", "a recipe nests at most {limit} levels", "flatten this part"),
    "yaml-too-many-values": Rule(
        "too many keys and values",
        "a recipe holds at most {limit} keys and values",
        "keep long tables in files of their own (label_from, ...)",
    ),
    "not-a-mapping": Rule(
        "the recipe is empty, a list or a word",
        "a recipe is a mapping that starts with schema_version",
        "write 'schema_version: 3' and the sections below it",
    ),
    "schema-version": Rule(
        "missing, not a number, or unknown",
        "schema_version is the whole number 1, 2 or 3",
        "write 'schema_version: 3'",
    ),
}

WORDS = {
    "unknown-field": Rule(
        "a key that is not known there", "a mapping has the keys that its place knows", "write a known key, or remove this one"
    ),
    "missing-field": Rule("a required key is missing", "what is required is given", "add the key"),
    "bad-type": Rule("a value of another type", "a value is of the type that its key takes", "write a value of that type"),
    "bad-value": Rule(
        "a value out of range, or not one of the known words", "a value is one of those that its key takes", "change the value"
    ),
    "bad-location": Rule(
        "a path that cannot be one",
        "a variable stands at the start of a location: ${{env:NAME}} or ${{env:NAME}}/sub",
        "write a path, a URL, or ${{env:NAME}}/rest/of/the/path",
    ),
    "env-missing": Rule(
        "`${env:NAME}` names a variable that is not set or empty",
        "${{env:NAME}} in a location stands for the value of that variable",
        "set {name}, or write the path itself",
    ),
    "env-not-location": Rule(
        "`${env:NAME}` outside a location",
        "${{env:NAME}} is legal in locations only (path, label_from.path, stats_from_instance.recipe, reference.instance): "
        "a recipe means the same on every machine",
        "write the value itself, or use an overlay",
    ),
    "variants-and-overlays": Rule(
        "both names of one section", "variants is the older name of overlays", "move these entries under overlays"
    ),
    "unknown-overlay": Rule(
        "`--overlay` names none of the recipe's",
        "an overlay is declared under 'overlays' (or 'variants')",
        "name an overlay that the recipe declares",
    ),
    "two-seeds": Rule(
        "two seeds for one filter",
        "a filter's seed stands beside op, or inside params in older recipes",
        "remove one of the two",
    ),
    "v1-filter": Rule(
        "both spellings of a filter",
        "schema_version 1 names the op inside predicate, later versions beside it",
        "remove one of the two",
    ),
    "v1-generation": Rule("both spellings of a generation step", "applies_at is the older name of splits", "remove applies_at"),
}
