"""terminal.py SIEVERT SOURCE: every command prints JSON with --json and nothing on stderr with --quiet;
results go to stdout and progress to stderr; colours only where a terminal can show them and NO_COLOR is
not set."""
import json
import os
import pty
import subprocess
import sys
import tempfile

sievert, source = (os.path.abspath(p) for p in sys.argv[1:3])
os.chdir(tempfile.mkdtemp(prefix="sievert-terminal-"))
shape = ["--shape", "1x2x6x6:3x3x3"]
lenet = ["--onnx", source + "/examples/lenet5.onnx", "--layer", "1"]
with open("twice.ptx", "w", encoding="utf-8") as f:
    f.write(""".version 6.3
.target sm_70
.address_size 64
.visible .entry twice(.param .u64 x)
{
    .reg .b32 %r<2>; .reg .b64 %rd<4>; .reg .f32 %f<3>;
    ld.param.u64 %rd1, [x];
    mov.u32 %r1, %tid.x;
    mul.wide.s32 %rd2, %r1, 4;
    add.s64 %rd3, %rd1, %rd2;
    ld.global.f32 %f1, [%rd3];
    add.rn.f32 %f2, %f1, %f1;
    st.global.f32 [%rd3], %f2;
    ret;
}
""")
with open("study.yaml", "w", encoding="utf-8") as f:
    f.write(f"network: {source}/examples/lenet5.onnx\nlayers: [\"1\"]\nimplementations: [direct]\n"
            "injections: 40\nerrors: 40\nimages: 4\n")

# In this order: later ones use what earlier ones leave.
COMMANDS = {
    "conv list": [],
    "conv run": ["--impl", "direct", *shape],
    "run": ["twice.ptx", "--block", "32", "fill:32:1.5=y.npy"],
    "inject": ["--impl", "direct", "--shape", "1x6x14x14:16x5x5", "-n", "100", "-o", "run.db"],
    "inject ": ["--impl", "gemm", "--shape", "1x6x14x14:16x5x5", "-n", "100", "-o", "other.db"],
    "replay": ["run.db", "3", "--golden", "golden.npy"],
    "report": ["run.db"],
    "export": ["run.db", "-o", "run.csv"],
    "classify": ["golden.npy", "golden.npy"],
    "model build": ["run.db", "-o", "model.json"],
    "model show": ["model.json"],
    "model compare": ["model.json", "model.json"],
    "model check": ["model.json", "run.db"],
    "model draw": ["model.json", "-n", "5"],
    "compare": ["run.db", "other.db"],
    "infer": [*lenet[:2], "--data", "fashion-mnist", "--images", "4"],
    "simulate": [*lenet, "--campaign", "run.db", "-n", "50", "--images", "4", "-o", "sim.db"],
    "validate": [*lenet, "--campaign", "run.db", "--model", "model.json", "-n", "50", "--images", "4"],
    "study": ["study.yaml", "-o", "out"],
    "status": ["run.db"],
    "merge": ["run.db", "-o", "merged.db"],
    "export": ["run.db", "-o", "run.csv"],
    "manual": None,      # text for man
    "completion": None,  # text for a shell
}
failures = 0


def check(ok, what):
    global failures
    if not ok:
        failures += 1
        print("FAILED:", what)


def run(*words, **options):
    return subprocess.run([sievert, *words], capture_output=True, text=True, **options)


def on_terminal(words, **environment):
    """What a terminal is sent."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ.update(environment)
        os.execv(sievert, [sievert, *words])
    sent = b""
    while True:
        try:
            part = os.read(terminal, 65536)
        except OSError:
            part = b""
        if not part:
            os.waitpid(child, 0)
            return sent
        sent += part


listed = [line[2:].split("  ")[0].strip() for line in
          run("--help").stdout.split("Commands")[1].split("\n\n")[0].splitlines()[1:]]
for name in listed:
    check(name in COMMANDS, f"this test lacks the command '{name}'")
for name, words in COMMANDS.items():
    if words is None or name.strip() not in listed:
        continue
    done = run(*name.split(), *words, "--json", "--quiet")
    check(done.returncode == 0 and done.stderr == "", f"{name}: {done.returncode}: {done.stderr}")
    try:
        json.loads(done.stdout)
    except ValueError as e:
        check(False, f"{name} --json: {e}: {done.stdout[:200]}")

colour = b"\x1b["
check(colour in on_terminal(["report", "run.db"], TERM="xterm", NO_COLOR=""), "no colours on a terminal")
check(colour not in on_terminal(["report", "run.db"], TERM="xterm", NO_COLOR="1"), "NO_COLOR")
check(colour not in on_terminal(["report", "run.db"], TERM="dumb"), "a terminal without colours")
check("\x1b" not in run("report", "run.db").stdout, "colours in a pipe")
done = run("inject", "--impl", "direct", *shape, "-n", "50", "-o", "quiet.db")
check("masked" in done.stdout and "\r" not in done.stdout, "results on stdout")
print("terminal: FAILED" if failures else "terminal: passed")
sys.exit(failures > 0)
