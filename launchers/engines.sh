#!/usr/bin/env bash
# Build what the tests of the engines need, once, into a folder outside the checkout:
#   prism                 Beam's Prism, by `go install` at the version of the Python SDK         (Go)
#   flink-job-server.jar  a Flink job server from released parts, launchers/flink/pom.xml        (Java 11 or 17, Maven)
#   spark/                a Spark job server from released parts, launchers/spark/pom.xml        (Java 11 or 17, Maven)
#   flink-1.19.3/lib      a standalone Flink, out of the PyPI package apache-flink-libraries     (pip)
#   fake-gcs-server       a server that speaks Google Cloud Storage, by `go install`, for the tests of object stores  (Go)
#
# usage: launchers/engines.sh [prism] [flink] [spark] [cluster] [gcs]      all of them but gcs without a name
# env:   REFINERY_BEAM_ENGINES   the folder (~/.cache/refinery-beam/engines);  PYTHON   a Python that has Beam (python)
set -euo pipefail
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
root=${REFINERY_BEAM_ENGINES:-$HOME/.cache/refinery-beam/engines}
python=${PYTHON:-python}
flink=1.19.3
gcs=1.56.1
mkdir -p "$root"

say() { echo "engines: $*" >&2; }

# A build lands in a folder of its own and is moved when it is whole: a broken build is never taken for a finished one.
scratch=$(mktemp -d "$root/.building-XXXXXX")
trap 'rm -rf "$scratch"' EXIT

prism() {
  local version
  version=$("$python" -c 'from importlib.metadata import version; print(version("apache-beam"))')
  [ -x "$root/prism-$version" ] && { say "have $root/prism-$version"; return; }
  say "building Prism $version"
  GOBIN="$scratch" go install "github.com/apache/beam/sdks/v2/go/cmd/prism@v$version"
  mv "$scratch/prism" "$root/prism-$version"
}

flink() {
  [ -f "$root/flink-job-server.jar" ] && { say "have $root/flink-job-server.jar"; return; }
  say "building the Flink job server"
  mvn -B -q -f "$here/flink/pom.xml" -Dbuild.folder="$scratch/flink" package
  mv "$scratch/flink/flink-job-server.jar" "$root/flink-job-server.jar"
}

spark() {
  [ -f "$root/spark/spark-job-server.jar" ] && { say "have $root/spark"; return; }
  say "building the Spark job server"
  mvn -B -q -f "$here/spark/pom.xml" -Dbuild.folder="$scratch/spark" package
  rm -rf "$root/spark"
  mv "$scratch/spark" "$root/spark"
}

cluster() {
  [ -d "$root/flink-$flink/lib" ] && { say "have $root/flink-$flink"; return; }
  say "fetching Flink $flink"
  "$python" -m pip download -q --no-deps --no-binary :all: --no-build-isolation "apache-flink-libraries==$flink" -d "$scratch"
  tar xzf "$scratch/apache-flink-libraries-$flink.tar.gz" -C "$scratch"
  rm -rf "$root/flink-$flink"
  mv "$scratch/apache-flink-libraries-$flink/deps" "$root/flink-$flink"
}

gcs() {
  [ -x "$root/fake-gcs-server" ] && { say "have $root/fake-gcs-server"; return; }
  say "building fake-gcs-server $gcs"
  GOBIN="$scratch" go install "github.com/fsouza/fake-gcs-server@v$gcs"
  mv "$scratch/fake-gcs-server" "$root/fake-gcs-server"
}

[ $# -gt 0 ] || set -- prism flink spark cluster
for part in "$@"; do
  case $part in
    prism | flink | spark | cluster | gcs) "$part" ;;
    *) echo "engines: there is no part '$part': prism, flink, spark, cluster, gcs" >&2; exit 2 ;;
  esac
done
