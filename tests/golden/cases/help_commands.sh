# Every command's help, from the same list that --help prints.
"$SIEVERT" --help | sed -n '/^Commands/,/^$/s/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p' |
while read -r command; do
  echo "== $command"
  # shellcheck disable=SC2086
  "$SIEVERT" $command --help || echo "status $?"
done
