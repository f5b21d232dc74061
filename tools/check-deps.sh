#!/usr/bin/env bash
# Checks that each part of src/ includes only the parts to its left in the data flow.
# Usage: tools/check-deps.sh [ROOT]. Prints file:line of every include that is not allowed.
set -u
cd "${1:-$(dirname "$0")/..}" || exit 2

# part: the parts it may include (base, vocab and itself are open to all)
allowed='
base:
vocab:
ptx:
simt: ptx
conv: ptx simt
user: ptx simt
inject: ptx simt
store:
stats:
characterise:
campaign: ptx simt conv user inject store stats characterise
model: characterise stats
nn: model
simulate: nn model store stats characterise
report: store stats model characterise
study: ptx simt conv user campaign simulate report nn model store stats characterise inject
mpi: campaign
cli: ptx simt conv user inject store stats campaign characterise model nn simulate study report
lib: ptx simt conv user inject store stats campaign characterise model nn simulate study report
'
# library header: the only parts that may see it
owners='
sqlite3.h store
dnnl conv|nn
protobuf-c nn
cyaml study
png.h report|nn
jpeglib.h nn
zstd.h store
Random123 base
mpi.h mpi
'
fail=0
for dir in src/*/; do
  part=$(basename "$dir")
  line=$(grep "^$part:" <<<"$allowed") || { echo "$dir: not listed in tools/check-deps.sh"; fail=1; continue; }
  ok=" $part base vocab ${line#*:} "
  while IFS=: read -r file no inc; do
    target=${inc%%/*}
    [ -d "src/$target" ] || continue
    case "$ok" in *" $target "*) ;; *) echo "$file:$no: $part must not include $inc"; fail=1 ;; esac
  done < <(grep -rnoP '^\s*#\s*include\s+"\K[^"]+/[^"]+(?=")' "$dir" --include='*.[ch]' --include='*.def')
  while read -r header who; do
    [ -n "$header" ] || continue
    [[ "$part" =~ ^($who)$ ]] && continue
    grep -rnE "^\s*#\s*include\s+<$header" "$dir" --include='*.[ch]' && { echo "only $who may include <$header>"; fail=1; }
  done <<<"$owners"
done
exit $fail
