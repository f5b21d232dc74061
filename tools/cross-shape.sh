#!/usr/bin/env bash
# How well does an error model carry over to another shape? For each implementation: a campaign on shape A
# and one on shape B, a model of each, and how far what the models draw is from what was measured.
# Usage: cross-shape.sh SIEVERT SHAPE-A SHAPE-B INJECTIONS IMPLEMENTATION...   Prints a Markdown table.
set -eu
# shellcheck disable=SC2034 # a and b are read by their names
sievert=$1 a=$2 b=$3 n=$4; shift 4
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
field() { sed -n "s/^  \"$1\": \([0-9.eE+-]*\),\{0,1\}$/\1/p" | head -1; }
printf '| implementation | measured on | drawn for | total variation of patterns | p |\n| --- | --- | --- | --- | --- |\n'
for impl in "$@"; do
  for side in a b; do
    "$sievert" inject --impl "$impl" --shape "${!side}" -n "$n" --seed 1 -q -o "$dir/$side.db" >/dev/null
    "$sievert" model build "$dir/$side.db" -q -o "$dir/$side.json" >/dev/null
  done
  for pair in "a a" "a b" "b b" "b a"; do
    read -r from to <<<"$pair"
    json=$("$sievert" model check "$dir/$from.json" "$dir/$to.db" --json)
    printf '| %s | %s | %s | %.3f | %.4f |\n' "$impl" "${!from}" "${!to}" \
      "$(field total_variation <<<"$json")" "$(field p <<<"$json")"
  done
  rm -f "$dir"/*
done
