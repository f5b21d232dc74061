#!/usr/bin/env bash
# slurm.sh SIEVERT SCRIPT: examples/campaign.slurm as Slurm would run it, an array and with MPI, by the variables that
# Slurm sets: both make the file of one process.
set -u
export ASAN_OPTIONS=verify_asan_link_order=0:detect_leaks=0 # Open MPI keeps memory until it ends
SIEVERT=$(realpath "$1") script=$(realpath "$2")
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work" || exit 1
failed=0
check() { if eval "$2"; then echo "ok: $1"; else echo "FAILED: $1"; failed=$((failed + 1)); fi; }
mkdir bin && ln -s "$SIEVERT" bin/sievert && PATH=$work/bin:$PATH
what=(--impl direct --shape 1x2x8x8:4x3x3 -n 2000)
sievert inject "${what[@]}" -q -o alone.db >/dev/null || exit 1
check 'the script is one that bash reads' 'bash -n "$script"'
for k in 1 2 3; do
  SLURM_ARRAY_TASK_ID=$k SLURM_ARRAY_TASK_COUNT=3 SLURM_CPUS_PER_TASK=1 bash "$script" "${what[@]}" >"$k.out" 2>&1 || { cat "$k.out"; failed=1; }
done
sievert merge run.part-*.db -q -o merged.db >/dev/null
check 'an array of three, merged: the same file' 'cmp alone.db merged.db'
if command -v mpirun >/dev/null && [ -e "$(dirname "$SIEVERT")/sievert-mpi.so" ]; then
  export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_rmaps_base_oversubscribe=1
  STORE=ranks.db SLURM_CPUS_PER_TASK=1 bash "$script" "${what[@]}" >ranks.out 2>&1 || { cat ranks.out; failed=1; }
  check 'ranks: the same file' 'cmp alone.db ranks.db'
  check 'no colours in a file' '! grep -q "$(printf "\033")" ranks.out'
else
  echo 'SKIP: no MPI'
fi
echo "$failed failed"
[ $failed = 0 ]
