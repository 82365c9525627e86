#!/usr/bin/env bash
# What `make demo` runs: the quickstart example on freshly drawn pictures, in ./demo.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."

mkdir -p demo
cp examples/quickstart/recipe.yaml demo/recipe.yaml
python -m refinery_beam.testing.images folders demo/my-images --per-class 40

echo; echo '$ refinery-beam run demo/recipe.yaml --cache-root demo/cache'
refinery-beam run demo/recipe.yaml --cache-root demo/cache

# Asking again is a hit: it costs a fraction of a second and tells where the instance is.
instance=$(refinery-beam run demo/recipe.yaml --cache-root demo/cache --json |
    python -c 'import json, os, sys; print(os.path.relpath(json.load(sys.stdin)["instance"]))')

cat <<TEXT

The dataset:  $instance/dataset
Its report:   $instance/report/report.md

Try next, after \`source .venv/bin/activate\`:

  refinery-beam run demo/recipe.yaml --cache-root demo/cache      again: a hit, nothing is rebuilt
                                                                  after editing a ratio in the recipe: a miss
  refinery-beam verify demo/recipe.yaml --cache-root demo/cache   every file hashed again

  python
  >>> import refinery_beam as rb
  >>> train = rb.open_instance("$instance").split("train")
  >>> len(train), train[0]["label"], train[0]["image"].shape
TEXT
