-- One file holds one campaign of injections or one simulation of errors; docs/FORMATS.md explains it.
-- The version is user_version; a change of anything here needs a new one and a row in migrate.c.
PRAGMA application_id = 0x53767274; -- "Svrt"
PRAGMA user_version = 5;

-- The words behind the numbers of the columns outcome, fate, trap, pattern and effect, from src/vocab.
CREATE TABLE word (
    vocabulary TEXT NOT NULL,
    id INTEGER NOT NULL CHECK (id >= 0),
    word TEXT NOT NULL,
    PRIMARY KEY (vocabulary, id),
    UNIQUE (vocabulary, word)
) STRICT, WITHOUT ROWID;

-- ---- Injections --------------------------------------------------------------------------------
-- What identifies a campaign. 64-bit unsigned numbers are kept as their two's complement.
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    impl TEXT NOT NULL,
    shape TEXT NOT NULL,
    tile TEXT NOT NULL,
    layer TEXT NOT NULL,
    ptx TEXT NOT NULL, -- of a user's program, '' for an implementation's
    arguments TEXT NOT NULL, -- of a user's program, as JSON: docs/FORMATS.md
    fault TEXT NOT NULL,
    population_kind TEXT NOT NULL CHECK (population_kind IN ('machine', 'ptx')),
    seed INTEGER NOT NULL,
    first INTEGER NOT NULL CHECK (first >= 0), -- injections first to planned - 1 are wanted here
    planned INTEGER NOT NULL CHECK (planned >= first),
    tensors INTEGER CHECK (tensors >= 0), -- SDCs whose differences are kept; NULL: all
    hang_factor INTEGER NOT NULL CHECK (hang_factor > 0),
    kernels_hash INTEGER NOT NULL,
    population INTEGER NOT NULL CHECK (population > 0),
    exposure INTEGER NOT NULL, -- bits of all sites
    warp_insns INTEGER NOT NULL CHECK (warp_insns > 0),
    thread_insns INTEGER NOT NULL CHECK (thread_insns >= warp_insns),
    workspace_bytes INTEGER NOT NULL CHECK (workspace_bytes >= 0),
    n INTEGER NOT NULL CHECK (n > 0), -- the output tensor
    k INTEGER NOT NULL CHECK (k > 0),
    p INTEGER NOT NULL CHECK (p > 0),
    q INTEGER NOT NULL CHECK (q > 0),
    input BLOB NOT NULL CHECK (length(input) % 4 = 0), -- float32, little-endian, C order
    filter BLOB NOT NULL CHECK (length(filter) % 4 = 0),
    golden BLOB NOT NULL CHECK (length(golden) = 4 * n * k * p * q),
    made TEXT NOT NULL -- where its tensors came from, when it was to stop, as JSON: docs/FORMATS.md; not of its identity
) STRICT;

CREATE TABLE epsilon (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    value REAL NOT NULL CHECK (value >= 0)
) STRICT;

CREATE TABLE launch (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    kernel TEXT NOT NULL,
    label TEXT NOT NULL,
    grid_x INTEGER NOT NULL CHECK (grid_x > 0),
    grid_y INTEGER NOT NULL CHECK (grid_y > 0),
    grid_z INTEGER NOT NULL CHECK (grid_z > 0),
    block_x INTEGER NOT NULL CHECK (block_x > 0),
    block_y INTEGER NOT NULL CHECK (block_y > 0),
    block_z INTEGER NOT NULL CHECK (block_z > 0),
    ctas INTEGER NOT NULL CHECK (ctas = grid_x * grid_y * grid_z),
    warp_insns INTEGER NOT NULL CHECK (warp_insns >= 0),
    thread_insns INTEGER NOT NULL CHECK (thread_insns >= 0),
    population INTEGER NOT NULL CHECK (population >= 0)
) STRICT;

-- Instructions that were struck, with their places.
CREATE TABLE instruction (
    launch INTEGER NOT NULL REFERENCES launch (id),
    insn INTEGER NOT NULL CHECK (insn >= 0),
    ptx_line INTEGER NOT NULL CHECK (ptx_line >= 0),
    source_line INTEGER NOT NULL CHECK (source_line >= 0),
    mnemonic TEXT NOT NULL,
    PRIMARY KEY (launch, insn)
) STRICT, WITHOUT ROWID;

