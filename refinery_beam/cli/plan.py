"""`plan`: what `run` would do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import CONTRACT, print_json
from refinery_beam.launch.prepare import prepare
from refinery_beam.launch.run import listing_notes
from refinery_beam.planning.explain import explain


@shared
def plan(recipe: Annotated[Path, typer.Argument(help="The recipe, a YAML file.")], *, options: Options) -> None:
    """Say what run would do, without doing it."""
    prepared = prepare(recipe, options.settings())
    found = prepared.lookup()
    status = "hit" if found.manifest is not None else "miss"
    if options.json:
        body = {
            "contract": CONTRACT,
            "status": status,
            "instance": prepared.location,
            "recipe_hash": prepared.key.recipe_hash,
            "input_hash": prepared.key.input_hash,
            "seed": prepared.key.seed,
            "records_in": prepared.index.records_in,
            "digest": prepared.index.kind,
            "splits": list(prepared.plan.split.splits),
            "op_versions": dict(prepared.plan.op_versions),
            "node_keys": prepared.plan.node_keys(prepared.key.input_hash),
        }
        print_json(body)
        return
    print(explain(prepared.plan, records=prepared.index.records_in, sources=[(s.name, s.type) for s in prepared.index.sources]))
    print(f"\n{status}: {prepared.location}" + (f"\n      ({found.damage})" if found.damage else ""))
    if not options.quiet:
        for note in listing_notes(prepared):
            typer.echo(f"note: {note}", err=True)
