#!/usr/bin/env bash
# Static checks beyond the compilers' warnings. Usage: tools/lint.sh [BUILD]
set -u
cd "$(dirname "$0")/.." || exit 2
fail=0
for script in tools/*.sh tests/*/*.sh .ci/run; do bash -n "$script" || fail=1; done
if command -v cppcheck >/dev/null; then
  cppcheck --quiet --std=c11 --enable=warning,portability --inline-suppr --error-exitcode=1 \
    --suppress=missingIncludeSystem --suppress=unknownMacro -j 2 -I src src || fail=1
else
  echo 'SKIP: cppcheck is not installed'
fi
exit $fail
