#!/usr/bin/env bash
# Runs the benches in FOLDER (all, or those named) one after the other; what they print goes to stdout and
# is appended to LOG, under a line that says when, on what and which sources. Fails with the first that does.
# Usage: tools/bench.sh FOLDER LOG [NAME..]
set -euo pipefail
folder=$1 log=$2
shift 2
[ $# -gt 0 ] || set -- $(cd "$folder" && printf '%s\n' bench_* | grep '^bench_[a-z0-9_]*$')
processor=$(sed -n 's/^model name[^:]*: //p' /proc/cpuinfo | head -n 1)
sources=$(git -C "$(dirname "$0")" describe --always --dirty 2>/dev/null || echo unknown)
{
  echo "=== $(date -u +%Y-%m-%dT%H:%M:%SZ) ${processor:-unknown processor}, $(nproc) processors, sources $sources"
  for bench in "$@"; do
    echo "== $bench"
    OMP_WAIT_POLICY=passive "$folder/$bench"
  done
} | tee -a "$log"
