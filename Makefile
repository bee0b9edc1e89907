# A thin front for CMake: `make demo` and `make test` are all a fresh Debian/Ubuntu machine needs.

DIPTYCH := build/release/bin/diptych
PROMPT ?= Once upon a time
JOBS ?= $(shell nproc)

# Where stock ExecuTorch is: a virtual environment or a directory of packages. Empty: $VIRTUAL_ENV,
# then the running Python.
DIPTYCH_EXECUTORCH ?=
# The virtual environment of the reference: stock ExecuTorch and coremltools.
REFERENCE ?= build/reference
# Inputs of the fuzzer of commands, and the seed that they follow from.
COUNT ?= 20000
SEED ?= 1
# Inputs that diptych was once found wrong on; each a folder with a command.
FAULTS ?= ../shared/data/faults
# Arguments of scripts/bench_peers.py.
PEERS ?=
# Arguments of scripts/quality.py.
QUALITY ?=

.PHONY: help packages configure build demo test test-asan test-kills test-tsan plugin conformance \
        conformance-smoke conformance-setup cross-aarch64 fuzz fuzz-commands faults bench \
        bench-peers quality load deb dist wheel wheel-arm64 site lint format clean

help:
	@echo "make demo       install packages, build, export the bundled model, run it"
	@echo "make test       install packages, build, run all tests"
	@echo "make build      $(DIPTYCH)"
	@echo "make test-asan  the tests under AddressSanitizer and UndefinedBehaviorSanitizer"
	@echo "make test-kills what is left of commands that are killed, cut short or without memory (minutes)"
	@echo "make plugin     the backend for stock ExecuTorch; DIPTYCH_EXECUTORCH=<venv or packages>"
	@echo "make conformance  everything against stock ExecuTorch and coremltools (sets up a venv)"
	@echo "make test-tsan  server, engine and plug-in in several threads under ThreadSanitizer"
	@echo "make cross-aarch64  kernels, engine and what is below for arm64, tested under qemu-user (Debian)"
	@echo "make fuzz       libFuzzer executables in build/fuzz (needs clang)"
	@echo "make fuzz-commands  the commands on damaged files; COUNT=20000 SEED=1"
	@echo "make faults     the commands on files that they once failed on; FAULTS=<folder>"
	@echo "make bench      micro-benchmarks"
	@echo "make bench-peers  beside llama.cpp and ONNX Runtime, in turns (hours); PEERS='--shapes 110m --rounds 5 …'"
	@echo "make quality    perplexity and speed of each format on a real model (downloads 93 MB); QUALITY='--only none'"
	@echo "make load       load on a server that runs; LOAD='http://127.0.0.1:8080 --requests 1000'"
	@echo "make deb        a Debian package in build/packages; make dist: the sources, byte for byte the same each time"
	@echo "make wheel      a wheel in build/packages; DIPTYCH_EXECUTORCH=<venv> puts the plug-in into it"
	@echo "make wheel-arm64  the same for arm64, by Debian's cross compiler; DIPTYCH_EXECUTORCH=<its arm64 wheel, unpacked>"
	@echo "make site       the documentation as a site in build/site, its links checked"
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
	$(DIPTYCH) run build/demo/demo.pte -p "$(PROMPT)" -n 300

test: configure
	@cmake --build --preset release -j $(JOBS)
	@ctest --preset release -j $(JOBS)

test-asan: packages
	@cmake --preset asan && cmake --build --preset asan -j $(JOBS)
	@ctest --preset asan -j $(JOBS)

test-kills: build
	@test/cli/kills.sh $(abspath $(DIPTYCH)) 40
	@test/cli/memory.sh $(abspath $(DIPTYCH)) 10

plugin: packages
	@mkdir -p build
	@cmake --preset release -DDIPTYCH_PLUGIN=ON \
	  -DDIPTYCH_EXECUTORCH=$(abspath $(DIPTYCH_EXECUTORCH)) >build/configure.log 2>&1 || \
	  { cat build/configure.log; exit 1; }
	@cmake --build --preset release -j $(JOBS) --target executorch_backend_coreml

