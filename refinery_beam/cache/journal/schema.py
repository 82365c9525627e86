"""The columns of the journal. Each can be null: what a release does not know it leaves out, and new columns come at the end."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

VERSION = 2
"""Journals of version 1 are lines of JSON."""

Form = Literal["text", "json", "int", "float", "bool", "time"]


class Column(NamedTuple):
    """One column: ``json`` is text that holds a JSON value, ``time`` microseconds in UTC."""

    name: str
    form: Form
    about: str


COLUMNS = (
    Column("journal", "int", "the version of these columns"),
    Column("event_id", "text", "run and event; the same in every copy of a row"),
    Column("event", "text", "run:begin, run:end, tag, untag, clean, ..."),
    Column("time", "time", "when the row was written"),
    Column("run", "text", "ten hex digits, the run's own"),
    Column("verb", "text", "run or rerun"),
    Column("started", "time", "when the run began"),
    Column("seconds", "float", "from the beginning to the end"),
    Column("phases", "json", "seconds by phase: prepare, lookup, start, engine, collect, promote, pictures"),
    Column("peak_memory", "int", "bytes that the run and its processes held at once, at most"),
    Column("status", "text", "built, hit, opened, failed, interrupted; of an event that is no run, what came of it"),
    Column("exit_code", "int", "as the command line ends"),
    Column("error", "text", "the code of the first error"),
    Column("message", "text", "what it says"),
    Column("at", "text", "its position"),
    Column("recipe", "text", "the recipe's name"),
    Column("recipe_path", "text", "the recipe's file, absolute or symbolic"),
    Column("recipe_text", "text", "the recipe as it was read"),
    Column("recipe_hash", "text", "first part of the key"),
    Column("input_hash", "text", "second part of the key"),
    Column("seed", "int", "third part of the key"),
    Column("key", "text", "the key's name, as folders have it"),
    Column("root", "text", "the cache root that holds the instance"),
    Column("logical_digest", "text", "of the instance"),
    Column("files_digest", "text", "of the instance"),
    Column("overlays", "json", "the overlays that were applied"),
    Column("seed_option", "int", "--seed, where it was given"),
    Column("digest", "text", "--digest"),
    Column("plugin_paths", "json", "--plugin-path, as given"),
    Column("parents", "json", "keys of instances whose statistics are borrowed, or that were compared with"),
    Column("variables", "json", "where the variables of the recipe in the instance lead, as pairs"),
    Column("runner", "text", "the engine"),
    Column("mode", "text", "threads, processes or auto"),
    Column("workers", "int", "as asked for"),
    Column("records_in", "int", "files that were listed"),
    Column("records_out", "int", "rows of the instance"),
    Column("counts", "json", "rows by split"),
    Column("ledger", "json", "records that did not come out, by reason"),
    Column("bytes", "int", "of the instance's files"),
    Column("hashed", "int", "files whose content was read for its digest"),
    Column("notes", "json", "what listing noticed"),
    Column("command", "json", "the command line, without secrets; null for a call from Python"),
    Column("host", "text", "the machine"),
    Column("user", "text", "who ran it"),
    Column("pid", "int", "the process"),
    Column("process", "text", "what tells the process from a later one with its number"),
    Column("python", "text", "its version"),
    Column("platform", "text", "system and processor"),
    Column("package", "text", "the version of refinery-beam"),
    Column("package_digest", "text", "of the installed source files"),
    Column("packages", "json", "versions of what decides bytes"),
    Column("environment_digest", "text", "of Python, platform and packages"),
    Column("codecs", "text", "the fingerprint of the codecs"),
    Column("git_commit", "text", "of the repository that the recipe lies in"),
    Column("git_dirty", "bool", "whether the recipe's folder had changes, or the recipe was not in the repository"),
    Column("facts", "json", "whatever else is known"),
)

NAMES = tuple(column.name for column in COLUMNS)
FORMS: dict[str, Form] = {column.name: column.form for column in COLUMNS}


LONG = frozenset(column.name for column in COLUMNS if column.form == "json") | {"recipe_text"}
"""Columns of long texts that most rows share: Arrow holds each of their texts once. A hundred thousand copies of a recipe would not fit
into a plain column of text.
"""


def arrow_schema() -> pa.Schema:
    """The columns as PyArrow knows them."""
    import pyarrow as pa

    long = pa.dictionary(pa.int32(), pa.string())
    types = {
        "text": pa.string(),
        "json": pa.string(),
        "int": pa.int64(),
        "float": pa.float64(),
        "bool": pa.bool_(),
        "time": pa.timestamp("us", tz="UTC"),
    }
    return pa.schema([pa.field(column.name, long if column.name in LONG else types[column.form]) for column in COLUMNS])
