#!/usr/bin/env python3
"""power_cut.py SIEVERT SHIM.so [slow]: the power may fail at any instant, and the store is whole.

The shim records every change of files and names that the program makes. From the record, the disk is built as it
may be after a cut at a random instant: what was synced is there; of what was not, any part is (sectors of 512 or
4096 bytes of each write, truncations, names), as file systems and disks reorder it. Then the store must pass
SQLite's checks, keep what a finished commit put in, and the same command must end with the undisturbed file.
CUTS: how many; SEED repeats a run."""
import os, random, shutil, sqlite3, subprocess, sys, tempfile

sievert, shim = os.path.realpath(sys.argv[1]), os.path.realpath(sys.argv[2])
slow = len(sys.argv) > 3
cuts = int(os.environ.get("CUTS", 250 if slow else 12))  # of each story
seed = int(os.environ.get("SEED", random.randrange(10**6)))
rng = random.Random(seed)
print(f"SEED={seed}")
os.chdir(tempfile.mkdtemp(dir="/dev/shm" if os.access("/dev/shm", os.W_OK) else None))  # syncs are recorded, not needed
INJECT = ["inject", "--impl", "direct", "--shape", "1x2x8x8:4x3x3", "-q", "-j", "1"]
N = "3000"


def run(folder, *args, record=None):
    env = dict(os.environ)
    if record:
        env.update(LD_PRELOAD=shim, SHIM_RECORD=record, SHIM_FAST="100",
                   ASAN_OPTIONS="verify_asan_link_order=0:detect_leaks=0")
    done = subprocess.run([sievert, *args], cwd=folder, env=env, capture_output=True, text=True)
    return done.returncode, done.stderr


class File:
    """What is on the disk for certain, and what may be, in order."""
    def __init__(self, data=b""):
        self.data, self.pending = bytearray(data), []


