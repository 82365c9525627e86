#!/usr/bin/env bash
# usage: run.sh RECIPE CACHE_ROOT [OPTION...]      runs a recipe on this machine; options go to `refinery-beam run`
set -euo pipefail
recipe=${1:?usage: run.sh RECIPE CACHE_ROOT [OPTION...]}
cache_root=${2:?usage: run.sh RECIPE CACHE_ROOT [OPTION...]}
shift 2
exec refinery-beam run "$recipe" --cache-root "$cache_root" --runner direct "$@"
