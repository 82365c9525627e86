#!/usr/bin/env bash
# One recipe on Dataflow. The driver stays here until the job has ended: it checks what workers wrote and promotes it. Ctrl-C cancels the job.
#
# usage: run.sh RECIPE CACHE_ROOT [OPTION...] [-- BEAM OPTION...]     options go to `refinery-beam run`; the cache root is gs://BUCKET/FOLDER
# env:   PROJECT, REGION   the Google Cloud project and region
#        IMAGE             the workers' image, from image.sh
#        TEMP              where Dataflow keeps its own files (gs://BUCKET/dataflow-tmp, BUCKET that of the cache root)
set -euo pipefail
usage="usage: PROJECT=... REGION=... IMAGE=... run.sh RECIPE gs://BUCKET/FOLDER [OPTION...] [-- BEAM OPTION...]"
. "$(dirname "${BASH_SOURCE[0]}")/../arguments.sh"
: "${PROJECT:?$usage}" "${REGION:?$usage}" "${IMAGE:?$usage}"

bucket=${cache_root#gs://}
temp=${TEMP:-gs://${bucket%%/*}/dataflow-tmp}
beam=("--project=$PROJECT" "--region=$REGION" "--temp_location=$temp" "--sdk_container_image=$IMAGE")
# What the caller says comes last and counts.
exec refinery-beam run "$recipe" --cache-root "$cache_root" --runner dataflow "${options[@]}" -- "${beam[@]}" "$@"