def apply(data, op, sectors=None, keep=None):
    what, at, bytes_ = op
    if what == "truncate":
        if keep is None or keep():
            del data[at:]
            data.extend(bytes(max(0, at - len(data))))
    elif what == "extend":
        if keep is None or keep():
            data.extend(bytes(max(0, at - len(data))))
    else:
        end, size = at + len(bytes_), sectors or len(bytes_)
        begin = at
        while begin < end:
            until = min(end, (begin // size + 1) * size)
            if keep is None or keep():
                data.extend(bytes(max(0, until - len(data))))
                data[begin:until] = bytes_[begin - at:until - at]
            begin = until


def read_record(path):
    raw, at, ops = open(path, "rb").read(), 0, []
    while at < len(raw):
        end = raw.index(b"\n", at)
        what, inode, offset, n = raw[at:end].decode().split()
        at = end + 1 + int(n)
        ops.append((what, int(inode), int(offset), raw[end + 1:at]))
    return ops


class Disk:
    def __init__(self, folder):
        self.files, self.names, self.pending = {}, {}, []  # by inode; name -> file; names not yet safe
        self.now = {}                                      # name -> file, as the program sees it
        for name in os.listdir(folder):
            path = os.path.join(folder, name)
            f = self.files[os.stat(path).st_ino] = File(open(path, "rb").read())
            self.names[name] = self.now[name] = f

    def change_name(self, names, op):
        what, a, b = op
        if what == "create":
            names[a] = b
        elif what == "unlink":
            names.pop(a, None)
        elif a in names:
            names[b] = names.pop(a)

    def step(self, op):
        what, inode, offset, data = op
        base = [os.path.basename(p) for p in data.decode(errors="replace").split("\0")] if what in (
            "create", "unlink", "rename") else None
        if what == "create":
            self.files[inode] = File()
            change = ("create", base[0], self.files[inode])
        elif base:
            change = (what, base[0], base[1])
        if base:
            self.pending.append(change)
            self.change_name(self.now, change)
        elif what == "folder":
            for change in self.pending:
                self.change_name(self.names, change)
            self.pending = []
        elif inode in self.files and what == "sync":
            f = self.files[inode]
            for p in f.pending:
                apply(f.data, p)
            f.pending = []
        elif inode in self.files:
            self.files[inode].pending.append((what, offset, data))

    def fall(self, folder, everything=False):
        """Write the folder as the cut may leave it."""
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        share, in_order, sectors = rng.choice([0, 0.1, 0.5, 0.9, 1]), rng.random() < 0.3, rng.choice([512, 4096, None])
        names = dict(self.names)
        for change in self.pending:
            if everything or rng.random() < share:
                self.change_name(names, change)
        for name, f in names.items():
            if name.endswith("-shm"):
                if not everything and rng.random() < 0.5:  # memory that processes share: of no worth after a cut
                    open(os.path.join(folder, name), "wb").write(rng.randbytes(32768))
                continue
            data = bytearray(f.data)
            kept = rng.randint(0, len(f.pending)) if in_order and not everything else len(f.pending)
            for op in f.pending[:kept]:
                apply(data, op, sectors, None if everything or in_order else lambda: rng.random() < share)
            open(os.path.join(folder, name), "wb").write(data)


def look(folder, store):
    """Rows in the store, and what is wrong with it. Works on a copy: looking mends."""
    copy = "look"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(folder, copy)
    path = os.path.join(copy, store)
    if not os.path.exists(path):
        return 0, []
    db = sqlite3.connect(path)
    try:
        wrong = [r[0] for r in db.execute("PRAGMA integrity_check") if r[0] != "ok"]
        wrong += [str(r) for r in db.execute("PRAGMA foreign_key_check")]
        rows = db.execute("SELECT count(*) FROM injection").fetchone()[0]
        spans = db.execute("SELECT coalesce(sum(next - first), 0) FROM span").fetchone()[0]
        tallies = db.execute("SELECT coalesce(sum(n), 0) FROM tally").fetchone()[0]
        if not rows == spans == tallies:
            wrong.append(f"{rows} rows, {spans} in spans, {tallies} in tallies")
    except sqlite3.DatabaseError as e:
        rows, wrong = 0, [str(e)]
    db.close()
    return rows, wrong


def story(name, store, command, prepare=lambda folder: None):
    def fresh(folder):
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder)
        prepare(folder)

    fresh("plain")
    status, err = run("plain", *command)
    assert status == 0, err
    want = open(f"plain/{store}", "rb").read()
    others = {n for n in os.listdir("plain")}
    fresh("run")
    before = Disk("run")
    record = os.path.abspath("record")
    if os.path.exists(record):
        os.unlink(record)
    status, err = run("run", *command, record=record)
    assert status == 0, err
    assert open(f"run/{store}", "rb").read() == want
    ops = read_record(record)
    syncs = sum(o[0] == "sync" for o in ops)
    wrong, lost, points = 0, 0, sorted(rng.randint(0, len(ops)) for _ in range(cuts - 1)) + [len(ops)]
    disk, done, safe_rows, partial = before, 0, 0, 0
    for point in points:
        for op in ops[done:point]:
            disk.step(op)
            if op[0] == "sync" and any(n.endswith("-wal") and f is disk.files.get(op[1]) for n, f in disk.now.items()):
                safe = True
            else:
                safe = False
            if safe:  # a commit is finished: what is there now must never be lost
                disk.fall("safe", everything=True)
                safe_rows = look("safe", store)[0]
        done = point
        disk.fall("all", everything=True)
        all_rows = look("all", store)[0]
        disk.fall("cut")
        rows, complaints = look("cut", store)
        lost = max(lost, all_rows - rows)
        partial += 0 < rows < all_rows
        if rows < safe_rows:
            complaints.append(f"{rows} rows, but {safe_rows} had been committed")
        if point == len(ops) and open(f"cut/{store}", "rb").read() != want:
            complaints.append("the finished file is not on the disk")
        if os.path.exists(f"cut/{store}") and (said := run("cut", "status", store, "--json"))[0] != 0:
            complaints.append("status: " + said[1])
        status, err = run("cut", *command)
        if status != 0 or open(f"cut/{store}", "rb").read() != want:
            complaints.append(f"not continued to the same file: status {status} {err}")
        if left := set(os.listdir("cut")) - others:
            complaints.append(f"left behind: {left}")
        if complaints:
            wrong += 1
            print(f"{name}, cut at {point} of {len(ops)}:", *complaints, sep="\n  ")
    print(f"{'ok' if not wrong else 'FAILED'}: {name}: {len(points)} cuts among {len(ops)} changes with {syncs} syncs; "
          f"at most {lost} rows that were written are lost, in {partial} cuts some but not all")
    return wrong


def parts(*which):
    def prepare(folder):
        for k, file in which:
            status, err = run(folder, *INJECT, "-n", N, "--part", k, "-o", file)
            assert status == 0, err
    return prepare


whole = [*INJECT, "-n", N, "-o", "run.db"]
failed = story("a campaign", "run.db", whole)
failed += story("with few tensors", "run.db", [*whole, "--tensors", "200"])
failed += story("extended", "run.db", whole, parts(("1/3", "run.db")))
failed += story("with shards of ranks that are gone", "run.db", whole,
                parts(("1/3", "run.db"), ("2/4", "run.db.rank-0001"), ("4/4", "run.db.rank-0002")))
failed += story("merged", "run.db", ["merge", "a.db", "b.db", "-q", "-o", "run.db"], parts(("1/2", "a.db"), ("2/2", "b.db")))
shutil.rmtree(os.getcwd())
sys.exit(failed > 0)
