#!/usr/bin/env python3
"""Writes docs/convolution-costs.md: what each implementation costs on every convolution of known networks, as
`sievert conv run --json` measures it. Every run is kept as a line of a cache; what is there already, of the same
kernels, is not run again, so that a stopped run goes on and a new implementation costs only its own rows."""
import argparse
import hashlib
import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

# Batch 1, images of 28x28 (LeNet-5) and 224x224. Shapes that a network has several times are there once, under
# the first layer's name.
LAYERS = """
LeNet-5 conv1 1x1x28x28:6x5x5:p2
LeNet-5 conv2 1x6x14x14:16x5x5
AlexNet conv1 1x3x224x224:64x11x11:p2:s4
AlexNet conv2 1x64x27x27:192x5x5:p2
AlexNet conv3 1x192x13x13:384x3x3:p1
AlexNet conv4 1x384x13x13:256x3x3:p1
AlexNet conv5 1x256x13x13:256x3x3:p1
VGG-16 conv1_1 1x3x224x224:64x3x3:p1
VGG-16 conv1_2 1x64x224x224:64x3x3:p1
VGG-16 conv2_1 1x64x112x112:128x3x3:p1
VGG-16 conv2_2 1x128x112x112:128x3x3:p1
VGG-16 conv3_1 1x128x56x56:256x3x3:p1
VGG-16 conv3_2 1x256x56x56:256x3x3:p1
VGG-16 conv4_1 1x256x28x28:512x3x3:p1
VGG-16 conv4_2 1x512x28x28:512x3x3:p1
VGG-16 conv5_1 1x512x14x14:512x3x3:p1
ResNet-18 conv1 1x3x224x224:64x7x7:p3:s2
ResNet-18 layer1 1x64x56x56:64x3x3:p1
ResNet-18 layer2.0.conv1 1x64x56x56:128x3x3:p1:s2
ResNet-18 layer2.0.downsample 1x64x56x56:128x1x1:s2
ResNet-18 layer2 1x128x28x28:128x3x3:p1
ResNet-18 layer3.0.conv1 1x128x28x28:256x3x3:p1:s2
ResNet-18 layer3.0.downsample 1x128x28x28:256x1x1:s2
ResNet-18 layer3 1x256x14x14:256x3x3:p1
ResNet-18 layer4.0.conv1 1x256x14x14:512x3x3:p1:s2
ResNet-18 layer4.0.downsample 1x256x14x14:512x1x1:s2
ResNet-18 layer4 1x512x7x7:512x3x3:p1
ResNet-50 conv1 1x3x224x224:64x7x7:p3:s2
ResNet-50 layer1.0.conv1 1x64x56x56:64x1x1
ResNet-50 layer1.conv2 1x64x56x56:64x3x3:p1
ResNet-50 layer1.conv3 1x64x56x56:256x1x1
ResNet-50 layer1.conv1 1x256x56x56:64x1x1
ResNet-50 layer2.0.conv1 1x256x56x56:128x1x1
ResNet-50 layer2.0.conv2 1x128x56x56:128x3x3:p1:s2
ResNet-50 layer2.0.downsample 1x256x56x56:512x1x1:s2
ResNet-50 layer2.conv3 1x128x28x28:512x1x1
ResNet-50 layer2.conv1 1x512x28x28:128x1x1
ResNet-50 layer2.conv2 1x128x28x28:128x3x3:p1
ResNet-50 layer3.0.conv1 1x512x28x28:256x1x1
ResNet-50 layer3.0.conv2 1x256x28x28:256x3x3:p1:s2
ResNet-50 layer3.0.downsample 1x512x28x28:1024x1x1:s2
ResNet-50 layer3.conv3 1x256x14x14:1024x1x1
ResNet-50 layer3.conv1 1x1024x14x14:256x1x1
ResNet-50 layer3.conv2 1x256x14x14:256x3x3:p1
ResNet-50 layer4.0.conv1 1x1024x14x14:512x1x1
ResNet-50 layer4.0.conv2 1x512x14x14:512x3x3:p1:s2
ResNet-50 layer4.0.downsample 1x1024x14x14:2048x1x1:s2
ResNet-50 layer4.conv3 1x512x7x7:2048x1x1
ResNet-50 layer4.conv1 1x2048x7x7:512x1x1
ResNet-50 layer4.conv2 1x512x7x7:512x3x3:p1
MobileNetV2 features.0 1x3x224x224:32x3x3:p1:s2
MobileNetV2 features.1.depthwise 1x32x112x112:32x3x3:p1:g32
MobileNetV2 features.1.project 1x32x112x112:16x1x1
MobileNetV2 features.2.expand 1x16x112x112:96x1x1
MobileNetV2 features.2.depthwise 1x96x112x112:96x3x3:p1:s2:g96
MobileNetV2 features.2.project 1x96x56x56:24x1x1
MobileNetV2 features.3.expand 1x24x56x56:144x1x1
MobileNetV2 features.3.depthwise 1x144x56x56:144x3x3:p1:g144
MobileNetV2 features.3.project 1x144x56x56:24x1x1
MobileNetV2 features.4.depthwise 1x144x56x56:144x3x3:p1:s2:g144
MobileNetV2 features.4.project 1x144x28x28:32x1x1
MobileNetV2 features.5.expand 1x32x28x28:192x1x1
MobileNetV2 features.5.depthwise 1x192x28x28:192x3x3:p1:g192
MobileNetV2 features.5.project 1x192x28x28:32x1x1
MobileNetV2 features.7.depthwise 1x192x28x28:192x3x3:p1:s2:g192
MobileNetV2 features.7.project 1x192x14x14:64x1x1
MobileNetV2 features.8.expand 1x64x14x14:384x1x1
MobileNetV2 features.8.depthwise 1x384x14x14:384x3x3:p1:g384
MobileNetV2 features.8.project 1x384x14x14:64x1x1
MobileNetV2 features.11.project 1x384x14x14:96x1x1
MobileNetV2 features.12.expand 1x96x14x14:576x1x1
MobileNetV2 features.12.depthwise 1x576x14x14:576x3x3:p1:g576
MobileNetV2 features.12.project 1x576x14x14:96x1x1
MobileNetV2 features.14.depthwise 1x576x14x14:576x3x3:p1:s2:g576
MobileNetV2 features.14.project 1x576x7x7:160x1x1
MobileNetV2 features.15.expand 1x160x7x7:960x1x1
MobileNetV2 features.15.depthwise 1x960x7x7:960x3x3:p1:g960
MobileNetV2 features.15.project 1x960x7x7:160x1x1
MobileNetV2 features.17.project 1x960x7x7:320x1x1
MobileNetV2 features.18 1x320x7x7:1280x1x1
"""

