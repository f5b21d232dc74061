#!/usr/bin/env bash
# The top of a report as a picture: tools/screenshot.sh out/report.html docs/report.png. Needs chromium.
set -eu
cd "$(dirname "$0")/.."
exec python3 - "$1" "$2" <<'PY'
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
