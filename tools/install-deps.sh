#!/usr/bin/env bash
# Installs the Debian 12 packages that Sievert is built, tested and demonstrated with, and asks apt for
# nothing when all are there. Usage: install-deps.sh [--list | --dev | --train]
#   --list   print the packages with their reasons; for other systems
#   --dev    also what make lint, format, coverage and fuzz need
#   --train  also what tools/train_*.py needs (PyTorch): not needed to build or test
set -eu

# package | why
packages=$(cat <<'LIST'
gcc|C compiler (12 or later); the shipped build
make|the commands of the README
cmake|the build
pkg-config|finds the libraries
clang|compiles the OpenCL C kernels to PTX (14 or later)
libclc-14|OpenCL C builtins as NVPTX bitcode
libclc-14-dev|OpenCL C builtins as NVPTX bitcode
libdnnl-dev|oneDNN: runs the CNNs, and is the reference for convolutions
libprotobuf-c-dev|reads ONNX files
protobuf-c-compiler|makes the ONNX reader from the .proto
protobuf-compiler|finds the imports of the .proto
libonnx-dev|the ONNX .proto itself
libsqlite3-dev|the store
libzstd-dev|compresses tensors in the store
zlib1g-dev|reads gzipped data sets
libpng-dev|pictures in the report; image data sets
libjpeg62-turbo-dev|image data sets
librandom123-dev|Philox, the counter-based random numbers
libjansson-dev|JSON
libopenmpi-dev|campaigns on several machines (optional: the build does without)
openmpi-bin|mpirun, and tests of it (optional)
libcyaml-dev|study files in YAML
libyaml-dev|what libcyaml links with
libjs-chart.js|charts of the report, inlined when building
dataset-fashion-mnist|the test images
libcmocka-dev|unit tests
pocl-opencl-icd|oracle: runs the same kernels natively
ocl-icd-opencl-dev|oracle: the OpenCL loader
opencl-headers|oracle: the OpenCL headers
libonnx-testdata|oracle: ONNX's own tests of its operators
python3-numpy|oracle: reads and writes .npy
chromium|tests: the report in a real browser
zsh|tests: its completion
groff|tests: the man pages
dpkg-dev|tests: the package that make deb makes
file|make deb: tells what is a library
LIST
)
dev=$(cat <<'LIST'
clang-tidy|make lint: mistakes in C
cppcheck|make lint: the same, by other means
shellcheck|make lint: mistakes in scripts
codespell|make lint: spelling
clang-format|make lint, make format
gcovr|make coverage
libclang-rt-14-dev|make fuzz: libFuzzer
LIST
)
train=$(cat <<'LIST'
python3-torch|trains the networks
python3-onnx|writes them as ONNX
libopenblas0-pthread|makes PyTorch fast
LIST
)
case "${1-}" in
  --list) printf '%s\n' "$packages" "$dev" "$train" | sed '/^$/d' | awk -F'|' '{printf "%-22s %s\n",$1,$2}'; exit ;;
  --dev) packages+=$'\n'$dev ;;
  --train) packages+=$'\n'$train ;;
  '') ;;
  *) echo "usage: $0 [--list | --dev | --train]" >&2; exit 2 ;;
esac

names=$(cut -d'|' -f1 <<<"$packages" | sed '/^$/d')
if ! command -v dpkg-query >/dev/null; then
  echo "install-deps: not a Debian system; make sure these are there ($0 --list says why):" $names >&2
  exit 0
fi
have=$(dpkg-query -W -f '${Package} ${db:Status-Status}\n' $names 2>/dev/null | awk '$2=="installed"{print $1}')
missing=$(comm -23 <(sort <<<"$names") <(sort <<<"$have"))
[ -n "$missing" ] || exit 0
echo "installing:" $missing
sudo=; [ "$(id -u)" = 0 ] || sudo=sudo
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -qq
$sudo apt-get install -y -qq --no-install-recommends $missing >/dev/null
