# Sourced by the launchers of engines: `recipe`, `cache_root`, `options` for `refinery-beam run`, and what stood behind -- is left as "$@".
# `usage` is set by the one who sources it.
recipe=${1:?$usage}
cache_root=${2:?$usage}
shift 2
options=()
while [ $# -gt 0 ] && [ "$1" != -- ]; do options+=("$1"); shift; done
[ $# -eq 0 ] || shift
