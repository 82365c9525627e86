"""`schema`: the recipe language for editors."""

from __future__ import annotations

from refinery_beam.cli.options import Options, shared
from refinery_beam.cli.output import print_text


@shared
def schema(*, options: Options) -> None:
    """Print the JSON Schema of recipes, with the words of installed plugins and of --plugin-path. It is JSON with and without --json."""
    from refinery_beam.launch.init import schema as schema_text

    print_text(schema_text(plugin_paths=options.settings().plugin_paths))