HEAD = """# What each implementation costs

Made by `tools/conv_costs.py`, which runs `sievert conv run --json` for each row: do not edit. Every convolution of
LeNet-5, AlexNet, VGG-16, ResNet-18, ResNet-50 and MobileNetV2, batch 1, each shape once; every implementation
that supports it, with the tile that the planner takes. Where an implementation does NHWC too, that is a row of its
own. Thread instructions are those of the PTX, executed by lanes that are neither inactive nor predicated off: all,
and those of NVBitFI's groups (the rest has no destination). Bytes are those that threads ask for, whatever a
cache would serve. Errors are relative to oneDNN. All that is exact; `ms` is the time of one plain simulated run on
one core of {machine}{load}.
"""

GROUPS = ("fp32", "ld", "pr", "others")
COLUMNS = ("implementation", "tile", "launches", "thread instructions", *GROUPS, "global bytes", "shared bytes",
           "workspace bytes", "error", "ms")


def si(n):
    for unit in ("", "k", "M", "G"):
        if n < 999.5:
            return f"{n:.3g}{unit}" if unit else str(n)
        n /= 1000
    return f"{n:.3g}T"


def sievert(program, *words):
    run = subprocess.run([program, *words, "--json"], capture_output=True, text=True)
    if run.returncode != 0:
        sys.exit(f"sievert {' '.join(words)}: {run.stderr}")
    return json.loads(run.stdout)


class Cache:
    """Lines of JSON, the last one of a key counts; of a line cut short by a kill, nothing is left."""

    def __init__(self, path, kernels):
        self.rows, self.path, self.kernels = {}, path, kernels
        if os.path.exists(path):
            with open(path) as f:
                text = f.read()
            for line in text[:text.rfind("\n") + 1].splitlines():
                row = json.loads(line)
                self.rows[tuple(row["key"])] = row
            with open(path, "w") as f:
                f.write(text[:text.rfind("\n") + 1])

    def digest(self, names):
        h = hashlib.sha256()
        for name in sorted(set(names)):
            with open(os.path.join(self.kernels, name + ".ptx"), "rb") as f:
                h.update(f.read())
        return h.hexdigest()

    def get(self, key):
        row = self.rows.get(key)
        try:
            fresh = row and row["digest"] == self.digest(row["ptx"])
        except OSError:
            fresh = False
        return row if fresh else None

    def put(self, key, figures):
        ptx = [l["ptx"] for l in figures["launches"]]
        kept = {k: figures[k] for k in ("tile", "total", "workspace_bytes", "relative_error", "seconds")}
        self.rows[key] = {"key": key, "ptx": ptx, "digest": self.digest(ptx), **kept}
        with open(self.path, "a") as f:
            f.write(json.dumps(self.rows[key]) + "\n")


