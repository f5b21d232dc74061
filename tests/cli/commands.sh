#!/usr/bin/env bash
# commands.sh SIEVERT SOURCE: the commands that a study's report shows make the same results again.
set -eu
sievert=$(realpath "$1")
source=$(realpath "$2")
command -v python3 >/dev/null || { echo "SKIP: no python3"; exit 77; }
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
cat >'a study.yaml' <<YAML
title: commands
network: $source/examples/lenet5.onnx
layers: ["1"]
implementations: [direct]
injections: 150
errors: 120
images: 10
seed: 5
epsilon: 2.5e-4
YAML
"$sievert" study 'a study.yaml' -o 'the study' -q >/dev/null
mkdir bin again
ln -s "$sievert" bin/sievert
PATH=$work/bin:$PATH
python3 - "$source" <<'PY'
import json, re, shlex, subprocess, sys
report = json.load(open("the study/report.json"))
cell = report["cells"][0]
old = {"layer": cell["layer"], "impl": cell["impl"], "store": cell["provenance"]["store"],
       "model": cell["provenance"]["model"], "sim_direct": cell["critical"]["direct"]["store"],
       "sim_model": cell["critical"]["model"]["store"]}
new = {k: v.replace("the study", "again") for k, v in old.items()}
assert len(report["cell_commands"]) == 4
for template in report["cell_commands"]:
    line = re.sub(r"\{(\w+)\}", lambda m: shlex.quote(new[m[1]]), template)
    done = subprocess.run(line + " -q --json", shell=True, capture_output=True, text=True)
    assert done.returncode == 0, (line, done.stderr)
    for source in ("direct", "model"):
        if "{sim_" + source + "}" in template:
            effects = cell["critical"][source]["effects"]
            got = {k: v["errors"] for k, v in json.loads(done.stdout).items() if k in effects}
            assert got == effects, (line, got)
for k in ("store", "model"):
    assert open(old[k], "rb").read() == open(new[k], "rb").read(), k
for picture in cell["pictures"]:
    done = subprocess.run(picture["command"], shell=True, capture_output=True, text=True)
    assert done.returncode == 0, (picture["command"], done.stderr)
    assert picture["command"] == f"sievert replay '{old['store']}' {picture['injection']}"
again = subprocess.run(report["commands"][1] + " --json", shell=True, capture_output=True, check=True)
assert json.loads(again.stdout) == report

# A campaign by itself: of a convolution, and of a user's kernel.
shape = ["--impl", "implicit-gemm", "--shape", "1x3x6x6:4x3x3:p1", "-n", "60", "--seed", "9"]
with open("a kernel.ptx", "w") as f:
    f.write(""".version 6.3
.target sm_70
.address_size 64
.visible .entry twice(.param .u64 x)
{
    .loc 1 7 0
    .reg .b32 %r<2>; .reg .b64 %rd<4>; .reg .f32 %f<3>;
    ld.param.u64 %rd1, [x]; mov.u32 %r1, %tid.x;
    mul.wide.s32 %rd2, %r1, 4; add.s64 %rd3, %rd1, %rd2;
    ld.global.f32 %f1, [%rd3]; add.rn.f32 %f2, %f1, %f1; st.global.f32 [%rd3], %f2;
    ret;
}
""")
kernel = ["a kernel.ptx", "--block", "32", "fill:32:1.5=y.npy", "-n", "60", "--fault", "reg:single-bit:thread"]
def make(*what):
    subprocess.run(["rm", "-f", "first.db", "second.db"], check=True)
    subprocess.run(["sievert", "inject", *what, "-q", "-o", "first.db"], check=True, capture_output=True)

