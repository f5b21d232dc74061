#!/usr/bin/env bash
# check_report.sh MAKE_REPORT FOLDER: makes the synthetic report and examines it in chromium.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in chromium python3; do
  command -v "$tool" >/dev/null || { echo "SKIP: no $tool"; exit 77; }
done
rm -rf "$2"
mkdir -p "$2"
"$1" "$2" >"$2/terminal.txt"
python3 "$here/check_report.py" "$2/report.html" "$2/report.json" "$2"
