# Every fault there is: sums, in a store that can be continued; what a store without rows is not for.
try() { echo "\$ sievert $*"; "$SIEVERT" "$@" 2>&1; echo "status $?"; }
S=1x1x3x3:1x2x2
try inject --impl direct --shape $S --exhaustive -q
try inject --impl direct --shape $S --exhaustive --map -q -o run.db
try inject --impl direct --shape $S --exhaustive -q -o run.db | head -4
try status run.db
try inject --impl direct --shape $S --exhaustive --part 1/2 -q -o part.db
try status part.db
try inject --impl direct --shape $S --exhaustive --part 2/2 -q -o rest.db
try merge part.db rest.db -q -o all.db
cmp run.db all.db && echo "the same file"
try replay run.db 0
try export run.db -o run.csv
try merge run.db rest.db -q -o all.db
try inject --impl direct --shape $S --exhaustive -n 10 -o other.db
try inject --impl direct --shape $S --exhaustive --part 1/2
try inject --impl direct --shape $S --exhaustive --stratify -o other.db
try inject --impl direct --shape $S --fault reg:single-bit:thread --exhaustive -o other.db
# Of how many no fault is struck twice.
try inject --impl direct --shape $S --fault ld:single-bit:thread --margin 2% -q -o few.db | tail -n 1
try status few.db
try inject --impl direct --shape $S --fault ld:single-bit:thread:distinct -n 5000 -q -o few.db
try inject --impl direct --shape $S --margin 2% --cluster 4 -o other.db
try report few.db --map
ls
