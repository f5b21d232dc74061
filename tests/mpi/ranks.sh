#!/usr/bin/env bash
# ranks.sh SIEVERT [slow]: a campaign on several ranks is the campaign of one process, whatever befalls the ranks.
set -u
SIEVERT=$(realpath "$1")
slow=${2-}
command -v mpirun >/dev/null && [ -e "$(dirname "$SIEVERT")/sievert-mpi.so" ] || { echo "SKIP: no MPI"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work" || exit 1
failed=0
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=$((failed + 1)); fi; }
run=(mpirun --oversubscribe)
[ "$(id -u)" = 0 ] && run+=(--allow-run-as-root)
export OMPI_MCA_btl_base_warn_component_unused=0
n=3000; [ "$slow" ] && n=600000
what=(inject --impl direct --shape 1x6x14x14:16x5x5 --engine concurrent -n $n -j 1)

"$SIEVERT" "${what[@]}" -q -o alone.db >alone.txt
"${run[@]}" -np 2 "$SIEVERT" "${what[@]}" -o two.db >two.txt 2>two.err
check 'two ranks: the same file' 'cmp alone.db two.db'
check 'and no shards are left' '[ -z "$(ls two.db?* 2>/dev/null)" ]'
check 'the report is printed once' '[ "$(grep -c "injections in" two.txt)" = 1 ]'
check 'traffic is told' 'grep -q "2 ranks (0 lost.*messages" two.err'
"${run[@]}" -np 2 "$SIEVERT" "${what[@]}" --seed 9 -o two.db >refused.txt 2>&1
check 'another campaign is refused, by one message' '[ "$(grep -c "holds another campaign" refused.txt)" = 1 ]'
check 'and left as it is' 'cmp alone.db two.db'
# extended by more ranks, with a sample of tensors
"$SIEVERT" "${what[@]}" --tensors 100 -q -o alone3.db >/dev/null
"$SIEVERT" "${what[@]}" --tensors 100 -n $((n / 3)) -q -o three.db >/dev/null
"${run[@]}" -np 3 "$SIEVERT" "${what[@]}" --tensors 100 -q -o three.db >/dev/null 2>&1
check 'three ranks continue: the same file' 'cmp alone3.db three.db'
# what killed ranks leave, and a file that is none of ours
gone=$(bash -c 'echo $$')
touch "three.db.rank-0001.$gone.tmp" "three.db.rank-0001.$gone.tmp-journal" three.db.rank-0002-shm "three.db.$gone.tmp" three.db.rank-0002.txt
"$SIEVERT" "${what[@]}" --tensors 100 -q -o three.db >/dev/null
check 'leftovers are removed' '[ "$(ls three.db?*)" = three.db.rank-0002.txt ] && cmp alone3.db three.db'
if [ "$slow" ]; then
  pid_of() { pgrep -f "^$SIEVERT .* -o $1\$" | sed -n "$(($2 + 1))p"; }
  started() { for _ in $(seq 100); do [ -e "$1" ] && return; sleep 0.1; done; }
  # a rank that stands still: its leases go to others, its shard is read, and it is ended
  "${run[@]}" -np 3 "$SIEVERT" "${what[@]}" -q -o still.db >/dev/null 2>&1 & job=$!
  started still.db.rank-0002; kill -STOP "$(pid_of still.db 2)"
  wait $job
  check 'a rank stands still: the same file' 'cmp alone.db still.db'
  # a rank that is killed where mpirun goes on without it
  "${run[@]}" --enable-recovery -np 3 "$SIEVERT" "${what[@]}" -q -o lost.db >/dev/null 2>&1 & job=$!
  started lost.db.rank-0002; kill -KILL "$(pid_of lost.db 2)"
  wait $job
  check 'a rank is lost: the same file' 'cmp alone.db lost.db'
  # everything is killed, again and again; the last command runs alone
  for i in 1 2 3; do
    "${run[@]}" -np 3 "$SIEVERT" "${what[@]}" -q -o cut.db >/dev/null 2>&1 & job=$!
    started cut.db.rank-0001; sleep 0.$((RANDOM % 10))
    for r in 2 1 0; do kill -KILL "$(pid_of cut.db $r)" 2>/dev/null; done
    wait $job
  done
  check 'shards are left, and status counts them' '"$SIEVERT" status cut.db --json | grep -q "\"state\": \"stopped\""'
  "$SIEVERT" "${what[@]}" -q -o cut.db >/dev/null
  check 'all ranks killed, continued alone: the same file' 'cmp alone.db cut.db'
  check 'and no shards are left' '[ -z "$(ls cut.db?* 2>/dev/null)" ]'
  # Ctrl-C, and a batch system's SIGTERM, while there is much left to do: with the slow engine, whose rows are the same
  slowly=("${what[@]}" --engine full)
  for signal in INT TERM; do
    "${run[@]}" --mca odls_base_sigkill_timeout 5 -np 2 "$SIEVERT" "${slowly[@]}" -q -o int.db >int.txt 2>&1 & job=$!
    for _ in $(seq 300); do "$SIEVERT" status int.db --json 2>/dev/null | grep -q '"state": "running"' && break; sleep 0.1; done
    sleep 0.5; kill -$signal $job; wait $job; status=$?
    check "$signal: told how to continue (mpirun's status: $status)" '[ $status != 0 ] && grep -q "the same command continues" int.txt'
    check "$signal: nothing runs any more" '! pgrep -f "^$SIEVERT .* -o int.db\$" >/dev/null'
  done
  "${run[@]}" -np 2 "$SIEVERT" "${what[@]}" -q -o int.db >/dev/null 2>&1
  check 'interrupted, then continued: the same file' 'cmp alone.db int.db'
fi
mkdir bare && cp "$SIEVERT" bare/
"${run[@]}" -np 2 bare/sievert "${what[@]}" -o bare.db >bare.txt 2>&1
check 'without the module: a message, and no store' 'grep -q "build with Open MPI" bare.txt && [ ! -e bare.db ]'
echo "$failed failed"
[ $failed = 0 ]
