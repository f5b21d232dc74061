#!/usr/bin/env bash
# Line coverage of src/ by the tests that ran in BUILD, and the files below 90 %.
# Usage: tools/coverage.sh BUILD
set -eu
build=$(realpath "$1")
cd "$(dirname "$0")/.."
# gcovr 5.2 asserts that a function of one name is at one line of a file, which isa.def, read several times, is not.
PYTHONOPTIMIZE=1 gcovr --root . --object-directory "$build" --filter src/ --gcov-ignore-parse-errors \
  --exclude-throw-branches --csv "$build/coverage.csv" --html-details "$build/coverage.html" "$build" >/dev/null
awk -F, 'NR == 1 { for (i = 1; i <= NF; i++) column[$i] = i; next }
  $column["line_total"] > 0 {
    total += $column["line_total"]; covered += $column["line_covered"]
    share = 100 * $column["line_covered"] / $column["line_total"]
    if (share < 90)
      below[++n] = sprintf("%6.1f %%  %5d of %5d  %s", share, $column["line_covered"], $column["line_total"],
                           $column["filename"])
  }
  END {
    printf "lines executed by the tests: %d of %d, %.1f %%\n", covered, total, 100 * covered / total
    printf n ? "files below 90 %%:\n" : "no file is below 90 %%\n"
    for (i = 1; i <= n; i++) print below[i] | "sort"
  }' "$build/coverage.csv"
echo "line by line: $build/coverage.html"
