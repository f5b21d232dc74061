#!/usr/bin/env bash
# Assembles every PTX file of the build for real GPUs, where NVIDIA's ptxas is on the PATH: no errors, no
# spills, and the thread group fits into a processor (ptxas itself holds the registers to .reqntid).
# Usage: ptxas.sh FOLDER-OF-PTX OUT.tsv [ARCH...]. OUT.tsv: kernel, arch, registers, shared bytes, spills.
set -u
dir=$1 out=$2
shift 2
[ $# -gt 0 ] || set -- sm_75 sm_80 sm_90
command -v ptxas >/dev/null || { echo "SKIP: ptxas is not on the PATH"; exit 77; }

assemble() {
  local ptx=$1 arch=$2 log
  log=$(ptxas -v -arch "$arch" "$ptx" -o /dev/null 2>&1) || { echo "ERROR $arch $ptx: $log"; return; }
  awk -v file="$(basename "$ptx" .ptx)" -v arch="$arch" '
    /Compiling entry function/ { split($0, q, "\x27"); kernel = q[2] }
    /spill stores/ { for (i = 1; i < NF; i++) if ($i ~ /^[0-9]+$/ && $(i+2) == "spill") spills += $i }
    /Used [0-9]+ registers/ {
      match($0, /Used [0-9]+/); regs = substr($0, RSTART + 5, RLENGTH - 5)
      smem = match($0, /[0-9]+ bytes smem/) ? substr($0, RSTART, RLENGTH - 11) : 0
      printf "%s\t%s\t%s\t%d\t%d\t%d\n", file, kernel, arch, regs, smem, spills; spills = 0
    }' <<<"$log"
}
export -f assemble

{
  printf 'file\tkernel\tarch\tregisters\tshared_bytes\tspill_bytes\n'
  for arch; do
    find "$dir" -name '*.ptx' -print0 | sort -z |
      xargs -0 -P "$(nproc)" -I{} bash -c 'assemble "$@"' _ {} "$arch" | sort
  done
} >"$out"

files=$(find "$dir" -name '*.ptx' | wc -l)
awk -F'\t' -v files="$files" -v archs=$# '
  /^ERROR/ { print; bad = 1; next }
  NR == 1 { next }
  { seen[$1 "\t" $3] = 1; n++ }
  $4 > 255 { print "more than 255 registers: " $0; bad = 1 }
  $5 > 49152 { print "more than 48 KB of shared memory: " $0; bad = 1 }
  $6 > 0 { print "spills: " $0; bad = 1 }
  END {
    for (s in seen) k++
    if (k != files * archs) { print k + 0 " of " files * archs " files assembled"; bad = 1 }
    printf "%d kernels of %d files for %d architectures\n", n, files, archs
    exit bad
  }' "$out"
