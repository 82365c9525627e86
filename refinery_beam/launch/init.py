"""`init` and `schema`: a recipe for a folder of images, and the recipe language for editors."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.locations import StrPath
from refinery_beam.scaffold import SCHEMA_FILE, scaffold, schema_text

CONTRACT = 1


@dataclass(frozen=True, kw_only=True)
class InitResult:
    """The files that were written, absolute, and how the folder is laid out."""

    recipe: str
    schema: str
    layout: str

    def to_dict(self) -> dict[str, Any]:
        """The object `init --json` prints (contract 1)."""
        return {"contract": CONTRACT, "status": "written", "recipe": self.recipe, "schema": self.schema, "layout": self.layout}


@dataclass(frozen=True, kw_only=True, repr=False)
class InitOptions(Options):
    """`Options`, and where `init` writes."""

    output: StrPath = option("recipe.yaml", "Where the recipe is written.")
    force: bool = option(False, "Overwrite files that are there.")


@keywords(InitOptions)
def init(folder: StrPath, options: InitOptions) -> InitResult:
    """Write a recipe for a folder: class folders, a flat folder with a label table, or train/ and test/. Editors know the language by the
    schema file beside it. DataError ``init-layout``, UsageError ``init-exists``.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.init("my-images").layout                                      # doctest: +SKIP
    'class-folders'
    """
    recipe = os.path.abspath(options.output)
    found = scaffold(os.fspath(folder), recipe, force=options.force, plugin_paths=options.plugin_paths)
    return InitResult(recipe=recipe, schema=os.path.join(os.path.dirname(recipe), SCHEMA_FILE), layout=found.layout)


def schema(*, plugin_paths: Sequence[str] | None = None) -> str:
    """The JSON Schema of recipes for editors, as text, with the words of installed plugins and of the plugin paths."""
    options = Options() if plugin_paths is None else Options(plugin_paths=plugin_paths)
    return schema_text(options.plugin_paths)
