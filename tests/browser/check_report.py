"""check_report.py report.html report.json FOLDER: the page in chromium, against the document."""
import base64
import json
import re
import sys
import zlib

from chromium import Chromium

html, document, folder = sys.argv[1:4]
with open(document, encoding="utf-8") as f:
    report = json.load(f)
failures = []


def check(ok, what):
    if not ok:
        failures.append(what)
        print("FAILED:", what)


def table(caption):
    """The table whose caption starts so, as rows of [shown, value]."""
    return browser.js(f"""(() => {{
        const t = [...document.querySelectorAll("table")].find(
            t => t.caption.textContent.startsWith({json.dumps(caption)}));
        return t && [...t.tBodies[0].rows].map(r => [...r.cells].map(
            c => [c.textContent, c.dataset.value ?? null]));
    }})()""")


def check_table(caption, expected):
    rows = table(caption)
    check(rows is not None and len(rows) == len(expected), f"{caption}: number of rows")
    for row, want in zip(rows or [], expected):
        for column, value in want.items():
            got = row[column][1]
            same = got == value if isinstance(value, str) else (
                got is not None and abs(float(got) - value) <= 1e-9 * abs(value))
            check(same, f"{caption}: column {column} has {got}, the document {value}")


def check_numbers():
    cells = report["cells"]
    layers = list(dict.fromkeys(c["layer"] for c in cells))
    first = [c for c in cells if c["layer"] == layers[0]]
    check_table("Outcomes", [{0: c["impl"], 1: c["outcomes"]["masked"]["share"],
                              2: c["outcomes"]["SDC"]["share"], 3: c["outcomes"]["DUE"]["share"]}
                             for c in first])
    check_table("Critical rates", [{1: c["critical"]["direct"]["given_sdc"]["value"],
                                    2: c["critical"]["model"]["given_sdc"]["value"],
                                    3: c["critical"]["direct"]["given_fault"]["value"],
                                    5: c["population"]}
                                   for c in first])
    entries = report["ranking"]["network"]["entries"]
    check_table("Ranking over the whole network",
                [{0: e["rank"], 1: e["impl"], 2: e["value"] / entries[0]["value"]}
                 for e in entries])
    check_table("Campaigns", [{0: c["layer"], 3: c["provenance"]["store"], 6: c["population"],
                               8: c["provenance"]["injections"]} for c in cells])


def check_every_number():
    """All numbers that tables show are the document's, or are made from them in a way named here."""
    known = set()

    def collect(x):
        if isinstance(x, dict):
            for v in x.values():
                collect(v)
        elif isinstance(x, list):
            for v in x:
                collect(v)
        elif isinstance(x, (int, float)) and not isinstance(x, bool):
            known.add(f"{x:.6g}")

    collect(report)
    ranked = [report["ranking"]["network"], *report["ranking"]["layers"]]
    for r in ranked:  # relative to the safest
        for e in r["entries"]:
            known.add(f"{e['value'] / r['entries'][0]['value']:.6g}")
    for impl in {c["impl"] for c in report["cells"]}:  # of the whole network
        of = [c for c in report["cells"] if c["impl"] == impl]
        known.add(f"{sum(c['instructions']['thread'] for c in of):.6g}")
    for c in report["cells"]:  # by pattern
        for s in ("direct", "model"):
            for n, k in c["critical"][s]["patterns"].values():
                known.add(f"{k / n:.6g}")
    shown = browser.js("""[...document.querySelectorAll("table:not(.listing) td[data-value]")].map(
        td => [td.closest("table").caption.textContent, td.dataset.value])""")
    numbers = [(t, v) for t, v in shown if re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", v)]
    strange = [(t, v) for t, v in numbers if f"{float(v):.6g}" not in known]
    check(len(numbers) > 200 and not strange, f"{len(numbers)} numbers, not the document's: {strange[:5]}")


def check_document():
    with open(html, encoding="utf-8") as f:
        packed = re.search(r'id="data">([^<]*)<', f.read()).group(1)
    check(json.loads(zlib.decompress(base64.b64decode(packed))) == report,
          "the page holds the document")


def check_copying():
    """What Copy puts on the clipboard is the table, with all digits."""
    copied = browser.js("""(() => {
        let text = null;
        navigator.clipboard.writeText = async t => { text = t; };
        const t = [...document.querySelectorAll("table")].find(t => t.caption.textContent.startsWith("Outcomes"));
        t.closest(".scroll").nextElementSibling.querySelector("button").click();
        return text;
    })()""")
    rows = [line.split("\t") for line in (copied or "").split("\n")]
    cell = report["cells"][0]
    check(rows[0] == ["Implementation", "Masked", "SDC", "DUE"] and rows[1][0] == cell["impl"] and
          float(rows[1][2]) == cell["outcomes"]["SDC"]["share"], f"copied: {copied}")


def check_made_again():
    """Every part with figures says how to make them, from the document's commands."""
    without = browser.js("""[...document.querySelectorAll("#summary, #trade-off, #overview, .layer > div, #models")].filter(
        part => part.querySelector("table, canvas") && !part.querySelector(".again, .command")).length""")
    check(without == 0, f"{without} parts do not say how their figures are made")
    shown = browser.js("""(() => {
        const d = document.querySelector(".layer .again");
        d.open = true;
        return new Promise(done => setTimeout(() => done(
            [...d.querySelectorAll("code")].map(c => c.textContent)), 300));
    })()""")
    layer = report["cells"][0]["layer"]
    want = [f"sievert inject --impl {c['impl']} --layer {layer} -o {c['provenance']['store']}"
            for c in report["cells"] if c["layer"] == layer] + report["commands"][-1:]
    check(shown == want, f"made again: {shown}")


def check_charts(where):
    blank = browser.js("""(() => {
        const blank = [];
        for (const c of document.querySelectorAll(".chart canvas")) {
            const copy = document.createElement("canvas");
            copy.width = c.width, copy.height = c.height;
            const g = copy.getContext("2d", {willReadFrequently: true});
            g.drawImage(c, 0, 0);
            const d = g.getImageData(0, 0, c.width, c.height).data;
            const colours = new Set();
            for (let i = 0; i < d.length; i += 4) if (d[i + 3] > 200) colours.add(d[i] << 16 | d[i + 1] << 8 | d[i + 2]);
            if (colours.size < 4) blank.push(c.getAttribute("aria-label"));
        }
        return blank;
    })()""")
    check(not blank, f"{where}: empty charts {blank}")
    check(browser.js("document.querySelectorAll('.chart canvas').length") >= 10, f"{where}: charts")
    marks = browser.js("""[...document.querySelectorAll(".chart canvas")].map(c =>
        Chart.getChart(c).data.datasets.reduce((n, d) => n + d.data.length, 0))""")
    check(marks and min(marks) > 0, f"{where}: charts without marks")


def check_console():
    for e in browser.events:
        if e.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded",
                               "Runtime.consoleAPICalled"):
            check(False, f"console: {json.dumps(e['params'])[:900]}")


