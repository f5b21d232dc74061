#!/usr/bin/env bash
# survive.sh SIEVERT SHIM.so [slow]: whatever happens to `sievert inject`, the store is whole, the same command
# continues, and in the end it holds the rows of an undisturbed run: the same file, byte for byte.
# Few kills and failures by default, hundreds with slow; KILLS and EVERY set how many kills, and that every n-th
# call fails. SEED repeats a run.
set -u
SIEVERT=$(realpath "$1") SHIM=$(realpath "$2")
slow=${3-}
kills=${KILLS:-$([ "$slow" ] && echo 200 || echo 10)} every=${EVERY:-$([ "$slow" ] && echo 1 || echo 23)}
seed=${SEED:-$RANDOM}; RANDOM=$seed; echo "SEED=$seed"
[ ! -w /dev/shm ] || export TMPDIR=/dev/shm # hundreds of campaigns, each with its syncs
work=$(mktemp -d); trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT; cd "$work" || exit 1
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0
failed=0
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=$((failed + 1)); fi; }
what=(inject --impl direct --shape 1x2x8x8:4x3x3 -n 3000 -q)
run() { "$SIEVERT" "${what[@]}" -o "$1" >/dev/null 2>"$1.err"; }
rows() { "$SIEVERT" export "$1" -o - --format csv; }

run plain.db || { cat plain.db.err; exit 1; }
rows plain.db >plain.csv
check 'the undisturbed run has its rows' '[ "$(wc -l <plain.csv)" = 3001 ]'

# ---- kill -9 at random instants: as often at the beginning and the end as in the middle. Long enough for commits.
killed=(inject --impl direct --shape 1x2x8x8:4x3x3 -n 15000 --engine full -q)
began=$(date +%s%N)
"$SIEVERT" "${killed[@]}" -o kplain.db >/dev/null 2>&1
whole=$((($(date +%s%N) - began) / 1000000))
rows kplain.db >kplain.csv
n=0 campaigns=0 wrong=0 continued=0
while [ $n -lt $kills ]; do
  rm -f k.db*
  for (( ; ; )); do
    "$SIEVERT" "${killed[@]}" -o k.db >/dev/null 2>&1 & pid=$!
    if [ $n -lt $kills ]; then
      wait=$((RANDOM % (whole + whole / 10)))
      sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"
      kill -KILL $pid 2>/dev/null
    fi
    wait $pid 2>/dev/null; status=$?
    [ $status = 0 ] && break
    [ $status = 137 ] || { echo "status $status"; wrong=$((wrong + 1)); break; }
    n=$((n + 1))
    [ ! -e k.db ] || "$SIEVERT" status k.db --json >k.json || wrong=$((wrong + 1)) # never corrupt
    ! grep -q '"done": [1-9]' k.json 2>/dev/null || continued=$((continued + 1))
  done
  campaigns=$((campaigns + 1))
  cmp -s kplain.db k.db || wrong=$((wrong + 1))
  rows k.db | cmp -s - kplain.csv || wrong=$((wrong + 1))
done
check "$n kills in $campaigns campaigns, $continued of them with rows to continue from: the same rows" '[ $wrong = 0 ]'

# ---- the same of an exhaustive campaign, which keeps sums and the sites that they are of
if [ "$slow" ]; then
  every_fault=(inject --impl direct --shape 1x6x8x8:4x5x5 --exhaustive -q)
  began=$(date +%s%N)
  "$SIEVERT" "${every_fault[@]}" -o eplain.db >/dev/null 2>&1
  whole=$((($(date +%s%N) - began) / 1000000)) n=0 wrong=0
  for (( ; n < kills / 10; )); do
    rm -f e.db*
    for (( ; ; n++ )); do
      "$SIEVERT" "${every_fault[@]}" -o e.db >/dev/null 2>&1 & pid=$!
      wait=$((RANDOM % whole))
      [ $n -ge $((kills / 10)) ] || { sleep "$((wait / 1000)).$(printf %03d $((wait % 1000)))"; kill -KILL $pid 2>/dev/null; }
      wait $pid 2>/dev/null && break
    done
    cmp -s eplain.db e.db || wrong=$((wrong + 1))
  done
  check "$n kills of exhaustive campaigns: the same sums" '[ $wrong = 0 ]'
fi

# ---- the N-th call that changes a file fails
SHIM_COUNT=count LD_PRELOAD=$SHIM "$SIEVERT" "${what[@]}" -o c.db >/dev/null 2>&1
calls=$(cat count)
check "calls that change files are seen: $calls" '[ "$calls" -gt 20 ]'
tried=0 refused=0 wrong=0
for errno in 28 5; do # ENOSPC, EIO
  for on in 0 1; do
    for ((at = 1 + RANDOM % every; at <= calls; at += every)); do
      rm -f f.db*
      SHIM_FAIL=$at SHIM_ON=$on SHIM_ERRNO=$errno LD_PRELOAD=$SHIM "$SIEVERT" "${what[@]}" -o f.db >/dev/null 2>f.err
      status=$? tried=$((tried + 1))
      [ $status = 1 ] && refused=$((refused + 1))
      if [ $status -gt 1 ] || { [ $status = 1 ] && [ "$(wc -l <f.err)" != 1 ]; }; then
        echo "call $at, errno $errno, on $on: status $status"; cat f.err; wrong=$((wrong + 1))
      fi
      run f.db || { echo "call $at, errno $errno, on $on: not continued"; cat f.err f.db.err; wrong=$((wrong + 1)); }
      cmp -s plain.db f.db || { echo "call $at, errno $errno, on $on: another file"; wrong=$((wrong + 1)); }
    done
  done
