#!/usr/bin/env python3
"""Writes docs/convolution-costs.md: what each implementation costs on layers of known networks, as
`sievert conv run --json` measures it. Usage: tools/conv_costs.py [build/sievert] [NETWORK...]"""
import json
import subprocess
import sys

LAYERS = [
    ("LeNet-5", "conv1", "1x1x28x28:6x5x5:p2"),
    ("LeNet-5", "conv2", "1x6x14x14:16x5x5"),
    ("AlexNet", "conv1", "1x3x224x224:64x11x11:p2:s4"),
    ("AlexNet", "conv2", "1x64x27x27:192x5x5:p2"),
    ("VGG-16", "conv1_1", "1x3x224x224:64x3x3:p1"),
    ("VGG-16", "conv5_1", "1x512x14x14:512x3x3:p1"),
    ("ResNet-18", "conv1", "1x3x224x224:64x7x7:p3:s2"),
    ("ResNet-18", "layer1", "1x64x56x56:64x3x3:p1"),
    ("ResNet-18", "layer2.0", "1x64x56x56:128x3x3:p1:s2"),
    ("ResNet-18", "layer2.0 shortcut", "1x64x56x56:128x1x1:s2"),
    ("ResNet-50", "layer1.0 expand", "1x64x56x56:256x1x1"),
    ("ResNet-50", "layer3.1 reduce", "1x1024x14x14:256x1x1"),
    ("ResNet-50", "layer4.1", "1x512x7x7:512x3x3:p1"),
    ("MobileNetV2", "features.1 depthwise", "1x32x112x112:32x3x3:p1:g32"),
    ("MobileNetV2", "features.2 depthwise", "1x96x112x112:96x3x3:p1:s2:g96"),
    ("MobileNetV2", "features.14 expand", "1x96x14x14:576x1x1"),
]

HEAD = """# What each implementation costs

Made by `tools/conv_costs.py`, which runs `sievert conv run --json` for each row: do not edit. Thread
instructions are those of the PTX, executed by lanes that are neither inactive nor predicated off: all, and those
of NVBitFI's groups (the rest has no destination). Where an implementation does NHWC too, that is a row of its
own. Bytes are those that threads ask for, whatever a cache would serve. The time is that of
one plain simulated run on one core of a machine that had other work to do, an order of magnitude; everything
else is exact. Errors are relative to oneDNN.
"""


def si(n):
    for unit in ("", "k", "M", "G"):
        if n < 999.5:
            return f"{n:.3g}{unit}" if unit else str(n)
        n /= 1000
    return f"{n:.3g}T"


GROUPS = ("fp32", "ld", "pr", "others")


def measure(program, impl, shape, layout):
    run = subprocess.run([program, "conv", "run", "--json", "--impl", impl, "--shape", shape,
                          "--layout", layout], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"{impl} {shape}: {run.stderr}")
    return json.loads(run.stdout)


def row(program, impl, shape, layout):
    m = measure(program, impl, shape, layout)
    t = m["total"]
    moved = lambda kind: si(t[kind + "_load_bytes"] + t[kind + "_store_bytes"])
    groups = " | ".join(si(t["thread_instructions_by_group"][g]) for g in GROUPS)
    name = impl + ("" if layout == "nchw" else ", " + layout)
    return (f"| {name} | {m['tile'] or '-'} | {len(m['launches'])} | {si(t['thread_instructions'])} | "
            f"{groups} | {moved('global')} | {moved('shared')} | "
            f"{si(m['workspace_bytes'])} | {m['relative_error']:.1e} | {1e3 * m['seconds']:.3g} |")


def main():
    program = sys.argv[1] if len(sys.argv) > 1 else "build/sievert"
    only = sys.argv[2:]
    out = [HEAD]
    for network, layer, shape in LAYERS:
        if only and network not in only:
            continue
        listing = subprocess.run([program, "conv", "list", "--json", "--shape", shape],
                                 capture_output=True, text=True, check=True)
        rows = [(i["name"], layout) for i in json.loads(listing.stdout) if i["supports"]
                for layout in i["layouts"]]
        out.append(f"\n## {network}, {layer}: `{shape}`\n")
        out.append("| implementation | tile | launches | thread instructions | " + " | ".join(GROUPS) +
                   " | global bytes | shared bytes | workspace bytes | error | ms |")
        out.append("| --- | --- |" + " ---: |" * (7 + len(GROUPS)))
        for impl, layout in rows:
            out.append(row(program, impl, shape, layout))
            print(network, layer, impl, layout, file=sys.stderr)
    with open("docs/convolution-costs.md", "w") as f:
        f.write("\n".join(out) + "\n")


main()