def check_sorting():
    sort = """(() => {
        const t = [...document.querySelectorAll("table")].find(t => t.caption.textContent.startsWith("Outcomes"));
        t.tHead.querySelectorAll("button")[1].click();
        return [...t.tBodies[0].rows].map(r => +r.cells[1].dataset.value);
    })()"""
    up, down = browser.js(sort), browser.js(sort)
    check(up == sorted(up) and down == up[::-1] and up[0] != up[-1], f"sorting: {up}, {down}")


def check_listing():
    rows = browser.js("""(() => {
        const d = [...document.querySelectorAll("details.minor")].find(
            d => d.previousElementSibling && d.previousElementSibling.textContent.startsWith("Each fault is counted"));
        d.open = true;
        return new Promise(done => setTimeout(() => done(
            [...d.querySelectorAll("table.listing tbody tr:not(.quiet):not(.gap)")].map(
                r => [...r.cells].map(c => c.textContent))), 300));
    })()""")
    cell = report["cells"][0]
    check(len(rows) == len(cell["lines"]), f"source lines: {len(rows)} shown")
    for row, line in zip(rows, cell["lines"]):
        text = report["sources"][line[0]]["lines"][line[1] - 1]
        check(row[0] == str(line[1]) and row[1] == text, f"source line {line[1]}: {row[:2]}")
        check(int(row[2]) == sum(line[2:5]) and row[3].startswith(str(line[3]) + " ("),
              f"source line {line[1]}: {row[2:]}")


def check_commands():
    shown = browser.js("""[...document.querySelectorAll("#provenance details .command code")]
        .map(c => c.textContent)""")
    want = []  # no cell has a model's file
    for c in report["cells"]:
        store, direct = c["provenance"]["store"], c["critical"]["direct"]["store"]
        want += [f"sievert inject --impl {c['impl']} --layer {c['layer']} -o {store}",
                 f"sievert simulate --layer {c['layer']} --campaign {store} -o {direct}"]
    check(shown == want, f"commands: {shown}")


def check_keyboard():
    browser.js("document.querySelector('.skip').focus()")
    seen = set()
    for _ in range(60):
        for kind in ("keyDown", "keyUp"):
            browser.call("Input.dispatchKeyEvent", type=kind, key="Tab", code="Tab",
                         windowsVirtualKeyCode=9)
        seen.add(browser.js("document.activeElement.tagName"))
    check({"A", "BUTTON", "SELECT", "SUMMARY"} <= seen, f"keyboard reaches only {seen}")


browser = Chromium()
try:
    browser.view(1280, 900, dark=False)
    browser.open(html)
    check(browser.js("document.title").startswith("</script>"), "the title is text")
    check(browser.js("document.querySelectorAll('main b').length") > 0, "the page is there")
    check_console()
    if failures:
        sys.exit(1)
    check_document()
    check_numbers()
    check_every_number()
    check_charts("light")
    browser.screenshot(folder + "/light.png")
    check_sorting()
    check_listing()
    check_copying()
    check_commands()
    check_made_again()
    check_keyboard()
    browser.view(1280, 900, dark=True)
    check(browser.js("getComputedStyle(document.body).backgroundColor") == "rgb(20, 23, 28)",
          "dark scheme")
    check_charts("dark")
    browser.screenshot(folder + "/dark.png")
    for dark in (True, False):
        browser.view(390, 844, dark)
        wide = browser.js("document.documentElement.scrollWidth")
        check(wide <= 390, f"phone: the page is {wide} pixels wide")
        check_charts("phone, dark" if dark else "phone")
    browser.screenshot(folder + "/phone.png")
    browser.pdf(folder + "/print.pdf")
    requests = [e["params"]["request"]["url"] for e in browser.events
                if e.get("method") == "Network.requestWillBeSent"]
    outside = [u for u in requests if not u.startswith(("file://", "data:", "about:"))]
    check(not outside, f"requests: {outside}")
    check(sum(u.startswith("file://") for u in requests) == 1, f"files asked for: {requests}")
    check_console()
finally:
    browser.close()
print("report in chromium:", "FAILED" if failures else "passed")
sys.exit(1 if failures else 0)
