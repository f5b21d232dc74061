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
python3 - <<'PY'
import json, re, shlex, subprocess
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
print("commands of a report:", len(report["cell_commands"]), "and", len(cell["pictures"]), "replays: passed")
PY
