#!/usr/bin/env bash
# One recipe on Flink: inside the job server's own process, or on a cluster.
#
# usage: run.sh RECIPE CACHE_ROOT [OPTION...] [-- BEAM OPTION...]     options go to `refinery-beam run`
# env:   FLINK_MASTER            host:port of a cluster (without: Flink starts with the job). Its workers are processes of each TaskManager
#        REFINERY_BEAM_ENGINES   where launchers/engines.sh put the job server (~/.cache/refinery-beam/engines); not there: Beam looks for its own
set -euo pipefail
usage="usage: run.sh RECIPE CACHE_ROOT [OPTION...] [-- BEAM OPTION...]"
. "$(dirname "${BASH_SOURCE[0]}")/../arguments.sh"

beam=()
jar=${REFINERY_BEAM_ENGINES:-$HOME/.cache/refinery-beam/engines}/flink-job-server.jar
[ ! -f "$jar" ] || beam+=("--flink_job_server_jar=$jar" --flink_version=1.19)
[ -z "${FLINK_MASTER:-}" ] || beam+=("--flink_master=$FLINK_MASTER" --environment_type=PROCESS)
# What the caller says comes last and counts.
exec refinery-beam run "$recipe" --cache-root "$cache_root" --runner flink "${options[@]}" -- "${beam[@]}" "$@"
