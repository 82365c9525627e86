"""`status`: what the cache holds for a recipe, or what an instance directory is."""

from __future__ import annotations

import os
from typing import Annotated, Any

import typer

from refinery_beam import locations
from refinery_beam.cache import Found, lookup_at
from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_json, rows
from refinery_beam.errors import StoreError
from refinery_beam.launch.prepare import prepare


@shared
def status(target: Annotated[str, typer.Argument(help="A recipe, or an instance's directory or URL.")], *, options: Options) -> None:
    """Say whether the instance of a recipe is there, and what it holds. Exit code 0 whether it is or not."""
    if locations.is_url(target) or os.path.isdir(target):
        locations.use_options(options.storage_option or ())
        location = locations.absolute(target)
        found = lookup_at(location)
        if found.manifest is None:
            raise StoreError(
                f"this folder is not a complete instance: {(found.damage or 'it is empty').replace(location, 'it')}",
                code="not-an-instance",
                at=location,
                rule="an instance directory holds manifest.json and every file it lists",
                remedy="name a recipe to see where its instance is, or run it again to rebuild",
            )
        key: dict[str, Any] = {}
    else:
        prepared = prepare(target, options.settings())
        location, found = prepared.location, prepared.lookup()
        key = {"recipe_hash": prepared.key.recipe_hash, "input_hash": prepared.key.input_hash, "seed": prepared.key.seed}
    if options.json:
        print_json(describe(location, found, key))
    else:
        print(words(location, found))


def describe(location: str, found: Found, key: dict[str, Any]) -> dict[str, Any]:
    """The object `status --json` prints: the keys of `run --json` that make sense."""
    body: dict[str, Any] = {
        "contract": CONTRACT,
        "status": "hit" if found.manifest else "damaged" if found.damage else "miss",
        "instance": location,
        **key,
    }
    if found.manifest is None:
        return body | ({"damage": found.damage} if found.damage else {})
    raw = found.manifest.raw
    shared_keys = ("recipe_hash", "input_hash", "seed", "logical_digest", "files_digest")
    counts = {split: raw["counts"][split] for split in raw["splits"]}
    return body | {name: raw[name] for name in shared_keys} | {"counts": counts, "ledger": raw["ledger"], "warnings": raw["warnings"]}


def words(location: str, found: Found) -> str:
    """What `status` says to a person."""
    if found.manifest is None:
        return (
            f"damaged: {found.damage}\n  remedy: run the recipe again to rebuild it"
            if found.damage
            else f"miss: {location} does not exist yet"
        )
    raw = found.manifest.raw
    size = sum(f.bytes for f in found.manifest.files)
    lines = [
        ("instance", location),
        ("recipe", raw["recipe_hash"]),
        ("input", raw["input_hash"]),
        ("seed", raw["seed"]),
        ("rows", raw["logical_digest"]),
        ("files", f"{len(found.manifest.files):,}, {size / 1e6:,.1f} MB"),
        *[(split, f"{raw['counts'][split]:,} records") for split in raw["splits"]],
        ("ledger", ", ".join(f"{n:,} {reason}" for reason, n in raw["ledger"].items()) or "empty"),
        ("warnings", len(raw["warnings"]) or "none"),
    ]
    warnings = [f"  {w['message']} [{w['code']}]" for w in raw["warnings"]]
    return "\n".join(["hit", rows([(name, value) for name, value in lines]), *warnings])
