#!/usr/bin/env bash
# Runs each case of tests/golden/cases: NAME.sh is a script that finds the program in $SIEVERT and an
# empty working folder; NAME.out is what it must print (stdout, stderr and exit status).
# Usage: run.sh SIEVERT [--write] [NAME...]. --write makes the .out files: review the difference.
set -u
here=$(cd "$(dirname "$0")" && pwd)
SIEVERT=$(realpath "$1"); export SIEVERT; shift
export ROOT=$here/../..
write=no; [ "${1-}" = --write ] && { write=yes; shift; }
names=("$@")
[ ${#names[@]} -gt 0 ] || mapfile -t names < <(cd "$here/cases" && ls -- *.sh | sed 's/\.sh$//')
failed=0
for name in "${names[@]}"; do
  dir=$(mktemp -d)
  got=$(cd "$dir" && bash "$here/cases/$name.sh" 2>&1; echo "exit status $?")
  rm -rf "$dir"
  expected=$here/cases/$name.out
  if [ $write = yes ]; then
    printf '%s\n' "$got" >"$expected"
  elif ! diff -u "$expected" <(printf '%s\n' "$got"); then
    echo "FAILED: golden case $name"; failed=$((failed + 1))
  fi
done
echo "${#names[@]} golden cases, $failed failed"
[ $failed = 0 ]
