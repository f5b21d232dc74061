#!/usr/bin/env bash
# tools/bench.sh: what benches print comes out and is appended to the log; one that fails fails it.
set -euo pipefail
script=$(dirname "$0")/../../tools/bench.sh
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
fail() { echo "FAIL: $*"; exit 1; }
printf '#!/bin/sh\necho "a table of one"\n' >"$folder/bench_one"
printf '#!/bin/sh\necho "a table of two"\n' >"$folder/bench_two"
echo 'not a program' >"$folder/bench_notes.txt"
chmod +x "$folder"/bench_one "$folder"/bench_two
log=$folder/log
"$script" "$folder" "$log" >"$folder/first"
cmp "$folder/first" "$log" || fail "the log is not what was printed"
[ "$(grep -c '^a table of' "$log")" = 2 ] || fail "not both tables"
grep -q '^=== 20..-..-..T..:..:..Z .*sources' "$log" || fail "no line that says when"
"$script" "$folder" "$log" bench_two >"$folder/second"
cat "$folder/first" "$folder/second" | cmp - "$log" || fail "the second run was not appended"
grep -q 'of one' "$folder/second" && fail "a bench ran that was not named"
printf '#!/bin/sh\necho half; exit 3\n' >"$folder/bench_one"
if "$script" "$folder" "$log" >/dev/null; then fail "a failing bench passed"; fi
[ "$(tail -n 1 "$log")" = half ] || fail "what a failing bench printed is not in the log"
echo ok
