"""Drawing what ``Visualizations`` asks for, after promotion: a picture is no part of a dataset, nor of its key.

Pictures lie in the instance's ``report/pictures/NAME.png``, which no manifest lists. ``pictures.json`` there holds the key of each: what it
shows of which rows, by which version of which op. A picture that is there under its key is not drawn again, so a hit stays a hit; an edited
picture is drawn anew and touches no shard. A picture that cannot be drawn gives a note, never an error.
"""

from __future__ import annotations

import io
import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

from refinery_beam import locations
from refinery_beam.cache import Manifest
from refinery_beam.cache.instances import key_name_of
from refinery_beam.cache.manifest import RECIPE_NAME
from refinery_beam.cache.stores.local import store_error
from refinery_beam.errors import RecipeError, StoreError, UsageError, did_you_mean, display
from refinery_beam.identity import value_digest
from refinery_beam.launch.options import Options, keywords, option
from refinery_beam.launch.own_recipe import instance_named
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.roots import is_own
from refinery_beam.launch.settings import Settings
from refinery_beam.locations import StrPath
from refinery_beam.plugins.base import Params, PictureOp, Plugin
from refinery_beam.reading.faults import unreadable
from refinery_beam.reading.recorded import open_recorded
from refinery_beam.recipe import Recipe, load_recipe
from refinery_beam.recipe.params import op_params

INDEX = "pictures.json"


@dataclass(frozen=True)
class DrawResult:
    """Pictures by name, as absolute paths or URLs, and notes about those that could not be drawn."""

    pictures: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class _Wanted:
    name: str
    op: PictureOp
    params: Params
    key: str


@dataclass(frozen=True, kw_only=True, repr=False)
class DrawOptions(Options):
    """`Options`, and which pictures `draw` draws."""

    names: Sequence[str] = option((), "Pictures to draw; all of the recipe's if none is named.")


@keywords(DrawOptions)
def draw(target: StrPath, options: DrawOptions) -> DrawResult:
    """Draw the Visualizations of a recipe, those for exploration too, from its instance, which a run has made; or, of an instance that is
    named by its directory or URL, those of the recipe in it. Nothing is built.

    >>> import refinery_beam as rb                                       # doctest: +SKIP
    >>> rb.draw("recipe.yaml", names=["examples"]).pictures              # doctest: +SKIP
    {'examples': '/data/cache/instances/.../report/pictures/examples.png'}
    """
    return draw_with(target, Settings.of(options), names=options.names)


def draw_with(target: StrPath, settings: Settings, *, names: Collection[str] = ()) -> DrawResult:
    """`draw` with its settings in one value; what the command line calls."""
    with locations.put_in_words():
        location = instance_named(target, settings)
        if location is not None:
            recorded = open_recorded(location, plugin_paths=settings.plugin_paths)
            recipe = _recipe_in(location)
            return draw_pictures(recipe, recorded.plugin, recorded.manifest, settings, exploration=True, names=names)
        prepared = prepare(target, settings)
        found = prepared.lookup()
        if found.manifest is None:
            raise StoreError(
                f"there is no instance of it below {display(settings.root)}",
                code="instance-missing",
                at=str(target),
                value=prepared.location,
                rule="pictures are drawn from stored rows",
                remedy=f"refinery-beam run {target}",
            )
        return draw_pictures(prepared.recipe, prepared.plugin, found.manifest, settings, exploration=True, names=names)


