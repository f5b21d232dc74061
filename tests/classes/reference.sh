#!/usr/bin/env bash
# Usage: reference.sh SIEVERT SCRIPT [PYTHON [ARGUMENT...]]
set -eu
[ -x "${3-}" ] || { echo "SKIP: no python3"; exit 77; }
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
"$3" "$(dirname "$0")/$2" "$(realpath "$1")" "$dir" "${@:4}"