-- Names of the registers that were struck.
CREATE TABLE register (
    launch INTEGER NOT NULL REFERENCES launch (id),
    cell INTEGER NOT NULL CHECK (cell >= 0),
    name TEXT NOT NULL,
    PRIMARY KEY (launch, cell)
) STRICT, WITHOUT ROWID;

-- Parts of the population that are sampled each on its own.
CREATE TABLE stratum (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    launch INTEGER NOT NULL REFERENCES launch (id),
    part TEXT NOT NULL, -- "fp32", "ld", ...
    population INTEGER NOT NULL CHECK (population > 0)
) STRICT;

CREATE TABLE injection (
    number INTEGER PRIMARY KEY CHECK (number >= 0), -- table span says which are here
    launch INTEGER NOT NULL,
    insn INTEGER NOT NULL,
    cta INTEGER NOT NULL CHECK (cta >= 0),
    nth INTEGER NOT NULL CHECK (nth >= 0),
    warp INTEGER NOT NULL CHECK (warp >= 0),
    lane INTEGER NOT NULL CHECK (lane BETWEEN 0 AND 31),
    lanes INTEGER NOT NULL CHECK (lanes BETWEEN 1 AND 32),
    reg INTEGER NOT NULL CHECK (reg BETWEEN 0 AND 3),
    bits INTEGER NOT NULL CHECK (bits BETWEEN 1 AND 64),
    before INTEGER NOT NULL,
    after INTEGER NOT NULL,
    cell INTEGER, -- register, special register or address struck; NULL: an address, or nothing live
    stratum INTEGER NOT NULL CHECK (stratum >= 0), -- 0 if there are none
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2), -- masked, SDC, DUE
    fate INTEGER NOT NULL CHECK (fate >= 0), -- 0: not asked for
    last_launch INTEGER CHECK (last_launch >= launch) REFERENCES launch (id), -- where it last differed
    last_cta INTEGER CHECK (last_cta >= 0),
    last_insn INTEGER CHECK (last_insn >= 0),
    trap INTEGER CHECK (trap > 0),
    trap_launch INTEGER CHECK (trap_launch >= launch) REFERENCES launch (id),
    trap_cta INTEGER CHECK (trap_cta >= 0),
    trap_insn INTEGER CHECK (trap_insn >= 0),
    trap_address INTEGER,
    n_diffs INTEGER CHECK (n_diffs > 0),
    max_abs_error REAL CHECK (max_abs_error >= 0),
    diffs BLOB CHECK (length(diffs) > 0), -- docs/FORMATS.md
    FOREIGN KEY (launch, insn) REFERENCES instruction (launch, insn),
    CHECK ((last_launch IS NULL) = (last_cta IS NULL)),
    CHECK ((last_launch IS NULL) = (last_insn IS NULL)),
    CHECK ((outcome = 1) = (n_diffs IS NOT NULL)),
    CHECK ((outcome = 1) = (max_abs_error IS NOT NULL)),
    CHECK (outcome = 1 OR diffs IS NULL),
    CHECK ((outcome = 2) = (trap IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_launch IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_cta IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_insn IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_address IS NOT NULL))
) STRICT;

-- Every text that label.domain can name.
CREATE TABLE domain (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    classes TEXT NOT NULL UNIQUE -- "in_range", "in_range+out_of_range", "random"
) STRICT;

-- An SDC as it looks when differences below epsilon are ignored.
CREATE TABLE label (
    number INTEGER NOT NULL REFERENCES injection (number),
    epsilon INTEGER NOT NULL REFERENCES epsilon (id),
    corrupted INTEGER NOT NULL CHECK (corrupted >= 0),
    channels INTEGER NOT NULL CHECK (channels BETWEEN 0 AND corrupted),
    pattern INTEGER CHECK (pattern >= 0),
    domain INTEGER REFERENCES domain (id),
    PRIMARY KEY (number, epsilon),
    CHECK ((corrupted > 0) = (channels > 0)),
    CHECK ((corrupted > 0) = (pattern IS NOT NULL)),
    CHECK ((corrupted > 0) = (domain IS NOT NULL))
) STRICT, WITHOUT ROWID;

-- ---- Summaries of the injections, brought up to date by every commit --------------------------------
-- The numbers that are here: first <= number < next. Spans do not touch each other.
CREATE TABLE span (
    first INTEGER PRIMARY KEY CHECK (first >= 0),
    next INTEGER NOT NULL UNIQUE CHECK (next > first)
) STRICT;