def again(expected):
    """The command that the report gives makes the same file, and says what is expected."""
    said = subprocess.run(["sievert", "report", "first.db", "--json"], check=True, capture_output=True)
    lone = json.loads(said.stdout)
    assert len(lone["cell_commands"]) == 1, lone["cell_commands"]
    line = lone["cell_commands"][0].replace("{store}", "second.db")
    assert expected in line, (expected, line)
    done = subprocess.run(line + " -q", shell=True, capture_output=True, text=True)
    assert done.returncode == 0, (line, done.stderr)
    rows = [subprocess.run(["sievert", "export", f, "-o", "-", "--format", "csv"], check=True, capture_output=True).stdout
            for f in ("first.db", "second.db")]
    assert rows[0] == rows[1], line
    return lone["cells"][0]["provenance"]["stopping"], open("first.db", "rb").read() == open("second.db", "rb").read()

import struct
def npy(path, dims, seed):
    n, header = 1, str({"descr": "<f4", "fortran_order": False, "shape": tuple(dims)}).encode()
    for d in dims: n *= d
    header += b" " * (-(10 + len(header) + 1) % 64) + b"\n"
    open(path, "wb").write(b"\x93NUMPY\1\0" + struct.pack("<H", len(header)) + header +
                           b"".join(struct.pack("<f", (i * seed % 17 - 8) / 8) for i in range(n)))
npy("an input.npy", (1, 3, 6, 6), 5)
npy("f.npy", (4, 3, 3, 3), 7)
FIXED = "a number fixed before the first injection"
onnx = ["--impl", "direct", "--onnx", sys.argv[1] + "/examples/lenet5.onnx", "--layer", "1", "-n", "40"]
cases = [
    (shape, "--shape 1x3x6x6:4x3x3:p1", FIXED),
    (kernel, "'a kernel.ptx'", FIXED),
    ([*kernel, "--kernel", "twice", "--line", "1-9", "--fates"], "--fates", FIXED),
    ([*shape, "--data-seed", "2", "--tensors", "3"], "--data-seed 2", FIXED),
    ([*shape, "--filter", "f.npy", "--input", "an input.npy"], "--input 'an input.npy'", FIXED),
    ([*shape, "--stratify", "--fault", "gp:single-bit:thread"], "strata", FIXED),
    ([*shape, "--cluster", "5", "--population", "ptx", "--eps", "0,0.01"], "cluster=5", FIXED),
    ([*shape, "--part", "2/3", "--launch", "0"], "-n 40 --first 20", FIXED),
    ([*shape[:4], "--layout", "nhwc", "--margin", "10%"], "--margin 0.1 --confidence 0.95",
     "the number that a margin of 10 % at 95 % confidence needs"),
    ([*shape[:4], "--margin", "20%", "--confidence", "90%", "--sequential"], "--confidence 0.9 --sequential",
     "the injection at which the shares of all outcomes were known to within 20 % at 90 % confidence (sequential)"),
    ([*onnx, "--layout", "nhwc"], "--layer 1 --data fashion-mnist --layout nhwc", FIXED),
    ([*onnx, "--image", "3"], "--image 3", FIXED),
]
for what, expected, stopping in cases:
    try:
        make(*what)
    except subprocess.CalledProcessError as e:
        if what[:4] == onnx[:4] and b"fashion-mnist" in e.stderr:
            print("SKIP: no Fashion-MNIST here")
            continue
        raise
    assert again(expected) == (stopping, True), what
# Tensors from files that are gone are taken from the store; only what it says of its making differs then.
make(*shape, "--filter", "f.npy")
subprocess.run(["rm", "f.npy"], check=True)
assert again("--input first.db --filter first.db") == (FIXED, False)
# Continued by another command: the last one counts.
make(*shape[:4], "--margin", "20%")
subprocess.run(["sievert", "inject", *shape[:4], "--fault", "gp:single-bit:thread:distinct", "-n", "90", "-q",
                "-o", "first.db"], check=True, capture_output=True)
assert again("-n 90 --seed 1") == (FIXED, True)
print("commands of a report:", len(report["cell_commands"]), "and", len(cell["pictures"]), "replays: passed")
PY
