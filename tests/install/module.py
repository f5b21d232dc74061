"""module.py EXAMPLE.txt: the Python module of the installed tree, against the program and the example."""
import array
import json
import os
import subprocess
import sys
import tempfile

import sievert

SHAPE = "1x2x6x6:3x3x3"
assert "dist-packages" in sievert.__file__ and os.environ["PYTHONPATH"] in sievert.__file__
assert sievert.OUTCOMES == ["masked", "SDC", "DUE"] and "direct" in sievert.IMPLEMENTATIONS
sizes = sievert.sizes(SHAPE)
assert sizes == ((1, 3, 4, 4), 72, 54, 48), sizes
x = [(i * 37 % 101 - 50) / 50 for i in range(sizes.input)]
w = [(i * 53 % 103 - 51) / 51 for i in range(sizes.filter)]

# A convolution, against the definition.
run = sievert.convolve("direct", SHAPE, x, w)
for k in range(3):
    for p in range(4):
        for q in range(4):
            want = sum(x[c * 36 + (p + r) * 6 + q + s] * w[k * 18 + c * 9 + r * 3 + s]
                       for c in range(2) for r in range(3) for s in range(3))
            assert abs(run.output[k * 16 + p * 4 + q] - want) < 1e-5
assert run.thread_instructions > 48 and run.dim == sizes.output_dim
# Tensors stay NCHW when those in the GPU's memory are not.
nhwc = sievert.convolve("implicit-gemm", SHAPE + ":nhwc", x, w)
assert all(abs(a - b) < 1e-5 for a, b in zip(nhwc.output, run.output)) and nhwc.dim == run.dim

folder = tempfile.mkdtemp()
store = os.path.join(folder, "run.db")
sievert.inject(store, "direct", SHAPE, array.array("f", x), w, injections=200)
with sievert.Results(store) as results:
    rows = list(results)
    assert [r.number for r in rows] == list(range(200)) and rows[3] == results[3]
    # The same campaign as the example's: the same counts.
    counts = [sum(r.outcome == o for r in rows) for o in sievert.OUTCOMES]
    with open(sys.argv[1], encoding="utf-8") as f:
        example = next(line.split() for line in f if line.startswith("direct "))
    assert counts == [int(n) for n in example[1:4]], (counts, example)
    golden = results.golden()
    assert golden == run.output
    for r in rows:
        faulty = results.tensor(r.number)
        assert (faulty.tobytes() != golden.tobytes()) == (r.outcome == "SDC")
        if r.outcome == "SDC":
            classes = sievert.classify(golden, faulty, results.dim)
            assert (classes.pattern, classes.corrupted) == (r.pattern, r.corrupted)

# The program says the same of this store.
program = os.environ["SIEVERT_PROGRAM"]
said = json.loads(subprocess.run([program, "report", store, "--json"], check=True,
                                 capture_output=True).stdout)
assert said["cells"][0]["outcomes"] == sievert.report(store)["cells"][0]["outcomes"]
assert said["cells"][0]["outcomes"]["SDC"]["n"] == counts[1]
assert said["sources"] and said["sources"][0]["name"] == "direct/direct.cl"

# A model corrupts in place, reproducibly.
with sievert.Model.build(os.path.join(folder, "model.json"), store, epsilon=0) as model:
    drawn = []
    for _ in range(2):
        tensor = array.array("f", run.output)
        pattern = model.corrupt(tensor, (3, 4, 4), seed=5, number=9)
        drawn.append((pattern, tensor.tobytes()))
        assert sievert.classify(run.output, tensor, (1, 3, 4, 4)).corrupted >= 1
    assert drawn[0] == drawn[1]
    try:
        model.corrupt([0.0] * 48, (3, 4, 4))
        raise AssertionError("a list was taken for a buffer")
    except TypeError:
        pass

for wrong in (lambda: sievert.convolve("diret", SHAPE, x, w), lambda: sievert.sizes("1x2"),
              lambda: sievert.Results(os.path.join(folder, "absent.db")),
              lambda: sievert.inject(store, "direct", SHAPE, x, w, injections=300, seed=2)):
    try:
        wrong()
        raise AssertionError("no failure")
    except sievert.Error as e:
        assert str(e)
lo, hi = sievert.wilson(0, 1000)
assert lo == 0 and abs(hi - 0.0038267585) < 1e-9
print("python module: passed")
