#!/usr/bin/env bash
# check.sh tree|deb BUILD SOURCE WORK: installs into an empty folder, or unpacks the package made there,
# and uses what is then there and nothing else.
set -eu
how=$1 build=$(realpath "$2") source=$(realpath "$3") work=$4
rm -rf "$work"
mkdir -p "$work"
work=$(realpath "$work")
fail() { echo "FAILED: $*"; exit 1; }

if [ "$how" = tree ]; then
  DESTDIR=$work cmake --install "$build" --prefix /usr >"$work/install.log"
else
  for tool in dpkg-deb dpkg-shlibdeps cpack; do
    command -v "$tool" >/dev/null || { echo "SKIP: no $tool"; exit 77; }
  done
  (cd "$build" && cpack -G DEB -B "$work/package" >"$work/cpack.log" 2>&1) || { cat "$work/cpack.log"; exit 1; }
  deb=$(ls "$work"/package/*.deb)
  dpkg-deb --info "$deb" | grep -q 'Depends:.*libc6' || fail "the package names no dependencies"
  dpkg-deb -x "$deb" "$work"
fi
prefix=$work/usr
lib=$(dirname "$(find "$prefix/lib" -name libsievert.so | head -1)")
# A library built with AddressSanitizer wants its runtime first in programs that are not.
runtime=$(ldd "$lib/libsievert.so" | awk '/libasan/ {print $3}')
loads() { if [ -n "$runtime" ]; then LD_PRELOAD=$runtime ASAN_OPTIONS=detect_leaks=0 "$@"; else "$@"; fi; }
export LD_LIBRARY_PATH=$lib PKG_CONFIG_PATH=$lib/pkgconfig
for file in bin/sievert include/sievert.h share/man/man1/sievert.1 share/man/man1/sievert-conv-run.1 \
    share/bash-completion/completions/sievert share/zsh/site-functions/_sievert; do
  [ -s "$prefix/$file" ] || fail "$file is not installed"
done

version=$(pkg-config --modversion sievert)
[ "$("$prefix/bin/sievert" --version)" = "sievert $version" ] || fail "version"
[ -e "$lib/libsievert.so.${version%%.*}" ] || fail "no soname"
foreign=$(nm -D --defined-only "$lib/libsievert.so" | awk '$3 !~ /^sievert_/ {print $3}')
[ -z "$foreign" ] || fail "libsievert.so shows $foreign"

# The header is C and C++; the example builds against the installed tree and agrees with the program.
cd "$work"
${CC:-cc} -std=c99 -Wall -Wextra -pedantic -Werror "$source/examples/sensitivity.c" \
  $(pkg-config --cflags --libs sievert) -o sensitivity
if command -v g++ >/dev/null; then
  g++ -std=c++17 -Wall -Wextra -Werror -fsyntax-only -x c++ "$prefix/include/sievert.h"
fi
loads ./sensitivity 1x2x6x6:3x3x3 200 direct implicit-gemm >example.txt
[ "$(awk 'NR > 1 && $2 + $3 + $4 == 200' example.txt | wc -l)" = 2 ] || fail "example: $(cat example.txt)"
loads ./sensitivity 1x2x6:3 200 direct 2>&1 | grep -q shape || fail "the example explains no bad shape"

if command -v python3 >/dev/null; then
  SIEVERT_PROGRAM=$prefix/bin/sievert PYTHONPATH=$prefix/lib/python3/dist-packages \
    loads python3 "$source/tests/install/module.py" example.txt
  # The document's Python, as it stands there.
  sed -n '/^```python$/,/^```$/p' "$source/docs/LIBRARY.md" | grep -v '^```' >document.py
  PYTHONPATH=$prefix/lib/python3/dist-packages loads python3 document.py >document.txt
  grep -q "'share'" document.txt || fail "docs/LIBRARY.md: $(cat document.txt)"
fi
echo "installed ($how): passed"