done
check "$tried failing calls, $refused of them told: the same file afterwards" '[ $wrong = 0 ] && [ $refused -gt 5 ]'

# ---- the wall clock jumps by months
SHIM_CLOCK=1 LD_PRELOAD=$SHIM "$SIEVERT" "${what[@]}" -o clock.db >/dev/null 2>&1
check 'a clock that jumps: the same file' 'cmp plain.db clock.db'

# ---- Ctrl-C, SIGTERM; commits are at most a second apart
long=(inject --impl direct --shape 1x6x14x14:16x5x5 -n 1000000 --engine full --progress json -j 1)
for signal in INT TERM; do
  "$SIEVERT" "${long[@]}" -o long.db >/dev/null 2>long.err & pid=$!
  for _ in $(seq 100); do grep -q '"done":[1-9]' long.err && break; sleep 0.1; done
  kill -$signal $pid; wait $pid; status=$?
  check "$signal: exit 130 ($status), and how to continue" '[ $status = 130 ] && tail -1 long.err | grep -q "same command continues"'
done
"$SIEVERT" "${long[@]}" -o long.db >/dev/null 2>long.err & pid=$!
sleep 5
status_of=$("$SIEVERT" status long.db --json)
"$SIEVERT" "${long[@]}" -o long.db >/dev/null 2>second.err; second=$?
kill -KILL $pid; wait $pid 2>/dev/null
check 'status while it runs' 'grep -q "\"state\": \"running\"" <<<"$status_of" && grep -q seconds_left <<<"$status_of"'
check 'a second process is refused' '[ $second = 1 ] && grep -q "another process is writing" second.err'
check 'of a killed campaign, status tells what is there' '"$SIEVERT" status long.db | grep -q "^stopped"'
check 'no more than a second or so is lost' 'python3 - "$("$SIEVERT" status long.db --json)" <<PY
import json, sys
rows = json.loads(sys.argv[1])["done"]
told = [json.loads(l) for l in open("long.err") if l.startswith("{")]
last = told[-1]["seconds"]
before = max([t["done"] for t in told if t["seconds"] <= last - 1.5] or [0])
print(rows, "rows;", before, "were done 1.5 s before the last word")
sys.exit(rows < before)
PY'

# ---- folders and files that cannot be written; files that are not ours
mkdir readonly && cp long.db* readonly/ && cp plain.db readonly/ && chmod a-w readonly readonly/*
as=(); [ "$(id -u)" != 0 ] || { as=(setpriv --reuid=65534 --clear-groups); chmod a+x "$work"; chmod a+r readonly/*; }
mkdir -m 777 gcov; as=(env GCOV_PREFIX="$PWD/gcov" "${as[@]}") # where a build that counts lines may write
if "${as[@]}" test ! -w readonly && "${as[@]}" "$SIEVERT" --version >/dev/null 2>&1; then
  sum=$(cat readonly/* | sha256sum)
  "${as[@]}" "$SIEVERT" "${what[@]}" -o readonly/new.db >/dev/null 2>ro.err
  check 'a read-only folder: one clear line' '[ $? = 1 ] && [ "$(wc -l <ro.err)" = 1 ] && grep -q readonly/new.db ro.err'
  "${as[@]}" "$SIEVERT" "${what[@]}" -n 4000 -o readonly/plain.db >/dev/null 2>ro.err
  check 'a read-only store: one clear line' '[ $? = 1 ] && [ "$(wc -l <ro.err)" = 1 ]'
  check 'which can be reported' '"${as[@]}" "$SIEVERT" report readonly/plain.db >/dev/null'
  check 'all left as it was' '[ "$sum" = "$(cat readonly/* | sha256sum)" ]'
else
  echo 'SKIP: read-only folders (no other user to be)'
fi
printf 'SQLite format 3\0 but not really' >foreign.db
sqlite3 other.db 'create table t (x); insert into t values (1)' 2>/dev/null || cp foreign.db other.db
cp plain.db torn.db && truncate -s 20000 torn.db
cp plain.db scratched.db && dd if=/dev/urandom of=scratched.db bs=1 seek=8192 count=4000 conv=notrunc 2>/dev/null
for file in foreign other torn scratched; do
  sum=$(sha256sum <$file.db)
  "$SIEVERT" "${what[@]}" -o $file.db >/dev/null 2>$file.err; status=$?
  check "$file file: refused, left as it is" '[ $status = 1 ] && [ "$(wc -l <$file.err)" = 1 ] && [ "$sum" = "$(sha256sum <$file.db)" ]'
done
if mkdir full && mount -t tmpfs -o size=300k tmpfs full 2>/dev/null; then
  run full/run.db; status=$?
  check 'a full disk: one clear line' '[ $status = 1 ] && [ "$(grep -c "disk is full" full/run.db.err)" = 1 ]' 
  mount -o remount,size=8m full && run full/run.db
  check 'with room again: the same file' 'cmp plain.db full/run.db'
  umount full
else
  echo 'SKIP: full disk (cannot mount a small tmpfs)'
fi
echo "$failed failed"
[ $failed = 0 ]
