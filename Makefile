# A thin front for CMake: `make demo` and `make test` are all a fresh Debian/Ubuntu machine needs.

DIPTYCH := build/release/bin/diptych
PROMPT ?= Once upon a time
JOBS ?= $(shell nproc)

.PHONY: help packages configure build demo test test-asan fuzz bench lint format clean

help:
	@echo "make demo       install packages, build, export the bundled model, run it"
	@echo "make test       install packages, build, run all tests"
	@echo "make build      $(DIPTYCH)"
	@echo "make test-asan  the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make fuzz       libFuzzer executables in build/fuzz (needs clang)"
	@echo "make bench      micro-benchmarks"
	@echo "make lint       clang-tidy; make format: clang-format"

packages:
	@scripts/install-packages.sh

configure: packages
	@mkdir -p build
	@cmake --preset release >build/configure.log 2>&1 || { cat build/configure.log; exit 1; }

build: configure
	@cmake --build --preset release -j $(JOBS) --target diptych

demo: build
	@mkdir -p build/demo
	$(DIPTYCH) export -c demo/model.pth -p demo/params.json -o build/demo/demo.pte \
	  --max_context_len 512 --input_len 32 -E 8,0 --linear_quantize c4w --multifunction
	$(DIPTYCH) run build/demo/demo.pte -t demo/tokenizer.model -p "$(PROMPT)" -n 300

test: configure
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

test-asan: packages
	@cmake --preset asan && cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

fuzz:
	@scripts/install-packages.sh --dev
	@cmake --preset fuzz && cmake --build --preset fuzz -j $(JOBS)

bench: packages
	@cmake --preset release -DDIPTYCH_BENCH=ON && cmake --build --preset release -j $(JOBS)
	@for b in build/release/bin/bench_*; do $$b || exit 1; done

lint:
	@scripts/install-packages.sh --dev
	@scripts/lint.sh

format:
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

clean:
	@rm -rf build
