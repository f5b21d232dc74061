# Bad input: one clear line on stderr, status 1, nothing on stdout, no file left behind.
try() {
  echo "\$ sievert $*"; "$SIEVERT" "$@" 2>&1 >stdout | sed 's/[0-9]*\.tmp/N.tmp/'; echo "status ${PIPESTATUS[0]}"
  [ ! -s stdout ] || { echo "something on stdout:"; cat stdout; }
  rm -f stdout; ls
}
S=1x1x8x8:2x3x3:p1
try inject --impl direct --shape $S
try inject --shape $S -o run.db
try inject --impl dirct --shape $S -o run.db
try inject --impl direct -o run.db
try inject --impl direct --shape 1x1x8x8:2x9x9 -o run.db
try inject --impl direct --shape 1x1x8x8 -o run.db
try inject --impl direct --shape 1x3x8x8:4x3x3:g2 -o run.db
try inject --impl winograd-2x2-nonfused --shape 1x1x8x8:2x3x3:s2 -o run.db
try inject --impl direct --shape $S --fault gp:single-bitt:thread -o run.db
try inject --impl direct --shape $S --fault gp:single-bit:thread:more -o run.db
try inject --impl direct --shape $S --engine warp -o run.db
try inject --impl direct --shape $S --eps=-1 -o run.db
try inject --impl direct --shape $S --input missing.npy -o run.db
try inject --impl direct --shape $S -n 10 -o no/such/folder/run.db
try inject --impl direct --onnx missing.onnx --layer 0 -o run.db
try replay missing.db 0
try report missing.db
try report .
try model build missing.db -o m.json
try model show missing.json
try simulate --onnx missing.onnx --campaign run.db -o sim.db
try infer --onnx missing.onnx --data fashion-mnist
try infer --onnx "$SIEVERT" --data fashion-mnist | sed "s|$SIEVERT|PROGRAM|g"
try study missing.yaml
