#!/usr/bin/env bash
# check_large.sh MAKE_REPORT FOLDER: a study of 20 layers and 12 implementations, with a picture of every
# pattern, is a page under 2 MB that opens in chromium without complaints.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
for tool in chromium python3; do
  command -v "$tool" >/dev/null || { echo "SKIP: no $tool"; exit 77; }
done
rm -rf "$2"
mkdir -p "$2"
"$1" "$2" 20 12 >"$2/terminal.txt"
rm -f "$2"/*.db
bytes=$(stat -c %s "$2/report.html")
[ "$bytes" -lt 2000000 ] || { echo "FAILED: report.html has $bytes bytes"; exit 1; }
cd "$here"
exec python3 - "$2" "$bytes" <<'PY'
import json
import sys

from chromium import Chromium

folder, size = sys.argv[1:3]
with open(folder + "/report.json", encoding="utf-8") as f:
    report = json.load(f)
assert len(report["cells"]) == 240
summary = " ".join([report["summary"]["headline"], *report["summary"]["points"]])
assert len(summary.split()) <= 220, f"more than a minute to read: {summary}"
assert all(len(c["pictures"]) >= 10 for c in report["cells"]), "pictures are missing"
browser = Chromium()
try:
    browser.view(1280, 900, dark=False)
    browser.open(folder + "/report.html")
    assert browser.js("document.querySelectorAll('details.layer').length") == 20
    assert browser.js("document.querySelectorAll('#summary table tbody tr').length") >= 12
    bad = [e for e in browser.events if e["method"] in (
        "Runtime.exceptionThrown", "Log.entryAdded", "Runtime.consoleAPICalled")]
    assert not bad, bad
finally:
    browser.close()
print(f"20 layers x 12 implementations in chromium, {size} bytes: passed")
PY
