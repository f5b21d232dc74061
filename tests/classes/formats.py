#!/usr/bin/env python3
"""One tensor in every way that a .npy file can hold it: `sievert classify` says the same of all of them.
Usage: formats.py SIEVERT FOLDER SEED"""
import json, math, os, random, struct, subprocess, sys


def permuted(values, shape, fortran):
    """Values in C order -> as they lie in the file."""
    if not fortran:
        return values
    out, strides = [0.0] * len(values), []
    for n in reversed(shape):
        strides.insert(0, (strides[0] * prev if strides else 1))
        prev = n
    for i, v in enumerate(values):
        at, step = 0, 1
        for n, stride in zip(shape, strides):
            at += i // stride % n * step
            step *= n
        out[at] = v
    return out


def write(path, values, shape, version, order, width, fortran):
    kind = {2: "e", 4: "f", 8: "d"}[width]
    text = "{'descr': '%sf%d', 'fortran_order': %s, 'shape': (%s), }" % (order, width, fortran, ", ".join(map(str, shape)))
    length = "<H" if version == 1 else "<I"
    text += " " * (-(8 + struct.calcsize(length) + len(text) + 1) % 64) + "\n"
    values = permuted(values, shape, fortran)
    with open(path, "wb") as f:
        f.write(b"\x93NUMPY" + bytes([version, 0]) + struct.pack(length, len(text)) + text.encode())
        f.write(struct.pack("%s%d%s" % (order, len(values), kind), *values))


def to_nhwc(values, shape):
    n, c, h, w = shape
    return [values[((i * c + k) * h + y) * w + x] for i in range(n) for y in range(h) for x in range(w) for k in range(c)]


def labels(sievert, folder, layout, faulty):
    done = subprocess.run([sievert, "classify", os.path.join(folder, "golden.npy"), faulty, "--layout", layout, "--json",
                           "--model", os.path.join(folder, "m.json")], capture_output=True, text=True, check=True)
    doc = json.loads(done.stdout)
    assert doc["skipped"] == 0, done.stderr
    found = [{k: v for k, v in x.items() if k not in ("file", "sub_batch")} for x in doc["tensors"]]
    model = json.load(open(os.path.join(folder, "m.json")))
    return found, model


def half(r):
    return struct.unpack("<e", struct.pack("<e", r.uniform(-2, 2)))[0]


def errors(r, shape):
    """Golden and faulty tensors whose values a half holds."""
    n, c, h, w = shape
    golden = [half(r) for _ in range(n * c * h * w)]
    faulty = []
    for _ in range(12):
        v, k, row = list(golden), r.randrange(n * c), r.randrange(h)
        for x in range(w):
            v[(k * h + row) * w + x] = r.choice([half(r), math.inf, math.nan, 0.0])
        faulty.append(v)
    return golden, faulty


def main(sievert, folder, seed):
    r, n_ways = random.Random(seed), 0
    for shape in ((1, 3, 5, 4), (3, 2, 4, 6)):
        golden, faulty = errors(r, shape)
        want = None
        for layout in ("nchw", "nhwc"):
            dims = shape if layout == "nchw" else (shape[0], shape[2], shape[3], shape[1])
            put = (lambda v: v) if layout == "nchw" else (lambda v: to_nhwc(v, shape))
            for version in (1, 2, 3):
                for order in "<>":
                    for width in (2, 4, 8):
                        for fortran in (False, True):
                            here = os.path.join(folder, "w%d" % n_ways)
                            os.makedirs(os.path.join(here, "faulty"))
                            how = (dims, version, order, width, fortran)
                            write(os.path.join(here, "golden.npy"), put(golden), *how)
                            for i, v in enumerate(faulty):
                                write(os.path.join(here, "faulty", "%02d.npy" % i), put(v), *how)
                            got = labels(sievert, here, layout, os.path.join(here, "faulty"))
                            want = want or got
                            assert len(got[0]) == 12 and got == want, (layout, how)
                            n_ways += 1
    print("seed %d: %d ways of writing agree" % (seed, n_ways))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
