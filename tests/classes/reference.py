#!/usr/bin/env python3
"""The CLASSES classifier once more, slowly and with nothing but Python, from docs/CHARACTERISE.md: labels, global report
and error model of a folder of batches are compared with those of `sievert classify --compat classes`.
Usage: reference.py SIEVERT FOLDER SEED TENSORS"""
import json, math, os, random, struct, subprocess, sys


def f32(x):
    try:
        return struct.unpack("<f", struct.pack("<f", x))[0]
    except OverflowError:
        return math.copysign(math.inf, x)


def bits(x):
    return struct.unpack("<I", struct.pack("<f", x))[0]


def minus(a, b):  # in float32
    return f32(a - b)


# ---- files ---------------------------------------------------------------------------------------------------------


def write_npy(path, values, shape):
    text = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }" % ", ".join(map(str, shape))
    text += " " * (-(10 + len(text) + 1) % 64) + "\n"
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text.encode())
        f.write(struct.pack("<%df" % len(values), *values))


def spoil(r, path, values, dims):
    """A file that cannot be compared: of another shape, of two images, cut off, of objects, no .npy, empty."""
    kind = r.randrange(6)
    if kind < 2:
        write_npy(path, values * (1 + kind), [1 + kind, *dims[1:3], dims[3]] if kind else [1, 1, 1, len(values)])
        if kind == 0 and dims == [1, 1, 1, len(values)]:
            kind = 2
    if kind == 2:
        write_npy(path, values, dims)
        os.truncate(path, os.path.getsize(path) - 1)
    if kind > 2:
        text = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }\n"
        open(path, "wb").write([b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + b"x" * 8, b"PK\3\4" * 9,
                                b""][kind - 3])