conformance-setup: packages
	@scripts/setup-reference.sh $(REFERENCE)
	@$(MAKE) --no-print-directory plugin DIPTYCH_EXECUTORCH=$(REFERENCE)
	@cmake --build --preset release -j $(JOBS) --target diptych libdiptych test_executorch \
	  conformance_tokenizers conformance_templates
	@ctest --preset release -R '^executorch\.'

conformance: conformance-setup
	@$(REFERENCE)/bin/python test/conformance/run.py

conformance-smoke: conformance-setup
	@$(REFERENCE)/bin/python test/conformance/run.py --smoke

test-tsan: packages
	@cmake --preset tsan -DDIPTYCH_EXECUTORCH=$(abspath $(DIPTYCH_EXECUTORCH))
	@cmake --build --preset tsan -j $(JOBS)
	@ctest --preset tsan -j $(JOBS)

cross-aarch64: packages
	@scripts/setup-aarch64.sh build/aarch64-libraries
	@cmake --preset aarch64 && cmake --build --preset aarch64 -j $(JOBS)
	@ctest --preset aarch64 -j $(JOBS)

fuzz:
	@scripts/install-packages.sh --dev
	@cmake --preset fuzz && cmake --build --preset fuzz -j $(JOBS)

fuzz-commands: configure
	@cmake --build --preset release -j $(JOBS) --target diptych fuzz_commands
	@build/release/bin/fuzz_commands $(DIPTYCH) --count $(COUNT) --seed $(SEED) --keep build/fuzz-commands

faults: build
	@python3 test/faults/run.py $(FAULTS) $(DIPTYCH)

bench: packages
	@cmake --preset release -DDIPTYCH_BENCH=ON && cmake --build --preset release -j $(JOBS)
	@for b in build/release/bin/bench_*; do $$b || exit 1; done

bench-peers: build
	@python3 scripts/bench_peers.py $(PEERS)

quality: build
	@python3 scripts/quality.py $(QUALITY)

load:
	@python3 scripts/load.py $(LOAD)

lint:
	@scripts/install-packages.sh --dev
	@scripts/lint.sh

format:
	@git ls-files '*.h' '*.cc' | xargs clang-format -i

clean:
	@rm -rf build

# What the linker and the archiver write must not depend on when and where.
deb: build
	@scripts/install-packages.sh --deb
	@cmake --build --preset release -j $(JOBS) --target libdiptych documentation
	@cd build/release && SOURCE_DATE_EPOCH=$$(git -C $(CURDIR) log -1 --format=%ct) \
	  cpack -B $(CURDIR)/build/packages >cpack.log 2>&1 || { cat cpack.log; exit 1; }
	@ls build/packages/*.deb

# Of what is committed.
dist:
	@mkdir -p build/packages
	@version=$$(sed -n 's/^project(diptych VERSION \([0-9.]*\).*/\1/p' CMakeLists.txt) && \
	  git archive --format=tar --prefix=diptych-$$version/ HEAD | gzip -n9 >build/packages/diptych-$$version.tar.gz && \
	  sha256sum build/packages/diptych-$$version.tar.gz

wheel: packages
	@DIPTYCH_EXECUTORCH=$(if $(DIPTYCH_EXECUTORCH),$(abspath $(DIPTYCH_EXECUTORCH))) scripts/wheel.sh build/packages

wheel-arm64: packages
	@DIPTYCH_EXECUTORCH=$(if $(DIPTYCH_EXECUTORCH),$(abspath $(DIPTYCH_EXECUTORCH))) scripts/wheel.sh build/packages arm64

site: build
	@test -x build/site-tools/bin/mkdocs || { python3 -m venv build/site-tools && \
	  build/site-tools/bin/pip --disable-pip-version-check install --quiet -r site/requirements.txt; }
	@DIPTYCH=$(abspath $(DIPTYCH)) NO_MKDOCS_2_WARNING=1 build/site-tools/bin/mkdocs build --quiet --config-file site/mkdocs.yml
	@build/site-tools/bin/python site/check.py build/site
	@echo build/site/index.html
