#!/usr/bin/env bash
# A worker pool beside a TaskManager, for --environment_type=EXTERNAL: it starts workers of this Python environment when the TaskManager asks.
# One pool for each TaskManager, each on a port of its own: workers of two TaskManagers have the same names, and end each other in one pool.
#
# usage: launchers/flink/worker-pool.sh start DIR PORT      log, pid and boot script go to DIR
#        launchers/flink/worker-pool.sh stop DIR
# env:   PYTHON   a Python that has refinery-beam (python)
set -euo pipefail
verb=${1:?start or stop}
dir=$(mkdir -p "${2:?a folder}" && cd "$2" && pwd)
python=${PYTHON:-python}

if [ "$verb" = stop ]; then
  if [ -f "$dir/worker-pool.pid" ]; then
    pkill -P "$(cat "$dir/worker-pool.pid")" 2>/dev/null || true
    kill "$(cat "$dir/worker-pool.pid")" 2>/dev/null || true
    rm -f "$dir/worker-pool.pid"
  fi
  exit 0
fi

port=${3:?a port}
boot="$dir/worker-boot"
printf '#!/bin/sh\nexec "%s" -m refinery_beam worker-boot "$@"\n' "$("$python" -c 'import sys; print(sys.executable)')" > "$boot"
chmod +x "$boot"
"$python" -m apache_beam.runners.worker.worker_pool_main --service_port="$port" --container_executable="$boot" > "$dir/worker-pool.log" 2>&1 &
echo $! > "$dir/worker-pool.pid"
for _ in $(seq 60); do
  if (exec 3<> "/dev/tcp/localhost/$port") 2>/dev/null; then
    echo "worker pool on localhost:$port"
    exit 0
  fi
  sleep 0.5
done
echo "the worker pool is not up after 30 s; see $dir/worker-pool.log" >&2
exit 1