def row(key, m):
    impl, layout, _ = key
    t = m["total"]
    moved = lambda kind: si(t[kind + "_load_bytes"] + t[kind + "_store_bytes"])
    name = impl + ("" if layout == "nchw" else ", " + layout)
    cells = [name, m["tile"] or "-", len(m["ptx"]), si(t["thread_instructions"]),
             *(si(t["thread_instructions_by_group"][g]) for g in GROUPS), moved("global"), moved("shared"),
             si(m["workspace_bytes"]), f"{m['relative_error']:.1e}", f"{1e3 * m['seconds']:.3g}"]
    return "| " + " | ".join(str(c) for c in cells) + " |"


def skipped_row(key, workspace):
    impl, layout, _ = key
    cells = [impl + ("" if layout == "nchw" else ", " + layout), *["-"] * (len(COLUMNS) - 4), workspace, "not run", "-"]
    return "| " + " | ".join(cells) + " |"


def shapes(networks):
    """[(shape, [names of layers])], each shape once."""
    found = {}
    for line in LAYERS.split("\n"):
        if line:
            network, layer, shape = line.split()
            if not networks or network in networks:
                found.setdefault(shape, []).append(f"{network} {layer}")
    return list(found.items())


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="only these (default: all)")
    parser.add_argument("--program", default="build/sievert")
    parser.add_argument("--cache", help="default: convolution-costs.jsonl beside the program")
    parser.add_argument("-o", "--output", default="docs/convolution-costs.md")
    parser.add_argument("--again", action="store_true", help="run everything, whatever the cache has")
    parser.add_argument("--seconds", type=float, help="stop starting runs after so long; go on another time")
    parser.add_argument("--workspace", type=float, default=5.0,
                        help="leave out runs with more workspace than so many GiB, which they take twice (default: 5, all run)")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="runs at a time; 1 for times that mean something")
    parser.add_argument("--busy", action="store_true", help="say that the machine had other work to do")
    a = parser.parse_args()
    build = os.path.dirname(os.path.abspath(a.program))
    cache = Cache(a.cache or os.path.join(build, "convolution-costs.jsonl"), os.path.join(build, "kernels/ptx"))
    if a.again:
        cache.rows = {}

    plan = []
    for shape, names in shapes(a.networks):
        for i in sievert(a.program, "conv", "list", "--shape", shape):
            if i["supports"]:
                plan += [((i["name"], layout, shape), names, i["workspace_bytes"]) for layout in i["layouts"]]
    too_large = {key for key, _, bytes in plan if bytes > a.workspace * 2**30}
    todo = [key for key, _, _ in plan if key not in too_large and not cache.get(key)]

    start = time.monotonic()

    def run(key):
        if a.seconds is not None and time.monotonic() - start > a.seconds:
            return key, None
        impl, layout, shape = key
        return key, sievert(a.program, "conv", "run", "--impl", impl, "--shape", shape, "--layout", layout)

    done = 0
    with ThreadPoolExecutor(a.jobs) as pool:
        for key, figures in pool.map(run, todo):
            if figures:
                cache.put(key, figures)
                done += 1
                print(f"{done}/{len(todo)}", *key, file=sys.stderr)
    if done < len(todo):
        print(f"{len(todo) - done} of {len(plan)} runs are still to do: the same command goes on", file=sys.stderr)
        return

    cpu = next((l.split(":")[1].strip() for l in open("/proc/cpuinfo") if l.startswith("model name")), "a machine")
    load = " that had other work to do, an order of magnitude" if a.busy else ", otherwise idle"
    out = [HEAD.format(machine=cpu, load=load)]
    if too_large:
        out.append(f"{len(too_large)} rows were not run: their workspace is beyond {a.workspace:g} GiB, mostly spectra of "
                   "filters.\n")
    for key, names, bytes in plan:
        title = f"\n## {', '.join(names)}: `{key[2]}`\n"
        if title not in out:
            out += [title, "| " + " | ".join(COLUMNS) + " |", "| --- | --- |" + " ---: |" * (len(COLUMNS) - 2)]
        if key in too_large:
            out.append(skipped_row(key, si(bytes)))
        else:
            out.append(row(key, cache.get(key)))
    with open(a.output, "w") as f:
        f.write("\n".join(out) + "\n")


main()
