#!/usr/bin/env bash
# The whole path at a small size: a study of LeNet-5, done with 1 and with 2 threads, interrupted and
# continued; its stores must be the same files, its reports complete. Usage: small.sh SIEVERT
set -u
SIEVERT=$(realpath "$1")
ROOT=$(cd "$(dirname "$0")/../.." && pwd)
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work" || exit 1
failed=0
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=$((failed + 1)); fi; }

cat >study.yaml <<Y
title: small
network: $ROOT/examples/lenet5.onnx
layers: ["0", "1"]
implementations: [direct, implicit-gemm, winograd-2x2-nonfused]
injections: 60
errors: 200
images: 20
Y
"$SIEVERT" study study.yaml -o one -j 1 >one.txt 2>one.err; check 'one thread' "[ $? = 0 ]"; cat one.err
mkdir other; (cd other && "$SIEVERT" study ../study.yaml -o one -j 2 -q >../two.txt)
check 'two threads' "[ $? = 0 ]"
n=0
for f in one/*.db one/*.json one/report.*; do
  [ $f = one/study.json ] || [[ $f = one/report.* ]] && continue # they name the configuration's path
  cmp "$f" "other/$f" || failed=$((failed + 1)); n=$((n + 1))
done
check "the same 6 campaigns, models and simulations ($n files)" "[ $n -ge 18 ]"
check 'the same table' "cmp one.txt two.txt"
check 'the same report' "cmp <(sed s,../study,study, other/one/report.json) one/report.json"
check 'a second run finds all done' "$SIEVERT study study.yaml -o one -q >again.txt && cmp one.txt again.txt"
check 'the page is whole' "grep -q '</html>' one/report.html"
check 'the page asks for nothing' "! grep -qE '(src|href)=\"https?:' one/report.html"
check 'csv has a row per cell' "[ \$(wc -l <one/report.csv) -ge 7 ]"
check 'json on stdout is the report' "$SIEVERT study study.yaml -o one -q --json | python3 -m json.tool >/dev/null"
sed -i 's/injections: 60/injections: 61/' study.yaml
check 'another study is refused' "! $SIEVERT study study.yaml -o one -q 2>refused.txt && grep -q 'another study' refused.txt"

# What an implementation cannot compute is skipped and named.
sed -i 's/implementations: .*/implementations: [direct, winograd-4x4-nonfused]/; s/61/20/' study.yaml
printf 'epsilon: 0\nseed: 0\n' >>study.yaml
"$SIEVERT" study study.yaml -o skip -q >skip.txt
check 'skipped layers are named' "grep -q 'Not computed: .*winograd-4x4-nonfused' skip.txt"
check 'zeroes are taken as written' "grep -q '\"epsilon\": 0.0' skip/study.json && grep -q '\"seed\": 0' skip/study.json"
sed -i 's/direct, winograd/winograd/' study.yaml
check 'nothing to do is an error' "! $SIEVERT study study.yaml -o none -q 2>none.txt && grep -q 'none of the impl' none.txt"

# Channels last: what computes that is done, the rest named.
sed -i 's/implementations: .*/implementations: [implicit-gemm, winograd-2x2-nonfused]/' study.yaml
echo 'layout: nhwc' >>study.yaml
"$SIEVERT" study study.yaml -o nhwc -q >nhwc.txt
check 'a study of NHWC' "grep -q 'Not computed: .*winograd.*needs layout nchw' nhwc.txt && grep -q ':nhwc' nhwc/report.json"
sed -i 's/nhwc/nhcw/' study.yaml
check 'an unknown layout is refused' "! $SIEVERT study study.yaml -o none -q 2>none.txt && grep -q \"unknown layout 'nhcw'\" none.txt"

# Several images: each has its share of the injections, and one store has all; replay finds the image's own.
cat >several.yaml <<Y
network: $ROOT/examples/lenet5.onnx
layers: ["1"]
implementations: [implicit-gemm]
images_per_class: 1
injections: 103
errors: 100
images: 20
Y
"$SIEVERT" study several.yaml -o several -j 1 -q >several.txt; check 'several images' "[ $? = 0 ]"
"$SIEVERT" study several.yaml -o several2 -j 2 -q >/dev/null
check 'the same store' "cmp several/conv2.implicit-gemm.db several2/conv2.implicit-gemm.db"
check 'ten parts' "[ \$(ls several/conv2.implicit-gemm.[0-9].db | wc -l) = 10 ]"
check 'all injections, each on its image' "python3 - <<'P'
import json, sqlite3, glob
def rows(f):
    c = sqlite3.connect(f)
    return c.execute('SELECT number, insn, lane, outcome, n_diffs FROM injection ORDER BY number').fetchall()
parts = [r for k in range(10) for r in rows(f'several/conv2.implicit-gemm.{k}.db')]
assert rows('several/conv2.implicit-gemm.db') == parts and len(parts) == 103
c = sqlite3.connect('several/conv2.implicit-gemm.db')
assert c.execute('SELECT n, k FROM campaign').fetchone() == (10, 16)
P"
for n in 0 10 11 50 102; do
  check "replay of $n" "$SIEVERT replay several/conv2.implicit-gemm.db $n -q >replay.txt 2>&1"
done

# Interrupt a campaign in the middle, continue it: the same file as undisturbed.
args=(inject --impl direct --onnx "$ROOT/examples/lenet5.onnx" --layer 1 -n 4000 -q)
"$SIEVERT" "${args[@]}" -o whole.db >/dev/null
"$SIEVERT" "${args[@]}" -o cut.db >/dev/null 2>cut.err & pid=$!
sleep 0.3; kill -INT $pid; wait $pid; status=$?
check "interrupted with 130 (or done already): $status" "[ $status = 130 -o $status = 0 ]"
"$SIEVERT" "${args[@]}" -o cut.db >/dev/null
check 'continued campaign is the same file' 'cmp whole.db cut.db'
for i in 0 7 1999 3999; do
  check "replay of $i, both engines" "$SIEVERT replay whole.db $i >r1 && $SIEVERT replay whole.db $i --engine replay >r2 && cmp r1 r2"
done
check 'beyond the end is refused' "! $SIEVERT replay whole.db 4000 2>/dev/null"

# A full disk: one line, status 1, no file taken for whole.
if mkdir full && mount -t tmpfs -o size=200k tmpfs full 2>/dev/null; then
  "$SIEVERT" "${args[@]}" -o full/run.db >/dev/null 2>full.err
  check 'full disk: status 1 and one line' "[ $? = 1 ] && [ \$(wc -l <full.err) = 1 ]"
  cat full.err
  umount full
else
  echo 'SKIP: full disk (cannot mount a small tmpfs)'
fi
echo "$failed failed"
[ $failed = 0 ]
