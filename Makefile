# The commands people type; CMake does the work. BUILD=folder chooses another build folder.
BUILD ?= build
PREFIX ?= /usr/local
JOBS  ?= $(shell nproc)
CMAKE_FLAGS ?=

.PHONY: fuzz all install-deps configure build check check-all check-asan coverage bench lint format golden demo install deb clean
all: build

install-deps:
	@tools/install-deps.sh

configure: install-deps
	@cmake -S . -B $(BUILD) $(CMAKE_FLAGS) >$(BUILD).configure.log 2>&1 || { cat $(BUILD).configure.log; exit 1; }
	@mkdir -p $(BUILD) && mv $(BUILD).configure.log $(BUILD)/configure.log

build: configure
	@cmake --build $(BUILD) -j $(JOBS) --target sievert

check: configure
	@cmake --build $(BUILD) -j $(JOBS) --target sievert tests
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) -LE slow

check-all: configure
	@cmake --build $(BUILD) -j $(JOBS) --target sievert tests
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS)

check-asan:
	@$(MAKE) check BUILD=build-asan CMAKE_FLAGS=-DSIEVERT_SANITIZE=ON

coverage: BUILD := build-coverage
coverage: override CMAKE_FLAGS += -DSIEVERT_COVERAGE=ON -DSIEVERT_WERROR=OFF -DCMAKE_C_FLAGS_RELWITHDEBINFO='-O2 -g'
coverage: configure
	@tools/install-deps.sh --dev
	@cmake --build $(BUILD) -j $(JOBS) --target sievert libsievert tests
	@find $(BUILD) -name '*.gcda' -delete
	@ctest --test-dir $(BUILD) --output-on-failure -j $(JOBS) -LE slow
	@tools/coverage.sh $(BUILD)

# Ratios to peers measured in the same run; everything printed is added to BENCH_LOG. BENCHES: some of them.
BENCH_LOG ?= bench.log
BENCHES ?=
bench: configure
	@cmake --build $(BUILD) -j $(JOBS) --target sievert benches
	@tools/bench.sh $(BUILD)/bench $(BENCH_LOG) $(BENCHES)

# Search for inputs that break the readers of files or the interpreter: SECONDS_EACH, new ones join the corpora.
SECONDS_EACH ?= 60
FUZZERS = ptx programs npy model
fuzz: BUILD := build-fuzz
fuzz: override CMAKE_FLAGS += -DCMAKE_C_COMPILER=clang -DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS=-O1 -DSIEVERT_SANITIZE=ON -DSIEVERT_FUZZ=ON
fuzz: configure
	@tools/install-deps.sh --dev
	@cmake --build $(BUILD) -j $(JOBS) --target $(FUZZERS:%=fuzz_%_libfuzzer)
	@for f in $(FUZZERS); do $(BUILD)/tests/fuzz_$${f}_libfuzzer -max_total_time=$(SECONDS_EACH) -rss_limit_mb=3000 -timeout=20 tests/fuzz/$$f || exit 1; done

golden: build
	@tests/golden/run.sh $(BUILD)/sievert --write

# Static checks need the generated sources, so that clang-tidy sees what the compiler sees.
lint: build
	@tools/install-deps.sh --dev
	@tools/lint.sh $(BUILD)

format:
	@tools/install-deps.sh --dev
	@git ls-files '*.c' '*.h' | xargs clang-format -i

demo: build
	@$(BUILD)/sievert study examples/lenet5.yaml -o out

install: configure
	@cmake --build $(BUILD) -j $(JOBS) --target installables
	@DESTDIR=$(DESTDIR) cmake --install $(BUILD) --prefix $(PREFIX)

deb: configure
	@cmake --build $(BUILD) -j $(JOBS)
	@cd $(BUILD) && cpack -G DEB

clean:
	rm -rf build build-* out
