#!/usr/bin/env bash
# The table of costs in its small form: stopped, it goes on; what is there is not run again; a row of figures is
# that of `conv run`; a changed kernel is. Usage: costs.sh SIEVERT SOURCE WORK
set -euo pipefail
sievert=$1 source=$2 work=$3
rm -rf "$work"
mkdir -p "$work"
fail() { echo "FAILED: $*"; exit 1; }
costs() { python3 "$source/tools/conv_costs.py" --program "$sievert" --cache "$work/cache" -o "$work/out.md" "$@" LeNet-5 2>"$work/log"; }
without_ms() { sed 's/| [^|]* |$/|/' "$1"; }

costs --seconds 0
[ ! -e "$work/out.md" ] || fail "a table without its rows"
grep -q "still to do" "$work/log" || fail "nothing said of what is to do"
costs -j 2
rows=$(grep -c '^| [a-z]' "$work/out.md")
runs=$(wc -l <"$work/cache")
supported=$("$sievert" conv list --json --shape 1x1x28x28:6x5x5:p2 | python3 -c '
import json, sys
print(sum(len(i["layouts"]) for i in json.load(sys.stdin) if i["supports"]))')
[ "$(grep -c '^## LeNet-5' "$work/out.md")" = 2 ] || fail "not two layers"
[ "$runs" = $((rows - 2)) ] || fail "$runs runs, $rows rows" # two heads
awk '/conv1/ { on = 1 } /conv2/ { on = 0 } on && /^\| [a-z]/' "$work/out.md" | grep -vc '^| implementation' |
  grep -qx "$supported" || fail "not every implementation is there"

# One run, by hand.
"$sievert" conv run --json --impl implicit-gemm --shape 1x6x14x14:16x5x5 | python3 -c '
import json, sys
m = json.load(sys.stdin)
for line in open(sys.argv[1]):
    row = json.loads(line)
    if row["key"] == ["implicit-gemm", "nchw", "1x6x14x14:16x5x5"]:
        assert all(row[k] == m[k] for k in ("tile", "total", "workspace_bytes", "relative_error"))
        break
else:
    sys.exit("no such row")' "$work/cache"

cp "$work/out.md" "$work/before.md"
costs
[ "$(wc -l <"$work/log")" = 0 ] || fail "ran what was there: $(cat "$work/log")"
truncate -s -20 "$work/cache" # as a kill leaves it
costs
[ "$(wc -l <"$work/log")" = 1 ] || fail "not one run after a cut: $(cat "$work/log")"
diff <(without_ms "$work/before.md") <(without_ms "$work/out.md") || fail "another table"
sed -i '3s/"digest": "./"digest": "x/' "$work/cache" # as if the kernel had changed
costs
[ "$(wc -l <"$work/log")" = 1 ] || fail "not one run after a change: $(cat "$work/log")"
costs --workspace 0
grep -q 'not run' "$work/out.md" || fail "workspaces are not limited"
