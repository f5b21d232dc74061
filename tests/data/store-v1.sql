PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE word (
    vocabulary TEXT NOT NULL,
    id INTEGER NOT NULL CHECK (id >= 0),
    word TEXT NOT NULL,
    PRIMARY KEY (vocabulary, id),
    UNIQUE (vocabulary, word)
) STRICT, WITHOUT ROWID;
INSERT INTO word VALUES('effect',0,'masked');
INSERT INTO word VALUES('effect',1,'tolerable');
INSERT INTO word VALUES('effect',2,'critical');
INSERT INTO word VALUES('outcome',0,'masked');
INSERT INTO word VALUES('outcome',1,'SDC');
INSERT INTO word VALUES('outcome',2,'DUE');
INSERT INTO word VALUES('pattern',0,'single');
INSERT INTO word VALUES('pattern',1,'skip_4');
INSERT INTO word VALUES('pattern',2,'single_block');
INSERT INTO word VALUES('pattern',3,'single_channel_alternated_blocks');
INSERT INTO word VALUES('pattern',4,'same_row');
INSERT INTO word VALUES('pattern',5,'multi_channel_block');
INSERT INTO word VALUES('pattern',6,'bullet_wake');
INSERT INTO word VALUES('pattern',7,'full_channels');
INSERT INTO word VALUES('pattern',8,'rectangles');
INSERT INTO word VALUES('pattern',9,'shattered_channel');
INSERT INTO word VALUES('pattern',10,'quasi_shattered_channel');
INSERT INTO word VALUES('pattern',11,'single_channel_random');
INSERT INTO word VALUES('pattern',12,'multiple_channels_uncategorized');
INSERT INTO word VALUES('trap',0,'none');
INSERT INTO word VALUES('trap',1,'illegal-address');
INSERT INTO word VALUES('trap',2,'misaligned-address');
INSERT INTO word VALUES('trap',3,'shared-out-of-range');
INSERT INTO word VALUES('trap',4,'local-out-of-range');
INSERT INTO word VALUES('trap',5,'invalid-pc');
INSERT INTO word VALUES('trap',6,'barrier-deadlock');
INSERT INTO word VALUES('trap',7,'hang');
CREATE TABLE campaign (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    impl TEXT NOT NULL,
    shape TEXT NOT NULL,
    tile TEXT NOT NULL,
    layer TEXT NOT NULL,
    fault TEXT NOT NULL,
    population_kind TEXT NOT NULL CHECK (population_kind IN ('machine', 'ptx')),
    seed INTEGER NOT NULL,
    planned INTEGER NOT NULL CHECK (planned >= 0),
    hang_factor INTEGER NOT NULL CHECK (hang_factor > 0),
    kernels_hash INTEGER NOT NULL,
    population INTEGER NOT NULL CHECK (population > 0),
    warp_insns INTEGER NOT NULL CHECK (warp_insns > 0),
    thread_insns INTEGER NOT NULL CHECK (thread_insns >= warp_insns),
    workspace_bytes INTEGER NOT NULL CHECK (workspace_bytes >= 0),
    n INTEGER NOT NULL CHECK (n > 0), -- the output tensor
    k INTEGER NOT NULL CHECK (k > 0),
    p INTEGER NOT NULL CHECK (p > 0),
    q INTEGER NOT NULL CHECK (q > 0),
    input BLOB NOT NULL CHECK (length(input) % 4 = 0), -- float32, little-endian, C order
    filter BLOB NOT NULL CHECK (length(filter) % 4 = 0),
    golden BLOB NOT NULL CHECK (length(golden) = 4 * n * k * p * q)
) STRICT;
INSERT INTO campaign VALUES(1,'direct','1x1x3x3:2x2x2','','','fp32:single-bit:thread','machine',1,40,10,-8988331015704835993,1024,1252,36304,0,1,2,2,2,X'1d144a3fa956d83e998b3f3f82d99f3eca6ce73d6dda573f214a6dbfa96c64bf3031a73e',X'6df6f5be13ea12bea194603f312497bef0e2a63eb69920bfe77deb3ea6f33a3c',X'61154cbeef92ebbe2f4837bf5bf786bf88650c3e21478abea0afcfbe1d1866bf');
CREATE TABLE epsilon (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    value REAL NOT NULL CHECK (value >= 0)
) STRICT;
INSERT INTO epsilon VALUES(0,0.0);
INSERT INTO epsilon VALUES(1,9.9999999999999995472e-07);
INSERT INTO epsilon VALUES(2,0.0010000000000000000208);
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
INSERT INTO launch VALUES(0,'direct','direct',1,2,1,128,1,1,2,1252,36304,1024);
CREATE TABLE instruction (
    launch INTEGER NOT NULL REFERENCES launch (id),
    insn INTEGER NOT NULL CHECK (insn >= 0),
    ptx_line INTEGER NOT NULL CHECK (ptx_line >= 0),
    source_line INTEGER NOT NULL CHECK (source_line >= 0),
    PRIMARY KEY (launch, insn)
) STRICT, WITHOUT ROWID;
INSERT INTO instruction VALUES(0,84,159,23);
CREATE TABLE injection (
    number INTEGER PRIMARY KEY CHECK (number >= 0), -- from 0, without gaps
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
    outcome INTEGER NOT NULL CHECK (outcome BETWEEN 0 AND 2), -- masked, SDC, DUE
    trap INTEGER CHECK (trap > 0),
    trap_launch INTEGER CHECK (trap_launch >= launch) REFERENCES launch (id),
    trap_cta INTEGER CHECK (trap_cta >= 0),
    trap_insn INTEGER CHECK (trap_insn >= 0),
    trap_address INTEGER,
    n_diffs INTEGER CHECK (n_diffs > 0),
    max_abs_error REAL CHECK (max_abs_error >= 0),
    diffs BLOB CHECK (length(diffs) > 0), -- docs/FORMATS.md
    FOREIGN KEY (launch, insn) REFERENCES instruction (launch, insn),
    CHECK ((outcome = 1) = (n_diffs IS NOT NULL)),
    CHECK ((outcome = 1) = (max_abs_error IS NOT NULL)),
    CHECK ((outcome = 1) = (diffs IS NOT NULL)),
    CHECK ((outcome = 2) = (trap IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_launch IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_cta IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_insn IS NOT NULL)),
    CHECK ((outcome = 2) = (trap_address IS NOT NULL))
) STRICT;
INSERT INTO injection VALUES(0,0,84,1,112,0,16,1,0,32,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(1,0,84,0,18,0,18,1,0,32,0,2048,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(2,0,84,0,207,1,15,1,0,32,0,4194304,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(3,0,84,1,319,2,31,1,0,32,0,32768,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(4,0,84,0,96,0,0,1,0,32,3192657249,3192665441,1,NULL,NULL,NULL,NULL,NULL,1,0.0001220703125,X'000000200000');
INSERT INTO injection VALUES(5,0,84,0,414,3,30,1,0,32,0,16384,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(6,0,84,1,491,3,11,1,0,32,0,536870912,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(7,0,84,0,49,0,17,1,0,32,0,67108864,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(8,0,84,0,325,2,5,1,0,32,0,536870912,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(9,0,84,1,257,2,1,1,0,32,0,2097152,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(10,0,84,1,112,0,16,1,0,32,0,4194304,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(11,0,84,0,314,2,26,1,0,32,0,2097152,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(12,0,84,0,333,2,13,1,0,32,0,262144,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(13,0,84,0,3,0,3,1,0,32,3177077218,3176552930,1,NULL,NULL,NULL,NULL,NULL,1,0.001953125,X'000300400000');
INSERT INTO injection VALUES(14,0,84,1,6,0,6,1,0,32,0,268435456,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(15,0,84,1,234,1,10,1,0,32,0,16777216,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(16,0,84,0,14,0,14,1,0,32,0,67108864,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(17,0,84,1,385,3,1,1,0,32,0,268435456,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(18,0,84,1,359,2,7,1,0,32,0,67108864,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(19,0,84,1,436,3,20,1,0,32,0,8388608,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(20,0,84,1,42,0,10,1,0,32,0,131072,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(21,0,84,1,92,0,28,1,0,32,0,131072,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(22,0,84,0,311,2,23,1,0,32,0,1073741824,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(23,0,84,0,476,3,28,1,0,32,0,2048,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(24,0,84,1,78,0,14,1,0,32,0,1024,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(25,0,84,1,142,1,14,1,0,32,0,16,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(26,0,84,0,411,3,27,1,0,32,0,8,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(27,0,84,0,195,1,3,1,0,32,0,2,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(28,0,84,1,510,3,30,1,0,32,0,4194304,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(29,0,84,1,458,3,10,1,0,32,0,8192,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(30,0,84,0,322,2,2,1,0,32,0,524288,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(31,0,84,0,313,2,25,1,0,32,0,65536,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(32,0,84,0,480,3,0,1,0,32,0,256,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(33,0,84,1,442,3,26,1,0,32,0,1,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(34,0,84,1,19,0,19,1,0,32,0,134217728,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(35,0,84,0,473,3,25,1,0,32,0,1073741824,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(36,0,84,1,194,1,2,1,0,32,0,4194304,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(37,0,84,1,260,2,4,1,0,32,0,64,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(38,0,84,0,120,0,24,1,0,32,0,1048576,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
INSERT INTO injection VALUES(39,0,84,0,242,1,18,1,0,32,0,256,0,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
CREATE TABLE domain (
    id INTEGER PRIMARY KEY CHECK (id >= 0),
    classes TEXT NOT NULL UNIQUE -- "in_range", "in_range+out_of_range", "random"
) STRICT;
INSERT INTO domain VALUES(0,'flip');
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
INSERT INTO label VALUES(4,0,1,1,0,0);
INSERT INTO label VALUES(4,1,1,1,0,0);
INSERT INTO label VALUES(4,2,0,0,NULL,NULL);
INSERT INTO label VALUES(13,0,1,1,0,0);
INSERT INTO label VALUES(13,1,1,1,0,0);
INSERT INTO label VALUES(13,2,1,1,0,0);
CREATE TABLE simulation (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    network TEXT NOT NULL,
    dataset TEXT NOT NULL,
    layer TEXT NOT NULL,
    impl TEXT NOT NULL,
    source TEXT NOT NULL CHECK (source IN ('direct', 'model')),
    errors TEXT NOT NULL,
    seed INTEGER NOT NULL,
    planned INTEGER NOT NULL CHECK (planned >= 0),
    images INTEGER NOT NULL CHECK (images > 0)
) STRICT;
CREATE TABLE trial (
    number INTEGER PRIMARY KEY CHECK (number >= 0), -- from 0, without gaps
    image INTEGER NOT NULL CHECK (image >= 0),
    injection INTEGER CHECK (injection >= 0), -- NULL: drawn from a model
    pattern INTEGER CHECK (pattern >= 0),
    corrupted INTEGER NOT NULL CHECK (corrupted >= 0),
    effect INTEGER NOT NULL CHECK (effect BETWEEN 0 AND 2), -- masked, tolerable, critical
    answer_golden INTEGER NOT NULL,
    answer_faulty INTEGER NOT NULL,
    label INTEGER NOT NULL,
    score_change REAL NOT NULL CHECK (score_change >= 0)
) STRICT;
COMMIT;
