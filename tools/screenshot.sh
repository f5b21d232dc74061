#!/usr/bin/env bash
# The top of a report as a picture. Needs chromium.
#   tools/screenshot.sh REPORT.html PICTURE.png
#   tools/screenshot.sh        docs/report.png again: the study of the README with 10,000 injections each
set -eu
cd "$(dirname "$0")/.."
case $# in
  0)
    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    mkdir "$work/examples"
    cp examples/lenet5.onnx "$work/examples/"
    sed 's/^injections: [0-9]*/injections: 10000/' examples/lenet5.yaml >"$work/examples/lenet5.yaml"
    program=$PWD/build/sievert
    (cd "$work" && "$program" study examples/lenet5.yaml -o out -q >/dev/null)
    set -- "$work/out/report.html" docs/report.png
    ;;
  2) ;;
  *) sed -n 's/^# //p' "$0" >&2; exit 2 ;;
esac
python3 - "$1" "$2" <<'PY'
import sys
sys.path.insert(0, "tests/browser")
from chromium import Chromium
browser = Chromium()
try:
    browser.view(1280, 1340, dark=False)
    browser.open(sys.argv[1])
    browser.screenshot(sys.argv[2], whole=False)
finally:
    browser.close()
PY
