# What there is, what computes a problem and why the rest does not, and one run in either layout. Counts of
# instructions and bytes depend on the compiler of the kernels, times on everything.
try() {
  echo "\$ sievert $*"
  "$SIEVERT" "$@" 2>&1 | sed -E '/^(global|shared|simulated|error )/s/ +.*/ .../; s/( +[0-9]+){3}$/ .../'
  echo "status ${PIPESTATUS[0]}"
}
try conv list
try conv list --shape 1x16x14x14:32x3x3:p1:s2
try conv list --shape 1x16x14x14:16x5x5:p2:g16:nhwc
try conv list --shape 1x3x8x8:4x3x3:nhcw
try conv run --impl direct --shape 1x3x6x5:4x3x3:p1
try conv run --impl implicit-precomp-gemm --shape 1x3x6x5:4x3x3:p1:nhwc --tile 64x128x16-1x16
try conv run --impl gemm --shape 1x4x6x5:4x1x1 --layout nhwc
try conv run --impl gemm --shape 1x4x6x5:4x1x1 --layout nwhc
try conv run --impl fft --shape 1x4x6x5:4x1x1 --layout nhwc
try conv run --impl gemm --shape 1x4x6x5:4x1x1 --tile 8x8
