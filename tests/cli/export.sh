#!/usr/bin/env bash
# export.sh SIEVERT: what is exported is what the store holds; the classifier gives the exported tensors the
# labels that the campaign gave them.
set -eu
sievert=$(realpath "$1")
command -v python3 >/dev/null || { echo "SKIP: no python3"; exit 77; }
work=$(mktemp -d); trap 'rm -rf "$work"' EXIT; cd "$work"
"$sievert" inject --impl implicit-gemm --shape 1x6x14x14:16x5x5 -n 600 -q -o run.db >/dev/null
"$sievert" export run.db -o run.csv
"$sievert" export run.db -o run.json
"$sievert" export run.db -o tensors >told.txt
for eps in 0 1e-3; do
  "$sievert" classify tensors --golden test/golden.npy --faulty test --eps $eps --tsv labels-$eps.tsv -q >/dev/null
done
"$sievert" classify tensors --golden test/golden.npy --faulty test --report global.json --model model.json -q >/dev/null
! "$sievert" export run.db -o tensors 2>again.txt || { echo "overwrote"; exit 1; }
grep -q "exists already" again.txt
"$sievert" export run.db -o few --limit 3 --json | grep -q '"tensors": 3'
[ "$(find few -name '*.npy' | wc -l)" = 4 ]
python3 - <<'PY'
import csv, json, os
rows = list(csv.DictReader(open("run.csv", newline="")))
doc = json.load(open("run.json"))
assert len(rows) == 600 == len(doc["injections"]) and doc["format"] == "sievert-injections"
for r, j in zip(rows, doc["injections"]):
    for k, v in r.items():
        if v and v != "inf":
            assert k in j and (str(j[k]) == v or float(j[k]) == float(v)), (k, v, j.get(k))
        else:
            assert k not in j, (k, j)
counts = json.load(open("tensors/implicit-gemm/test/injection-counts.json"))
assert counts == {o: sum(r["outcome"] == o for r in rows) for o in ("masked", "SDC", "DUE")}, counts
assert json.load(open("global.json"))["total_experiments"] == 600
sdc = [r for r in rows if r["outcome"] == "SDC"]
assert len(sdc) > 100
for eps, column in (("0", "eps_0"), ("1e-3", "eps_0.001")):
    lines = list(csv.DictReader(open(f"labels-{eps}.tsv"), delimiter="\t"))
    assert len(lines) == len(sdc), (len(lines), len(sdc))
    by_number = {int(os.path.basename(next(v for v in l.values() if v.endswith(".npy")))[:-4]): l for l in lines}
    for r in sdc:
        l, pattern = by_number[int(r["number"])], r["pattern_" + column]
        assert (pattern in l.values()) if pattern else ("masked" in l.values()), (eps, r, l)
print(len(sdc), "tensors have the labels of the store")
PY
