#!/usr/bin/env bash
# One recipe as one Slurm job on one node, with the local engine. Source folders and the cache root lie on a file system that the node sees.
#
# usage: sbatch --cpus-per-task=32 launchers/slurm/job.sh recipe.yaml --cache-root /shared/cache
#        anything behind the recipe is an option of `refinery-beam run`
# env:   REFINERY_BEAM   the command (refinery-beam), say /shared/venv/bin/refinery-beam
#
# Two minutes before the time limit Slurm interrupts the run, as Ctrl-C would: nothing is promoted, and nothing is left behind.
#SBATCH --job-name=refinery-beam
#SBATCH --nodes=1
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=8
#SBATCH --signal=B:INT@120
#SBATCH --output=refinery-beam-%j.log
set -euo pipefail
: "${1:?a recipe}"
# exec: the signal goes to the batch shell, which is then the run itself.
exec ${REFINERY_BEAM:-refinery-beam} run "$@" --workers "${SLURM_CPUS_PER_TASK:-1}"
