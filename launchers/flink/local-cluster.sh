#!/usr/bin/env bash
# A standalone Flink on this machine: one JobManager and N TaskManagers of one slot, from the jars `launchers/engines.sh cluster` fetched.
#
# usage: launchers/flink/local-cluster.sh start DIR [TASKMANAGERS [REST_PORT]]      logs and pids go to DIR
#        launchers/flink/local-cluster.sh stop DIR
# env:   REFINERY_BEAM_ENGINES   where the jars are (~/.cache/refinery-beam/engines)
#        BEAM_BESIDE=0           leave Beam out of Flink's own classes: for uber jars, which find their job by the classes in the jar
set -euo pipefail
verb=${1:?start or stop}
dir=$(mkdir -p "${2:?a folder}" && cd "$2" && pwd)
number=${3:-2}
rest=${4:-8081}
rpc=$((rest + 1000))
engines=${REFINERY_BEAM_ENGINES:-$HOME/.cache/refinery-beam/engines}
lib=$engines/flink-1.19.3/lib

stop() {
  local file pid
  for file in "$dir"/taskmanager-*.pid "$dir"/jobmanager.pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    kill "$pid" 2>/dev/null || true
    rm -f "$file"
  done
}

if [ "$verb" = stop ]; then
  stop
  exit 0
fi

[ -d "$lib" ] || { echo "no Flink in $lib: run launchers/engines.sh cluster" >&2; exit 1; }
mkdir -p "$dir/conf"
cat > "$dir/conf/config.yaml" <<Y
jobmanager: {bind-host: localhost, rpc: {address: localhost, port: $rpc}, memory: {process: {size: 1024m}}}
taskmanager: {host: localhost, bind-host: localhost, numberOfTaskSlots: 1}
rest: {address: localhost, bind-address: localhost, port: $rest}
Y
export FLINK_CONF_DIR="$dir/conf"
# Beam beside Flink, not only in each job's jar: Flink unloads a job's classes between its stages, and their workers would end with them.
classes="$lib/*"
if [ "${BEAM_BESIDE:-1}" != 0 ] && [ -f "$engines/flink-job-server.jar" ]; then
  classes+=":$engines/flink-job-server.jar"
  echo "classloader: {resolve-order: parent-first}" >> "$dir/conf/config.yaml"
fi

# What Flink reaches into on Java 17.
open=()
for package in lang net io nio lang.reflect text time util util.concurrent util.concurrent.atomic util.concurrent.locks; do
  open+=("--add-opens=java.base/java.$package=ALL-UNNAMED")
done
open+=(--add-opens=java.base/sun.nio.ch=ALL-UNNAMED --add-exports=java.base/sun.net.util=ALL-UNNAMED)

# Memory given by its parts needs every part. Less network memory than this ends a dozen shuffles with "insufficient network buffers".
memory=()
for part in task.heap.size=500m task.off-heap.size=0m network.min=256m network.max=256m managed.size=256m framework.heap.size=128m \
  framework.off-heap.size=128m jvm-metaspace.size=256m jvm-overhead.min=192m jvm-overhead.max=192m; do
  memory+=(-D "taskmanager.memory.$part")
done

java "${open[@]}" -cp "$classes" org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint \
  --configDir "$dir/conf" --host localhost > "$dir/jobmanager.log" 2>&1 &
echo $! > "$dir/jobmanager.pid"
for i in $(seq "$number"); do
  java "${open[@]}" -Xmx800m -cp "$classes" org.apache.flink.runtime.taskexecutor.TaskManagerRunner --configDir "$dir/conf" \
    -D taskmanager.cpu.cores=1 "${memory[@]}" > "$dir/taskmanager-$i.log" 2>&1 &
  echo $! > "$dir/taskmanager-$i.pid"
done
for _ in $(seq 90); do
  if curl -sf "localhost:$rest/overview" | grep -q "\"taskmanagers\":$number[,}]"; then
    echo "Flink is up: $number TaskManagers, http://localhost:$rest"
    exit 0
  fi
  sleep 1
done
echo "Flink is not up after 90 s; see $dir/*.log" >&2
stop
exit 1
