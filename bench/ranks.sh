#!/usr/bin/env bash
# ranks.sh SIEVERT: two ranks under mpirun against two independent processes with half of the work each, whose two files
# are left as they are, or merged into the one that ranks make. Prints the seconds of each turn on the wall and of the
# processors, and the efficiency: the ratio of the medians. Wants an idle machine.
# CAMPAIGN='--impl ... --shape ... -n ...' measures another campaign: the faster an injection is, the more the merge counts.
set -eu
SIEVERT=$(realpath "$1") turns=${TURNS:-3}
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 OMPI_MCA_btl_base_warn_component_unused=0
read -ra campaign <<<"${CAMPAIGN:---impl implicit-gemm --shape 1x16x32x32:32x3x3:p1 -n 1000000}"
what=(inject "${campaign[@]}" -j 1 -q)
two_ranks() { mpirun --oversubscribe -np 2 "$SIEVERT" "${what[@]}" -o run.db; }
two_processes() {
  "$SIEVERT" "${what[@]}" --part 1/2 -o a.db & local other=$!
  "$SIEVERT" "${what[@]}" --part 2/2 -o b.db
  wait $other
}
two_processes_merged() { two_processes && "$SIEVERT" merge a.db b.db -q -o run.db; }
TIMEFORMAT='%R %U %S'
for turn in $(seq "$turns"); do
  for way in two_ranks two_processes two_processes_merged; do
    rm -f ./*.db*
    { time $way >/dev/null 2>&1; } 2>>$way
    echo "turn $turn, $way: $(tail -1 $way | awk '{ printf "%.2f s, %.2f s of the processors", $1, $2 + $3 }')"
  done
done
median() { awk -v c="$2" '{ print c ? $2 + $3 : $1 }' "$1" | sort -n | sed -n "$((turns / 2 + 1))p"; }
for c in 0 1; do
  [ $c = 0 ] && of='on the wall' || of='of the processors'
  for way in two_processes two_processes_merged; do
    awk -v r="$(median two_ranks $c)" -v p="$(median $way $c)" -v of="$of" -v way="${way//_/ }" \
      'BEGIN { printf "seconds %s: two ranks %.2f, %s %.2f: efficiency %.2f\n", of, r, way, p, p / r }'
  done
done
