# Tensors from files: labels, summary, the folder layout of the CLASSES classifier, files that are no tensors.
npy() { # FILE SHAPE < little-endian float32: a .npy file of version 1
  local dict="{'descr': '<f4', 'fortran_order': False, 'shape': ($2), }" size
  size=$(((10 + ${#dict} + 1 + 63) / 64 * 64 - 10))
  { printf '\x93NUMPY\x01\x00'; printf "\\x$(printf %02x $((size % 256)))\\x$(printf %02x $((size / 256)))"
    printf "%-$((size - 1))s\n" "$dict"; cat; } > "$1"
}
floats() { for v in "$@"; do case $v in 0) printf '\0\0\0\0';; 1) printf '\0\0\x80\x3f';; 2) printf '\0\0\0\x40';; -1) printf '\0\0\x80\xbf';; 7) printf '\0\0\xe0\x40';; nan) printf '\0\0\xc0\x7f';; esac; done; }
try() { echo "\$ sievert $*"; "$SIEVERT" "$@"; echo "status $?"; }
a=(1 2 -1 1  2 1 -1 2  1 1 2 2  -1 -1 1 2)
S='1, 2, 2, 4'
floats "${a[@]}" | npy golden.npy "$S"
mkdir errors
floats "${a[@]}" | npy errors/masked.npy "$S"
floats 7 "${a[@]:1}" | npy errors/single.npy "$S"
floats 2 1 0 "${a[@]:3}" | npy errors/row.npy "$S"
floats "${a[@]:0:7}" nan "${a[@]:8:7}" nan | npy errors/wake.npy "$S"
floats 7 7 7 7 7 7 7 7 "${a[@]:8}" | npy errors/full.npy "$S"
try classify golden.npy errors --tsv labels.tsv
cat labels.tsv
try classify golden.npy errors/full.npy errors/wake.npy --compat classes --json
try classify golden.npy errors/wake.npy --layout nhwc --tsv /dev/stdout | sed -n 1,3p
floats 1 2 | npy errors/small.npy '1, 2'
echo text > errors/text.npy
echo text > errors/README
: > errors/empty.npy
try classify golden.npy errors
mkdir -p root/b1/test/fp32_single root/b2/test/ld_double root/_profiler root/b3
cp golden.npy root/b1/test; cp golden.npy root/b2/test
cp errors/{single,row,full,masked}.npy root/b1/test/fp32_single
cp errors/{single,wake,text}.npy root/b2/test/ld_double
echo '{"fp32": 5}' > root/b1/test/injection-counts.json
echo '{"fp32": 2, "ld": 3}' > root/b2/test/injection-counts.json
try classify root --golden test/golden.npy --faulty test --compat classes --report report.json
cat report.json; echo
try classify golden.npy
try classify errors/text.npy errors/full.npy
try classify missing.npy errors/full.npy
try classify golden.npy missing.npy
try classify root --golden none.npy
try classify golden.npy errors --layout nwhc
try classify golden.npy errors --compat nvdla
try classify golden.npy errors --eps -1
try classify golden.npy errors --almost-same
try classify golden.npy errors/single.npy --model m.json
try classify golden.npy errors/single.npy --tsv no/such/folder/x.tsv
