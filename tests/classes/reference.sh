#!/usr/bin/env bash
# Usage: reference.sh SIEVERT [PYTHON]
set -eu
[ -x "${2-}" ] || { echo "SKIP: no python3"; exit 77; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"$2" "$(dirname "$0")/reference.py" "$(realpath "$1")" "$dir" 1 300
