# Files that are there but wrong.
try() {
  echo "\$ sievert $*" | sed "s|$ROOT/||g"
  "$SIEVERT" "$@" 2>&1 >stdout | sed "s|$ROOT/||g"; echo "status ${PIPESTATUS[0]}"
  [ ! -s stdout ] || { echo "something on stdout:"; cat stdout; }
}
S=1x1x8x8:2x3x3:p1
echo 'not a database' > text.db
try replay text.db 0
try inject --impl direct --shape $S -n 10 -o text.db
cat text.db
printf '{"single": {"count": ' > half.json
try model show half.json
echo '{"single": 3}' > wrong.json
try model show wrong.json
head -c 100 "$ROOT/examples/lenet5.onnx" > half.onnx
try infer --onnx half.onnx --data fashion-mnist
mkdir data
gzip -dc /usr/share/datasets/fashion-mnist/t10k-images-idx3-ubyte.gz 2>/dev/null | head -c 100000 | gzip > data/t10k-images-idx3-ubyte.gz
cp /usr/share/datasets/fashion-mnist/t10k-labels-idx1-ubyte.gz data 2>/dev/null
try infer --onnx "$ROOT/examples/lenet5.onnx" --data data
cat > bad.yaml <<Y
network: x.onnx
layers: [conv1]
implementations: [direct]
injektions: 5
Y
try study bad.yaml
printf 'network: [unclosed\n' > torn.yaml
try study torn.yaml
printf 'network: x.onnx\nlayers: []\nimplementations: [direct]\n' > empty.yaml
try study empty.yaml
