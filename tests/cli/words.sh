#!/usr/bin/env bash
# words.sh SIEVERT: what is made from the tables of commands and options is complete and well-formed.
set -u
sievert=$1
fail=0
complain() { echo "FAILED: $*"; fail=1; }

# complete WORD...: what bash would offer for the last word
source <("$sievert" completion bash)
complete_words() {
  COMP_WORDS=("$@")
  COMP_CWORD=$(($# - 1))
  _sievert
  echo "${COMPREPLY[*]}"
}

names=$("$sievert" --help | sed -n '/^Commands/,/^$/p' | sed -n 's/^  \([a-z]\+\( [a-z]\+\)\?\)  .*/\1/p')
[ "$(wc -l <<<"$names")" -ge 10 ] || complain "few commands in the help: $names"
while read -r name; do
  help=$("$sievert" help $name) || complain "help $name"
  [ "$help" = "$("$sievert" $name --help)" ] || complain "help $name differs from $name --help"
  [ "$(sed -n 3p <<<"$help")" = Examples: ] || complain "$name --help does not begin with examples"
  page=$("$sievert" manual $name) || complain "manual $name"
  words=$(complete_words sievert $name --)
  # --help, the man page and the completions all name every option.
  while read -r option; do
    grep -qF -- "\\-\\-${option//-/\\-}\\fR" <<<"$page" || complain "manual $name lacks --$option"
    grep -qw -- "--$option" <<<"$words" || complain "completion of $name lacks --$option: $words"
  done < <(grep -oP '^  (-., |    )--\K[a-z-]+' <<<"$help")
  if command -v groff >/dev/null; then
    warnings=$(groff -man -Tutf8 -ww -z <<<"$page" 2>&1)
    [ -z "$warnings" ] || complain "manual $name: $warnings"
  fi
  first=${name%% *}
  [[ " $(complete_words sievert "${first:0:2}") " == *" $first "* ]] || complain "no completion to $first"
  [ "$first" = "$name" ] || [[ " $(complete_words sievert "$first" "") " == *" ${name#* } "* ]] ||
    complain "no completion to $name"
done <<<"$names"

[ "$(complete_words sievert inject --engine ful)" = full ] || complain "completion of --engine"
[[ " $(complete_words sievert conv run --impl "") " == *" direct "* ]] || complain "completion of --impl"
"$sievert" completion zsh >/tmp/words.$$
grep -q '^#compdef sievert' /tmp/words.$$ || complain "zsh completion"
! command -v zsh >/dev/null || zsh -n /tmp/words.$$ || complain "zsh does not parse its completion"
# What zsh would offer: the function itself, with the builtins that it calls printing their arguments.
zsh_offers() {
  zsh -f -c 'file=$1; shift; compadd() { print -r -- "$@" }; _arguments() { print -rl -- "$@" }; compdef() { :; }
    eval "$(<$file)"; words=("$@"); CURRENT=$#words; _sievert' zsh /tmp/words.$$ "$@" 2>&1
}
if command -v zsh >/dev/null; then
  [[ " $(zsh_offers sievert "") " == *" inject "* ]] || complain "zsh: no command inject"
  [[ " $(zsh_offers sievert conv "") " == *" run"* ]] || complain "zsh: no conv run"
  zsh_offers sievert conv run --i | grep -q -- '^--impl=.*:NAME:(direct ' || complain "zsh: conv run --impl"
  zsh_offers sievert inject --e | grep -q -- '^--engine=' || complain "zsh: inject --engine"
fi
rm -f /tmp/words.$$

# Exit status and suggestions.
status() { "$sievert" "$@" >/dev/null 2>&1; echo $?; }
[ "$(status --version)" = 0 ] || complain "--version"
[ "$(status)" = 2 ] || complain "no command: exit status"
[ "$(status injct)" = 2 ] || complain "unknown command: exit status"
[ "$(status report)" = 2 ] || complain "missing operand: exit status"
[ "$(status report /nonexistent.db)" = 1 ] || complain "missing file: exit status"
[ "$(status manual nonsense)" = 1 ] || complain "unknown page: exit status"
"$sievert" injct 2>&1 | grep -q "did you mean 'inject'" || complain "no suggestion for injct"
"$sievert" inject --enjine full 2>&1 | grep -q "did you mean '--engine'" || complain "no suggestion for --enjine"
"$sievert" manual injct 2>&1 | grep -q "did you mean 'inject'" || complain "no suggestion by manual"
"$sievert" conv run --impl drect --shape 1x1x4x4:1x3x3 2>&1 | grep -q "did you mean 'direct'? There are" ||
  complain "no suggestion for drect"
printf 'network: x.onnx\nlayer: [a]\n' >"/tmp/words.$$.yaml"
"$sievert" study "/tmp/words.$$.yaml" 2>&1 | grep -q "2:1: error: .*did you mean 'layers'" ||
  complain "no suggestion for a study's key"
rm -f "/tmp/words.$$.yaml"
exit $fail
