"""`init` and `schema`: a recipe for a folder of images, and the recipe language for editors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refinery_beam.errors import DataError
from refinery_beam.index import check_sources
from refinery_beam.launch.first_files import remarks_of_folder
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.prepare import check_loaded
from refinery_beam.launch.run import said
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.recipe import load_recipe
from refinery_beam.scaffold import (
    SCHEMA_FILE,
    FolderFacts,
    Remark,
    inspect_folder,
    recipe_text,
    refuse_existing,
    schema_text,
    write_files,
)

CONTRACT = 1


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """The files that were written, absolute, how the folder is laid out, and what was taken of it and what left, and why. `warnings` (code,
    message) are what decoding the first pictures showed.
    """

    recipe: str
    schema: str
    layout: str
    remarks: tuple[Remark, ...] = ()
    warnings: tuple[tuple[str, str], ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """The object `init --json` prints (contract 1)."""
        remarks = [{"path": r.path, "verdict": r.verdict, "why": r.why} for r in self.remarks]
        found = {"recipe": self.recipe, "schema": self.schema, "layout": self.layout, "remarks": remarks, "warnings": said(self.warnings)}
        return {"contract": CONTRACT, "status": "written", **found}


@dataclass(frozen=True, kw_only=True, repr=False)
class InitOptions(Options):
    """`Options`, and where `init` writes."""

    output: StrPath = option("recipe.yaml", "Where the recipe is written.")
    force: bool = option(False, "Overwrite files that are there.")
    label_column: str = option("", "The column of the label table that holds the labels.")


@keywords(InitOptions)
def init(folder: StrPath, options: InitOptions) -> InitResult:
    """Write a recipe for a folder: class folders, a folder with a label table, or train/, val/ and test/. Editors know the language by the
    schema file beside it.

    What is written passes `validate`. Where the folder leaves a choice, nothing is written: DataError ``init-layout`` names what there is
    to decide. UsageError ``init-exists`` for files that are there, EnvironmentFault for what cannot be written.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.init("my-images").layout                                      # doctest: +SKIP
    'class-folders'
    """
    recipe = os.path.abspath(options.output)
    base = os.path.dirname(recipe)
    schema_file = os.path.join(base, SCHEMA_FILE)
    found = inspect_folder(os.path.abspath(os.fspath(folder)), label_column=options.label_column)
    texts = {recipe: recipe_text(found, base), schema_file: schema_text(options.plugin_paths)}
    if not options.force:
        refuse_existing(texts)
    warnings = _prove(recipe, texts[recipe], found, Settings.of(options))
    write_files(texts)
    return InitResult(recipe=recipe, schema=schema_file, layout=found.layout, remarks=found.remarks, warnings=tuple(warnings))


def _prove(path: str, text: str, found: FolderFacts, settings: Settings) -> list[tuple[str, str]]:
    """Refuse to write a recipe that `validate` would refuse: something in the folder is not as it seems. Gives what decoding the first
    pictures by it shows.
    """
    recipe, plugin, _, errors = check_loaded(load_recipe(path, text=text), settings)
    errors = errors or list(check_sources(recipe, plugin).errors)
    if errors:
        first = errors[0]
        raise DataError(
            f"init makes nothing of the folder: it looks like {found.layout}, but {first.message}",
            code="init-layout",
            at=found.sources[0].path,
            value=first.code,
            remedy=first.remedy,
        )
    return remarks_of_folder(recipe, plugin, found)


def schema(*, plugin_paths: Sequence[str] | None = None) -> str:
    """The JSON Schema of recipes for editors, as text, with the words of installed plugins and of the plugin paths."""
    options = Options() if plugin_paths is None else Options(plugin_paths=plugin_paths)
    return schema_text(options.plugin_paths)
