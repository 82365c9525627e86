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
instance=$(refinery-beam run demo/recipe.yaml --cache-root demo/cache --json | python -c 'import json, sys; print(json.load(sys.stdin)["instance"])')

cat <<TEXT

The dataset is in $instance/dataset
What went in and came out: $instance/report/report.md

Try next (first: source .venv/bin/activate)

  the same command again            nothing is rebuilt: a hit
  edit a ratio in demo/recipe.yaml  and run again: a miss, another instance beside the first
  refinery-beam verify '$instance'
                                    every file re-hashed against the manifest

  python
  >>> import refinery_beam as rb
  >>> train = rb.open_instance("$instance").split("train")
  >>> len(train), train[0]["label"], train[0]["image"].shape
TEXT
