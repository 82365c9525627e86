"""Codes of errors in the data: sources, label tables, and what a run makes of them."""

from __future__ import annotations

from refinery_beam.rules.rule import Rule

DATA = {
    "init-layout": Rule(
        "a folder that `init` makes nothing of",
        "init knows class folders, images with a label table, and train/, val/ and test/ with class folders; it asks where two things fit",
        "point it at class folders or a folder with a table, or write the recipe by hand: docs/recipes.md",
    ),
    "source-path": Rule(
        "a source is not a readable folder",
        "a source's path is a folder that can be read; relative paths start at the recipe file's folder",
        "correct the path, or mount what should be there",
    ),
    "link-outside": Rule(
        "a link leads out of its source",
        "links in a source lead to files of the source: one that leaves it may lead to any file of the machine",
        "set Input.follow_links: outside if the links are meant, as in the caches of Hugging Face and DVC; or copy the files",
    ),
    "unreadable-folder": Rule(
        "a folder below a source cannot be read",
        "every folder below a source must be readable: what cannot be listed cannot be counted",
        "give this user read and search permission, or move the folder out of the source",
    ),
    "no-class-folder": Rule(
        "no class folder in the source",
        "{type} expects one folder a class, with the {noun}s in it",
        "point path at the folder that holds the class folders, or use a flat type with label_from",
    ),
    "no-images": Rule("no image in the source", "a source selects at least one file", "correct the path or the type of the source"),
    "no-visualizations": Rule(
        "`draw` is asked for pictures, and the recipe asks for none",
        "pictures are those of the recipe's Visualizations",
        "add Visualizations to the recipe: docs/recipes.md shows each; report/report.html has pictures of its own",
    ),
    "picture-without-image": Rule(
        "a picture of images where none are stored", "pictures are drawn from stored rows", "add {content} to Output.record_schema"
    ),
    "bad-name": Rule(
        "file names that are not UTF-8",
        "a record is named by its path, so file names are UTF-8 text",
        "rename them (convmv does it in bulk), or set Input.on_error: quarantine",
    ),
    "two-tags": Rule(
        "with splits by tags, a record has two that name a split",
        "with Splits.applies_to {tag!r} every other record is in the split named by its only tag",
        "let each sampling filter exclude_already_labeled the tags of those before it",
    ),
    "record-id-twice": Rule(
        "two files of one record id",
        "a record id is the source's name and the relative path in Unicode NFC, and names one file",
        "rename one of the two files, or one of the sources",
    ),
    "changed-during-run": Rule(
        "files changed after they were listed, or after they were hashed",
        "the key of an instance names the bytes of its files, so files stay as they are until a run ends",
        "run again when nothing writes to the source; nothing was promoted",
    ),
    "unreadable": Rule(
        "files that cannot be read",
        "files are readable by the user who runs this",
        "check path and permissions",
    ),
    "label-table": Rule(
        "the table of labels cannot be read, or is empty",
        "label_from.path is a file or URL that can be read; relative paths start at the recipe file's folder",
        "correct the path",
    ),
    "label-encoding": Rule(
        "the table is not in the encoding that is expected",
        "a label table is UTF-8, UTF-16 with a byte order mark, or what label_from.encoding declares",
        "add 'encoding: {encoding}' to label_from, or convert it: iconv -f {encoding} -t utf-8 labels.csv > labels.utf8.csv",
    ),
    "label-column": Rule(
        "its columns are not as declared",
        "id_field and label_field name columns of the table, letter by letter",
        "name one of its columns; a table without a header row needs label_from.header",
    ),
    "label-row": Rule(
        "a row of another length",
        "every row has one value a column: {columns}",
        "complete the row, or quote values that hold the separator",
    ),
    "label-value": Rule(
        "a label that is neither text nor integer", "ids and labels are text or integers", "write the column as text or integers"
    ),
    "label-duplicate": Rule("an id in two rows", "an id stands in one row", "keep one of these rows"),
    "label-several": Rule(
        "several labels of one image",
        "an image has one label; several (multi-label) are not supported yet",
        "keep one label a row; if each cell is one label after all, add single_label: true to label_from",
    ),
    "row-order": Rule(
        "the order of rows is not that of the files, or it is not clear which is meant",
        "by_row_order gives row k to the k-th file: in the order of their relative paths by character, or with order: natural by number",
        "write order: natural or order: lexical, or join by_id",
    ),
    "label-ids": Rule(
        "no form of id fits",
        "ids are relative paths, file names or stems of the source's files",
        "name the right id_field, or write the ids as paths, file names or stems",
    ),
    "label-ambiguous": Rule("an id fits several images", "an id fits one file", "write the ids as {form}"),
    "label-count": Rule(
        "rows and images differ in number",
        "by_row_order gives row k to the k-th file, so the counts are equal",
        "complete the table, or join by_id",
    ),
    "label-missing": Rule(
        "images without a label",
        "every {noun} of a labeled source has a label that is not empty",
        "add the labels, take the {noun}s out of the source, or set Input.on_error: quarantine",
    ),
    "no-labels": Rule(
        "a source that says nowhere what its labels are",
        "labels come from class folders, a {{label}} in layout, label_from, or Labels.source.derivation",
        "add label_from, or set unlabeled: true with a partition",
    ),
    "group-missing": Rule(
        "a record without the field of `group_by`",
        "with Splits.group_by every record has the field",
        "fill the column, or drop group_by",
    ),
    "order-missing": Rule(
        "a record without the field of `order_by`",
        "with Splits.method: ordered every record has a number, a date or a text in {field!r}",
        "fill the column, or take such records out by a filter before the splits",
    ),
    "order-mixed": Rule(
        "values of `order_by` that have no common order",
        "the values of Splits.order_by are all numbers, all dates and times of ISO 8601 (all with a zone, or none), or all other text",
        "write all values in one way",
    ),
    "order-date": Rule(
        "dates in `order_by` that do not begin with the year",
        "a date begins with the year (ISO 8601: 2024-03-01); as text, day or month would decide the order",
        "rewrite the column",
    ),
    "empty-split": Rule(
        "a split without a record",
        "every split has a record, unless Splits.allow_empty says otherwise or its ratio is 0",
        "give it a larger ratio or more records, or write 'allow_empty: true' in Splits",
    ),
    "no-records": Rule(
        "nothing is left to prepare", "an instance has at least one record", "check the filters, the split ratios and the input"
    ),
    "mixed-channels": Rule(
        "grey, colour and transparent images met in one statistic",
        "a statistic has one value a channel, so all images it is fitted on have the same channels",
        "set Input.decode.mode to RGB or L, put to_rgb or to_grayscale first, or declare the channels in Output.record_schema.image",
    ),
    "empty-fit": Rule(
        "no record is left to fit on",
        "a fitted statistic needs at least one readable record of its fit_source",
        "check the split ratios, the filters and the ledger",
    ),
    "contract": Rule(
        "an assertion of severity error does not hold",
        "{asked}",
        "mend the data or the assertion; 'severity: warning' reports it and goes on",
    ),
    "sink-collision": Rule(
        "two records make one path",
        "every record has a file of its own, upper and lower case being one",
        "add {{record_id}} or another field that tells records apart to path_template",
    ),
    "too-many-bad-records": Rule(
        "more bad records than `max_bad_fraction`",
        "at most {fraction} of the records may be bad (Input.max_bad_fraction)",
        "mend or remove the files, or raise Input.max_bad_fraction",
    ),
}