CREATE TABLE tally (
    stratum INTEGER NOT NULL,
    launch INTEGER NOT NULL,
    insn INTEGER NOT NULL,
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2),
    fate INTEGER NOT NULL CHECK (fate >= 0),
    trap INTEGER NOT NULL CHECK ((outcome = 2) = (trap > 0)), -- 0: none
    n INTEGER NOT NULL CHECK (n > 0),
    PRIMARY KEY (stratum, launch, insn, outcome, fate, trap),
    FOREIGN KEY (launch, insn) REFERENCES instruction (launch, insn)
) STRICT, WITHOUT ROWID;

-- SDCs that look alike at an epsilon, and which stand for them.
CREATE TABLE look (
    epsilon INTEGER NOT NULL REFERENCES epsilon (id),
    pattern INTEGER NOT NULL CHECK (pattern >= 0),
    domain INTEGER NOT NULL REFERENCES domain (id),
    corrupted INTEGER NOT NULL CHECK (corrupted > 0),
    n INTEGER NOT NULL CHECK (n > 0),
    first INTEGER NOT NULL REFERENCES injection (number), -- the lowest number
    worst INTEGER NOT NULL REFERENCES injection (number), -- the largest error, then the lowest number
    worst_error REAL NOT NULL CHECK (worst_error >= 0),
    PRIMARY KEY (epsilon, pattern, domain, corrupted)
) STRICT, WITHOUT ROWID;

-- A campaign under way, for `sievert status`: the only words about clock and host. Gone when it is complete.
CREATE TABLE live (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    host TEXT NOT NULL,
    pid INTEGER NOT NULL,
    ranks INTEGER NOT NULL CHECK (ranks > 0),
    jobs INTEGER NOT NULL CHECK (jobs > 0),
    seconds REAL NOT NULL CHECK (seconds >= 0), -- since it was started or continued
    began INTEGER NOT NULL CHECK (began >= 0), -- of the injections wanted, done at that time
    done INTEGER NOT NULL CHECK (done >= began), -- done by now, those in shards too
    wanted INTEGER NOT NULL CHECK (wanted >= done),
    masked INTEGER NOT NULL CHECK (masked >= 0), -- of all that are in the store and in shards
    sdc INTEGER NOT NULL CHECK (sdc >= 0),
    due INTEGER NOT NULL CHECK (due >= 0)
) STRICT;

-- ---- Simulations of errors in a network ----------------------------------------------------------
CREATE TABLE simulation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    network TEXT NOT NULL,
    dataset TEXT NOT NULL,
    layer TEXT NOT NULL, -- as asked for
    impl TEXT NOT NULL,
    task TEXT NOT NULL,
    strike TEXT NOT NULL,
    share TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('direct', 'model')),
    errors TEXT NOT NULL,
    seed INTEGER NOT NULL,
    planned INTEGER NOT NULL CHECK (planned >= 0),
    images INTEGER NOT NULL CHECK (images > 0)
) STRICT;

-- The layers that its errors strike.
CREATE TABLE layer (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    name TEXT NOT NULL,
    exposure REAL NOT NULL CHECK (exposure >= 0)
) STRICT;

CREATE TABLE trial (
    number INTEGER PRIMARY KEY CHECK (number >= 0), -- from 0, without gaps
    image INTEGER NOT NULL CHECK (image >= 0),
    layer INTEGER NOT NULL CHECK (layer >= 0),
    injection INTEGER CHECK (injection >= 0), -- NULL: drawn from a model
    pattern INTEGER CHECK (pattern >= 0),
    corrupted INTEGER NOT NULL CHECK (corrupted >= 0),
    magnitude REAL NOT NULL CHECK (magnitude >= 0), -- largest absolute change made
    effect INTEGER NOT NULL CHECK (effect BETWEEN 0 AND 2), -- masked, tolerable, critical
    answer_golden INTEGER NOT NULL,
    answer_faulty INTEGER NOT NULL,
    label INTEGER NOT NULL,
    score_change REAL NOT NULL CHECK (score_change >= 0),
    measure REAL NOT NULL, -- confidence drop, mean IoU, F1 of the boxes, as the task has it
    top5 INTEGER NOT NULL CHECK (top5 IN (0, 1)), -- the fault-free answer is among the five largest
    finite INTEGER NOT NULL CHECK (finite IN (0, 1)) -- all outputs are
) STRICT;