def corrupt(r, golden, shape, layout):
    """Values in the file's order with an error of one of many kinds."""
    c, h, w = shape
    v = list(golden)
    where = lambda k, i: k * h * w + i if layout == "nchw" else i * c + k
    channels = r.sample(range(c), r.choice([1, 1, 1, 2, min(3, c), r.randint(1, c)]) if c > 1 else 1)
    kind, place, n = r.randrange(9), r.randrange(h * w), r.choice([1, 2, 5, 12, 20, 40])
    style = r.randrange(6)
    for k in channels:
        if r.random() < 0.2:
            place = r.randrange(h * w)
        at = {0: [place], 1: [place + 4 * i for i in range(n)],
              2: [place + i for i in range(n) if r.random() < 0.8],
              3: [place // w * w + i for i in range(w) if r.random() < 0.6],
              4: [i for i in range(h * w) if r.random() < 0.8],
              5: [place + y * w + x for y in range(3 + n % 3) for x in range(3 + n % 2) if place % w + x < w],
              6: [b * 32 + i for b in range(0, h * w // 32 + 1, 2) for i in range(32) if r.random() < 0.8],
              7: [r.randrange(h * w) for _ in range(n)], 8: []}[kind]
        for i in at:
            if not 0 <= i < h * w:
                continue
            g = golden[where(k, i)]
            pick = style if r.random() < 0.7 else r.randrange(8)
            v[where(k, i)] = f32({0: r.uniform(-2, 2), 1: r.uniform(-2, 2) * 50, 2: 0.0,
                                  3: struct.unpack("<f", struct.pack("<I", bits(g) ^ 1 << r.randrange(32)))[0],
                                  4: g + r.uniform(-0.002, 0.002), 5: r.uniform(-3, 3), 6: math.nan,
                                  7: math.inf}[pick])
    return v


# ---- one tensor ----------------------------------------------------------------------------------------------------


def quantize(p, levels=10):
    step = 100 / levels
    top = min(math.ceil(p * levels) * step, 100)
    return [float(max(0, top - step)), float(top)]


def value_class(g, f, lo, hi, eps, almost_same):
    if math.isnan(f) or math.isinf(f):
        return "nan"
    if g == f:
        return "same"
    if abs(minus(g, f)) < eps:
        return "almost_same" if almost_same else "same"
    if f == 0:
        return "zero"
    if bin(bits(g) ^ bits(f)).count("1") == 1:
        return "flip"
    return "in_range" if lo <= f <= hi else "out_of_range"


def block_len(x, most):
    n = len(x)
    length = 16 if 11 <= n <= 16 else 32 if 17 <= n <= 32 else 64 if 33 <= n <= 64 else None
    return length if length and x[-1] - x[0] <= length and length <= most else None


def skips(x):
    return [b - a for a, b in zip(x, x[1:])] or [1]


def spatial(cells, c, h, w):
    """cells: {channel: sorted positions}. The class, its keys and its stats as (value, how they combine)."""
    hw, ch = h * w, sorted(cells)
    n = sum(map(len, cells.values()))
    union = sorted(set().union(*cells.values()))
    stats = {"max_corrupted_channels": (len(ch), max), "min_channel_skip": (min(skips(ch)), min),
             "max_channel_skip": (max(skips(ch)), max)}
    aff = quantize(len(ch) / c)

    def single():
        return n == 1 and ({}, {})

    def skip_4():
        good = [i for i in union if (i - union[0]) % 4 == 0]
        return len(good) >= 2 and len(union) - len(good) <= 1 and ({
            "skip_amount": 4, "unique_channel_indexes": len(good), "indexes_corruption_pct": quantize(n / len(good)),
            "affected_channels_pct": aff}, stats)

    def single_block():
        length = block_len([k * hw + i for k in ch for i in cells[k]], hw)
        return length and ({"block_size": length, "block_corruption_pct": quantize(n / length)}, {})

    def single_channel_alternated_blocks():
        x = cells[ch[0]]
        b = sorted({i // 32 for i in x})
        ok = len(b) >= 2 and min(skips(b)) >= 2 and all(
            sum(i // 32 == k for i in x) >= 16 for k in b if not (hw % 32 and k == hw // 32))
        return ok and ({"block_size": 32, "min_block_skip": min(skips(b)), "max_block_skip": max(skips(b))},
                       {"max_feature_map_size": (max(w, h), max)})

    def values(x):
        return {"max_cardinality": (n, max), "min_value_skip": (min(skips(x)), min),
                "max_value_skip": (max(skips(x)), max)}

    def same_row():
        x = cells[ch[0]]
        return len({i // w for i in x}) == 1 and ({"row_corruption_pct": quantize(n / (x[-1] - x[0]))}, values(x))

    def multi_channel_block():
        lead = None
        for k in ch:
            length = block_len(cells[k], hw)
            if length and (not lead or length > lead[0] or (length == lead[0] and cells[k][0] < lead[1])):
                lead = (length, cells[k][0], k)
        ok = lead and all(k == lead[2] or all(lead[1] <= i <= lead[1] + lead[0] for i in cells[k]) or
                          block_len(cells[k], 64) for k in ch)
        return ok and ({"block_size": lead[0], "avg_block_corruption_pct": quantize(n / (lead[0] * len(ch))),
                        "affected_channels_pct": aff}, stats)

    def bullet_wake():
        return len(union) == 1 and ({"affected_channels_pct": aff}, stats)

    def full_channels():
        return all(len(x) / hw > 0.5 for x in cells.values()) and (
            {"avg_channel_corruption_pct": quantize(n / (len(ch) * hw)), "affected_channels_pct": aff}, stats)

    def rectangles():
        hs, ws = [i // w for i in union], [i % w for i in union]
        dh, dw = max(hs) - min(hs), max(ws) - min(ws)
        ok = dh >= 2 and dw >= 2 and not (min(ws) == 0 and max(ws) == w - 1) and (dh + 1) * (dw + 1) - len(union) <= 2
        return ok and ({"rectangle_width": dw, "rectangle_height": dh, "affected_channels_pct": aff}, stats)

    def spans(sets, low, high):
        s = [max(x) - min(x) + 1 for x in sets]
        return ({"avg_span_corruption_pct": quantize(n / sum(s)), "affected_channels_pct": aff},
                {**stats, "min_span_width": (low(s), min), "max_span_width": (high(s), max)})

    def shattered_channel():
        common = set(cells[ch[0]]).intersection(*cells.values())
        return common and spans([common] + [cells[k] for k in ch[1:]], max, max)

    def quasi_shattered_channel():
        return len(union) < n and spans([cells[k] for k in ch], min, max)

    def single_channel_random():
        return {"channel_corruption_pct": quantize(n / hw)}, values(cells[ch[0]])

    def multiple_channels_uncategorized():
        each = [len(x) for x in cells.values()]
        return ({"avg_channel_corruption_pct": quantize(n / (len(ch) * hw)), "affected_channels_pct": aff},
                {**stats, "min_errors_per_channel": (min(each), min), "max_errors_per_channel": (max(each), max)})

    order = ([single, skip_4, single_block, single_channel_alternated_blocks, same_row, full_channels, rectangles,
              single_channel_random] if len(ch) == 1 else
             [skip_4, single_block, multi_channel_block, bullet_wake, full_channels, rectangles, shattered_channel,
              quasi_shattered_channel, multiple_channels_uncategorized])
    for rule in order:
        found = rule()
        if found:
            return rule.__name__, found[0], found[1]


def classify(golden, faulty, shape, layout, eps, almost_same):
    c, h, w = shape
    lo, hi = min(golden), max(golden)
    counts, order, cells = {}, [], {}
    for i, (g, f) in enumerate(zip(golden, faulty)):
        d = minus(f, g)
        if not (d != 0 if almost_same else abs(d) >= f32(eps)):
            continue
        k, at = (i // (h * w), i % (h * w)) if layout == "nchw" else (i % c, i // c)
        cells.setdefault(k, []).append(at)
        v = value_class(g, f, lo, hi, eps, almost_same)
        counts[v] = counts.get(v, 0) + 1
        order += [v] if v not in order else []
    if not cells:
        return None
    n = sum(counts.values())
    counts["same"] = len(golden) - n
    kinds = [v for v in order if v not in ("same", "almost_same")]
    if len(kinds) == 1:
        domain = {kinds[0]: [100.0, 100.0]}
    elif len(kinds) == 2:
        first = quantize(counts[kinds[0]] / (counts[kinds[0]] + counts[kinds[1]]), 8)
        domain = {kinds[0]: first, kinds[1]: [100 - first[1], 100]}
    else:
        domain = {"random": [100.0, 100.0]}
    name, keys, stats = spatial({k: sorted(x) for k, x in cells.items()}, c, h, w)
    return {"name": name, "keys": keys, "stats": stats, "counts": {k: x for k, x in counts.items() if x},
            "domain": domain, "n": n, "channels": len(cells)}


# ---- the model -----------------------------------------------------------------------------------------------------


def model_of(labels):
    total, out, merged_classes = len(labels), {}, 0
    by_class = {}
    for x in labels:
        by_class.setdefault(x["name"], []).append(x)
    for name, xs in by_class.items():
        if len(xs) < 5:
            continue
        groups = {}
        for x in xs:
            groups.setdefault(json.dumps(x["keys"], sort_keys=True), []).append(x)
        cats = sorted(([g[0]["keys"], {s: f(y["stats"][s][0] for y in g) for s, (_, f) in g[0]["stats"].items()},
                        len(g)] for g in groups.values()), key=lambda q: -q[2])
        kept = [q for q in cats if q[2] / total >= 0.01]
        rest = [q for q in cats if q[2] / total < 0.01]
        if rest and sum(q[2] for q in rest) >= 5:
            merge = lambda ds: {k: (ds[0][k] if all(d[k] == ds[0][k] for d in ds) else
                                    {"RANDOM": [v for i, v in enumerate(d[k] for d in ds)
                                                if v not in [e[k] for e in ds[:i]]]}) for k in ds[0]}
            kept.append([merge([q[0] for q in rest]), merge([q[1] for q in rest]), sum(q[2] for q in rest)])
            merged_classes += 1
        domains, bucket = {}, 0
        for x in xs:
            domains.setdefault(json.dumps(x["domain"], sort_keys=True), []).append(x)
        entries = []
        for g in domains.values():
            f = len(g) / len(xs)
            if "random" in g[0]["domain"] or f * (len(xs) / total) < 0.01 or len(g) < 5:
                bucket += len(g)
            else:
                entries.append({**g[0]["domain"], "count": len(g), "frequency": f})
        entries.sort(key=lambda e: -e["frequency"])
        if bucket:
            sums = {}
            for x in xs:
                for v, n in x["counts"].items():
                    if v != "same":
                        sums[v] = sums.get(v, 0) + n
            entries.append({"random": [100.0, 100.0], "count": bucket, "frequency": bucket / len(xs),
                            "values": {v: n / sum(sums.values()) for v, n in sums.items()}})
        out[name] = {"count": sum(q[2] for q in kept), "categories_count": len(kept), "domain_classes": entries,
                     "parameters": [{"keys": q[0], "stats": q[1], "count": q[2]} for q in kept]}
    t = sum(x["count"] for x in out.values())
    for x in out.values():
        x["frequency"] = x["count"] / t
        for p in x["parameters"]:
            p["conditional_frequency"] = p["count"] / x["count"]
            p["overall_frequency"] = p["count"] / t
    return {**out, "_rejected_tensors_proportion": 1 - t / total, "_tensor_count": t,
            "_categories_count": merged_classes}


def plain(x):
    """Comparable: RANDOM lists have no order."""
    if isinstance(x, dict):
        if "RANDOM" in x:
            return {"RANDOM": sorted(map(json.dumps, map(plain, x["RANDOM"])))}
        return {k: plain(v) for k, v in x.items()}
    if isinstance(x, list):
        return [plain(v) for v in x]
    return round(x, 12) if isinstance(x, float) else x


def same(what, got, want):
    if plain(got) != plain(want):
        sys.exit("%s\n got  %s\n want %s" % (what, json.dumps(plain(got), sort_keys=True),
                                            json.dumps(plain(want), sort_keys=True)))


def most_first(counts):
    """In the order in which the classifier writes counts: descending. Of equal ones the order is its own."""
    return sorted(counts.values(), reverse=True)


def report_of(labels, experiments):
    count = lambda key, of: {k: sum(key(x) == k for x in of) for k in {key(x) for x in of}}
    return {"total_experiments": sum(experiments.values()) if experiments else None,
            "experiment_by_types": experiments or None,
            "tensors_by_sub_batch": count(lambda x: x["sub_batch"], labels),
            "tensors_by_shape": count(lambda x: x["shape"], labels),
            "classified_tensors": len(labels),
            "spatial_classes": count(lambda x: x["name"], labels),
            "cardinalities": count(lambda x: str(x["n"]), labels),
            "class_cardinalites": {name.upper(): count(lambda x: str(x["n"]), [x for x in labels if x["name"] == name])
                                   for name in {x["name"] for x in labels}}}


def check_report(report, labels, experiments):
    same("report", report, report_of(labels, experiments))
    assert list(report) == list(report_of(labels, experiments)), list(report)
    for counts in [report["spatial_classes"], report["cardinalities"], *report["class_cardinalites"].values()]:
        assert list(counts.values()) == most_first(counts), counts


def run(sievert, root, r, tensors, layout, eps, almost_same):
    files, skipped, experiments, all_counted = {}, set(), {}, r.random() < 0.5
    for b in range(2):
        shape = r.choice([(3, 8, 8), (6, 7, 9), (1, 12, 12), (16, 4, 4), (2, 20, 5)])
        c, h, w = shape
        dims = [1, c, h, w] if layout == "nchw" else [1, h, w, c]
        golden = [f32(r.uniform(-1, 1)) if r.random() < 0.95 else 0.0 for _ in range(c * h * w)]
        folder = os.path.join(root, "batch%d" % b, "test")
        subs = ["fp32_0", "ld_3", "plain"][:r.randint(1, 3)]
        for sub in subs:
            os.makedirs(os.path.join(folder, sub))
        write_npy(os.path.join(folder, "golden.npy"), golden, dims)
        if all_counted or b:
            counts = {k: r.randint(0, 999) for k in r.sample(["fp32", "ld", "gp", "pr"], 3)}
            json.dump(counts, open(os.path.join(folder, "injection-counts.json"), "w"))
            for k, n in counts.items():
                experiments[k] = experiments.get(k, 0) + n
        for i in range(tensors // 2):
            v, sub = corrupt(r, golden, shape, layout), r.choice(subs)
            path = os.path.join(folder, sub, "t%04d.npy" % i)
            if r.random() < 0.02:
                skipped.add(path)
                spoil(r, path, v, dims)
                files[path] = None
                continue
            write_npy(path, v, dims)
            files[path] = classify(golden, v, shape, layout, eps, almost_same)
            if files[path]:
                files[path].update(sub_batch=sub, shape="(1, %d, %d, %d)" % shape)
    os.makedirs(os.path.join(root, "no-golden", "test", "fp32_0"))  # its files are named and counted
    lost = os.path.join(root, "no-golden", "test", "fp32_0", "x.npy")
    write_npy(lost, v, dims)
    files[lost] = None
    skipped.add(lost)
    in_batch = lambda path: os.path.relpath(path, root).split(os.sep)[0]
    n_files = {b: sum(in_batch(x) == b for x in files) for b in map(in_batch, files)}
    labels = [files[x] for x in sorted(files, key=lambda x: (-n_files[in_batch(x)], x)) if files[x]]
    args = ["--layout", layout, "--eps", repr(eps)] + (["--almost-same"] if almost_same else [])
    done = subprocess.run([sievert, "classify", root, "--golden", "test/golden.npy", "--faulty", "test", "--compat",
                           "classes", "--tsv", root + "/l.tsv", "--model", root + "/m.json", "--report",
                           root + "/r.json", "--json"] + args, check=True, capture_output=True, text=True)
    summary = json.loads(done.stdout)
    assert [summary[k] for k in ("classified", "skipped", "masked")] == [
        len(labels), len(skipped), len(files) - len(labels) - len(skipped)], summary
    for path in skipped:
        assert path in done.stderr, path
    lines = open(root + "/l.tsv").read().splitlines()
    assert lines[0].split("\t") == ("file batch sub_batch spatial_class spatial_keys spatial_stats value_class_counts "
                                    "domain_class corrupted_values corrupted_channels").split()
    assert len(lines) == len(files) + 1
    for line in lines[1:]:
        x = line.split("\t")
        want = files[x[0]]
        if not want:
            assert x[3] == ("skipped" if x[0] in skipped else "masked"), line
            continue
        got = [x[3], *map(json.loads, x[4:8]), int(x[8]), int(x[9])]
        same(x[0], got, [want["name"], want["keys"], {k: v[0] for k, v in want["stats"].items()}, want["counts"],
                         want["domain"], want["n"], want["channels"]])
        assert ("100]" in x[7]) == (len(want["domain"]) == 2), line  # the whole number that is an accident
    model = json.load(open(root + "/m.json"))
    del model["_sievert"]
    same("model", model, model_of(labels))
    assert list(map(str, model)) == list(model)
    check_report(json.load(open(root + "/r.json")), labels, experiments if all_counted else None)
    return {x["name"] for x in labels}


if __name__ == "__main__":
    sievert, folder, seed, tensors = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
    seen, rounds = set(), 0
    r = random.Random(seed)
    for layout in ("nchw", "nhwc"):
        for eps in (1e-3, 1e-6, 0.5, 0.0):
            for almost_same in (False, True):
                root = os.path.join(folder, "%s_%g_%d" % (layout, eps, almost_same))
                seen |= run(sievert, root, r, tensors, layout, eps, almost_same)
                rounds += 1
    print("seed %d: %d rounds of %d tensors agree; %d patterns" % (seed, rounds, tensors, len(seen)))
    assert len(seen) == 13, seen
