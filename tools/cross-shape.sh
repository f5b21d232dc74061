#!/usr/bin/env bash
# How well do error models carry over to other shapes? For each implementation: a campaign on SHAPE and a model
# of it, then a campaign on each OTHER shape, and how far the patterns that the model draws for it are from
# those measured there: total variation, and what part of the draws keep the pattern they were drawn as. The first
# column is another campaign on SHAPE itself: what sampling alone makes.
# Usage: cross-shape.sh SIEVERT INJECTIONS "SHAPE OTHER..." IMPLEMENTATION...   Prints a Markdown table.
set -eu
sievert=$1 n=$2; read -ra shapes <<<"$3"; shift 3
dir=$(mktemp -d); trap 'rm -rf "$dir"' EXIT
field() { sed -n "s/^  \"$1\": \([0-9.eE+-]*\),\{0,1\}$/\1/p" | head -1; }
campaign() { # SHAPE SEED STORE, of $impl
  "$sievert" inject --impl "$impl" --shape "$1" -n "$n" --seed "$2" --engine concurrent -q -o "$3" >/dev/null
}
printf '| implementation |'; printf ' %s |' "${shapes[@]}"; printf '\n| --- |'; printf ' --- |%.0s' "${shapes[@]}"; echo
for impl in "$@"; do
  printf '| %s |' "$impl"
  for i in "${!shapes[@]}"; do
    [ "$i" -gt 0 ] || campaign "${shapes[0]}" 1 "$dir/model.db"
    [ "$i" -gt 0 ] || "$sievert" model build "$dir/model.db" -o "$dir/model.json" -q >/dev/null
    campaign "${shapes[i]}" $((i + 2)) "$dir/$i.db"
    json=$("$sievert" model check "$dir/model.json" "$dir/$i.db" --json)
    printf ' %.3f, %.1f %% |' "$(field total_variation <<<"$json")" "$(field kept <<<"$json" | awk '{ print 100 * $1 }')"
  done
  echo
  rm -f "$dir"/*
done
