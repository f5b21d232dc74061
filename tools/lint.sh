#!/usr/bin/env bash
# Static checks beyond the compilers' warnings: scripts, spelling, format, cppcheck, clang-tidy.
# Usage: tools/lint.sh [BUILD [CHECK...]]
set -u
cd "$(dirname "$0")/.." || exit 2
build=${1-build}
[ $# -eq 0 ] || shift
checks=${*:-scripts spelling format cppcheck clang-tidy}
fail=0
have() { command -v "$1" >/dev/null || { echo "SKIP: $1 is not installed (tools/install-deps.sh --dev)"; return 1; }; }

scripts() {
  have shellcheck && git ls-files '*.sh' .ci/run | xargs shellcheck -s bash -e SC1090,SC2034,SC2046,SC2069,SC2206 --severity=warning
}
spelling() {
  # Words of the code that only look misspelt, and mistakes that tests make on purpose.
  have codespell && git ls-files | grep -vE '\.(onnx|png|npy|pb)$|^tests/(fuzz|golden)/' |
    xargs codespell --ignore-words-list=ths,addd,sinlge,reprot
}
format() {
  have clang-format && git ls-files '*.c' '*.h' | xargs clang-format --dry-run -Werror 2>&1 |
    sed -n 's/^\(.*\): error: .*/\1: make format would change this/p' | sort -t: -u -k1,1 | { ! grep .; }
}
cppcheck_() {
  # internalAstError is cppcheck's own, autoVariables misses when the callee returns; the others misread lines; registers
  # of the simulated GPU are bytes that each step reads as its type.
  have cppcheck && cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr \
    --error-exitcode=1 --suppress=missingIncludeSystem --suppress=unknownMacro \
    --suppress=internalAstError --suppress=autoVariables --suppress=invalidFunctionArg:src/nn/op_norm.c \
    --suppress=bufferAccessOutOfBounds:src/report/picture.c \
    --suppress=nullPointerRedundantCheck:src/simt/run.c \
    --suppress='arithOperationsOnVoidPointer:src/simt/lanes/*' --suppress='invalidPointerCast:src/simt/lanes/*' -j "$(nproc)" -I src src
}
clang_tidy() {
  have run-clang-tidy || return 0
  [ -f "$build/compile_commands.json" ] || { echo "no $build/compile_commands.json: make build first"; return 1; }
  run-clang-tidy -quiet -p "$build" -j "$(nproc)" "^$PWD/(src|kernels)/" 2>&1 |
    sed 's/\x1b\[[0-9;]*m//g' | grep -E '(warning|error): ' | sort -u | { ! grep .; }
}
for check in $checks; do
  case $check in
    cppcheck) cppcheck_ ;;
    clang-tidy) clang_tidy ;;
    scripts | spelling | format) $check ;;
    *) echo "lint: no check named '$check'" >&2; exit 2 ;;
  esac || { echo "lint: $check: FAILED"; fail=1; }
done
[ $fail = 0 ] && echo "lint: passed ($checks)"
exit $fail