def draw_pictures(
    recipe: Recipe, plugin: Plugin, manifest: Manifest, settings: Settings, *, exploration: bool = False, names: Collection[str] = ()
) -> DrawResult:
    """Draw the reporting pictures of a recipe, with `exploration` the others too, or those of `names`. Imports nothing when all are there.

    Raises UsageError ``unknown-picture``, and StoreError where the folder cannot be written.
    """
    every = recipe.model.Visualizations
    known = [v.name for v in every]
    if exploration and not every:
        raise RecipeError(f"{recipe.path} asks for no pictures", code="no-visualizations", at=recipe.path)
    for name in names:
        if name not in known:
            raise UsageError(
                f"the recipe has no picture {name!r}",
                code="unknown-picture",
                value=name,
                remedy=did_you_mean(name, known),
                known=known or "none",
            )
    wanted = [
        _wanted(recipe, plugin, manifest, i)
        for i, v in enumerate(every)
        if (v.name in names if names else exploration or v.mode == "reporting")
    ]
    if not wanted:
        return DrawResult()
    for folder in _folders(manifest, settings):
        have = _read_index(folder)
        there = set(locations.names(folder))
        missing = [w for w in wanted if have.get(w.name) != w.key or locations.basename(_file(folder, w.name)) not in there]
        if not missing:
            break
    notes = _draw(settings, manifest, folder, missing, have) if missing else ()
    failed = {w.name for w in missing if have.get(w.name) != w.key}
    return DrawResult({w.name: _file(folder, w.name) for w in wanted if w.name not in failed}, notes)


def _folders(manifest: Manifest, settings: Settings) -> list[str]:
    """Where pictures of an instance may be, the last one being where they are drawn: for an instance in a root that is only read, below the
    own root.
    """
    drawn = locations.join(manifest.location, "report", "pictures")
    at = key_name_of(manifest.location)
    if at is None or is_own(settings, manifest.location):
        return [drawn]
    return [drawn, locations.join(locations.absolute(settings.root), "pictures", at[1])]


def _recipe_in(location: str) -> Recipe:
    """The recipe of an instance, which may lie on a store."""
    path = locations.join(location, RECIPE_NAME)
    try:
        return load_recipe(path, text=locations.read(path).decode())
    except (OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def _wanted(recipe: Recipe, plugin: Plugin, manifest: Manifest, index: int) -> _Wanted:
    picture = recipe.model.Visualizations[index]
    params, _ = op_params(recipe, "Visualizations", index, picture, plugin=plugin)
    op = plugin.op(picture.op)
    assert params is not None and isinstance(op, PictureOp), "checks have seen to it"
    key = {
        "instance": [manifest.recipe_hash, manifest.input_hash, manifest.seed, manifest.logical_digest],
        "name": picture.name,
        "op": [picture.op, op.spec.version, plugin.used_origins(op=[picture.op])],
        "params": params.model_dump(mode="json"),
    }
    return _Wanted(picture.name, op, params, value_digest("picture", key))


def _draw(settings: Settings, manifest: Manifest, folder: str, missing: Sequence[_Wanted], have: dict[str, str]) -> tuple[str, ...]:
    """Draw, write, and file each under its key in `have`; gives notes about failures."""
    # Imported only now: pictures that are all there need no reader.
    from refinery_beam.reading import open_instance
    from refinery_beam.reading.view import View

    instance = open_instance(manifest.location, plugin_paths=settings.plugin_paths)
    notes = []
    try:
        locations.make_folder(folder)
        for w in missing:
            settings.tell(f"drawing {w.name}")
            try:
                image = w.op.draw(View(instance, name=w.name, seed=manifest.seed), w.params)
            except StoreError:
                raise
            except Exception as error:  # a third party's picture may fail in any way, and the dataset is there all the same
                if settings.debug:
                    raise
                notes.append(f"the picture {w.name!r} is not drawn: {error or type(error).__name__}")
                continue
            drawn = io.BytesIO()
            image.save(drawn, format="PNG")
            locations.write(_file(folder, w.name), drawn.getvalue())
            have[w.name] = w.key
        locations.write(locations.join(folder, INDEX), json.dumps(have, indent=2, sort_keys=True).encode())
    except OSError as error:
        raise store_error(error, "write pictures to", folder) from error
    return tuple(notes)


def _read_index(folder: str) -> dict[str, str]:
    """Keys by name; empty where there is none that can be read: pictures are then drawn again."""
    try:
        found = json.loads(locations.read(locations.join(folder, INDEX)))
    except (OSError, ValueError):
        return {}
    return {str(k): str(v) for k, v in found.items()} if isinstance(found, dict) else {}


def _file(folder: str, name: str) -> str:
    return locations.join(folder, f"{name}.png")
