#!/usr/bin/env bash
# Checks that every header of src/ and include/ compiles alone.
set -u
cd "$(dirname "$0")/.." || exit 2
fail=0
while read -r header; do
  ${CC:-cc} -std=c17 -D_GNU_SOURCE -Wall -Wextra -Werror -fsyntax-only -Isrc -Iinclude -x c "$header" || fail=1
done < <(find src $([ -d include ] && echo include) -name '*.h' -not -name 'priv_*')
exit $fail
