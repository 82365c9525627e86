#!/usr/bin/env bash
# Build the workers' image from the Dockerfile of this checkout and push it. The image's name is the only line on stdout.
# Workers must run what the driver runs: build it from the release that the driver is installed from.
#
# usage: IMAGE=$(launchers/dataflow/image.sh)
# env:   PROJECT, REGION   the Google Cloud project and region
#        REPOSITORY        a Docker repository of Artifact Registry in that region (refinery-beam)
#        DOCKER            the command (docker)
set -euo pipefail
: "${PROJECT:?a Google Cloud project}" "${REGION:?a region, say europe-west4}"
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^__version__ = "\(.*\)"$/\1/p' "$root/refinery_beam/__init__.py")
image="$REGION-docker.pkg.dev/$PROJECT/${REPOSITORY:-refinery-beam}/worker:$version"
{
  ${DOCKER:-docker} build --tag "$image" "$root"
  ${DOCKER:-docker} push "$image"
} >&2
echo "$image"
