#!/usr/bin/env bash
# words.sh SIEVERT FOLDER: its man pages and completions, as the program prints them.
set -eu
sievert=$1
out=$2
rm -rf "$out"
mkdir -p "$out/man1"
"$sievert" manual >"$out/man1/sievert.1"
"$sievert" --help | sed -n '/^Commands/,/^$/p' | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p' |
  while read -r name; do
    # A name of two words is two arguments.
    "$sievert" manual $name >"$out/man1/sievert-${name// /-}.1"
  done
"$sievert" completion bash >"$out/sievert"
"$sievert" completion zsh >"$out/_sievert"
touch "$out/done"
