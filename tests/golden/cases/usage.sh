# Wrong usage: status 2, a hint, nothing on stdout.
try() { echo "\$ sievert $*"; "$SIEVERT" "$@" 2>&1 >stdout; echo "status $?"; [ ! -s stdout ] || echo "something on stdout"; }
try frobnicate
try injct
try conv
try conv rum
try inject --impll direct
try inject -n
try inject -n lots
try inject --margin wide
try inject --margin 0
try inject --confidence 100%
try inject -n 0
try inject -n 18446744073709551615
try simulate --images 0
try inject --eps 0,1e-3,x
try replay run.db
try study a.yaml b.yaml
