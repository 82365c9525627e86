#!/usr/bin/env bash
# One recipe on Spark, inside the job server's own process.
#
# usage: run.sh RECIPE CACHE_ROOT [OPTION...] [-- BEAM OPTION...]     options go to `refinery-beam run`
# env:   REFINERY_BEAM_ENGINES   where launchers/engines.sh put the job server (~/.cache/refinery-beam/engines); not there: Beam looks for its own
set -euo pipefail
usage="usage: run.sh RECIPE CACHE_ROOT [OPTION...] [-- BEAM OPTION...]"
. "$(dirname "${BASH_SOURCE[0]}")/../arguments.sh"

beam=()
jar=${REFINERY_BEAM_ENGINES:-$HOME/.cache/refinery-beam/engines}/spark/spark-job-server.jar
[ ! -f "$jar" ] || beam+=("--spark_job_server_jar=$jar")
# What the caller says comes last and counts.
exec refinery-beam run "$recipe" --cache-root "$cache_root" --runner spark "${options[@]}" -- "${beam[@]}" "$@"
