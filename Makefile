# The two commands: `make demo` and `make test`. Everything they need is made here, from package registries alone.
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PACK := target/release/jnumpy-pack
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
PLATFORM := manylinux2014_$(shell uname -m).manylinux_2_17_$(shell uname -m)
RUNTIME_WHEEL := dist/jnumpy_runtime-$(VERSION)-cp310-abi3-$(PLATFORM).whl
PACK_WHEEL := dist/jnumpy_pack-$(VERSION)-py3-none-$(PLATFORM).whl
RUNTIME_SOURCES := Makefile Cargo.toml Cargo.lock docs/errors.md $(shell find runtime -type f -not -path '*/__pycache__/*' -not -name '*.so')
PACK_SOURCES := Cargo.toml Cargo.lock docs/errors.md $(shell find packager manifests -type f)

TESTS := build/test-cache
TEST_PLACES := JNUMPY_HOME=$(CURDIR)/$(TESTS)/home JNUMPY_TEST_CACHE=$(CURDIR)/$(TESTS)
JULIA_1_6 := $(TESTS)/julia-1.6.7/bin/julia
# Most of what tests wait for runs on one core. The tests of a file share what they have packed. The files that take longest come
# first, in `machines` and `pack`: by default those with few tests would come last, when the other worker is done.
TWO_WORKERS := --numprocesses=2 --dist=loadfile --no-loadscope-reorder
INSTALL_RUNTIME = $(PYTHON) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(RUNTIME_WHEEL)

.PHONY: help demo test test-julia test-long stress bench lint aarch64 docs runtime pack dist venv clean

help:
	@echo "make demo        build the tools, pack fixtures/kmeans1d into dist/, install the wheel, run an example"
	@echo "make test        run the tests, on Julia 1.5.3, 1.6.7, and each Julia in JNUMPY_TEST_JULIAS"
	@echo "make test-long   run the tests that \`make test\` leaves out because they take long"
	@echo "make test-julia  run the tests that depend on Julia with one Julia: JULIA=PATH"
	@echo "make stress      run random calls, threads, collections, and exceptions for DURATION=150 seconds in each of four runs"
	@echo "make bench       measure calls (also with each Julia in JNUMPY_TEST_JULIAS), start-up, the examples, and packing"
	@echo "make dist        build the wheels of jnumpy-pack and jnumpy-runtime"
	@echo "make lint        check formatting and lints; warnings are errors"
	@echo "make aarch64     pack fixtures/kmeans1d for aarch64 Linux, and run it there under QEMU"
	@echo "make docs        build the documentation in build/docs; warnings are errors"
	@echo "make clean       remove build results; installed Julias and cached images stay in \$$JNUMPY_HOME"

# The main job, as a user would do it; the wheel goes into an environment that has seen none of the tools.
demo: pack
	$(PACK) --quiet julia find > /dev/null || $(PACK) julia install || $(PACK) julia install --from debian
	$(PACK) wheel fixtures/kmeans1d --out-dir dist --python $(PYTHON)
	rm -rf build/demo
	python3 -m venv build/demo
	build/demo/bin/pip install --quiet --disable-pip-version-check dist/jl_kmeans1d-*.whl kmeans1d
	@ls -l dist/jl_kmeans1d-*.whl | awk '{printf "\n%s: %.1f MiB\n", $$9, $$5 / 1048576}'
	@cd build/demo && bin/python ../../fixtures/kmeans1d/examples/galaxies.py

# Julias, images, and machines of the tests are in $(TESTS), apart from the user's own. A process has one Julia, so the tests
# marked `every_julia` run once for each Julia: 1.5.3, 1.6.7, and those in JNUMPY_TEST_JULIAS (paths with blanks between).
# These find on 1.6.7 what they find on 1.5.3, and start many processes, which takes long there. `make test-long` runs them.
NOT_TWICE := tests/pack/test_several_bundles.py \
    $(patsubst %,tests/runtime/test_%.py,descriptors ipython jnumpy_project jupyter limits memory other_libraries output processes reload stress)
test: pack venv $(JULIA_1_6)
	cargo test --quiet --locked --workspace
	$(INSTALL_RUNTIME)
	$(TEST_PLACES) $(PYTHON) -m pytest $(TWO_WORKERS) -m "not long" tests
	$(TEST_PLACES) JNUMPY_TEST_JULIA=$(CURDIR)/$(JULIA_1_6) $(PYTHON) -m pytest $(TWO_WORKERS) -m "every_julia and not long" \
	    $(NOT_TWICE:%=--ignore=%) tests
	for julia in $(JNUMPY_TEST_JULIAS); do $(MAKE) --no-print-directory test-julia JULIA=$$julia || exit 1; done

test-julia: pack venv
	@test -x "$(JULIA)" || { echo "make test-julia JULIA=PATH: PATH must be an executable \`julia\`, got '$(JULIA)'" >&2; exit 2; }
	@"$(JULIA)" --startup-file=no -e 'println("Testing with Julia ", VERSION)'
	$(INSTALL_RUNTIME)
	$(TEST_PLACES) JNUMPY_TEST_JULIA=$(JULIA) $(PYTHON) -m pytest $(TWO_WORKERS) -m every_julia tests

test-long: pack venv $(JULIA_1_6)
	$(INSTALL_RUNTIME)
	$(TEST_PLACES) $(PYTHON) -m pytest $(TWO_WORKERS) -m long tests
	$(TEST_PLACES) JNUMPY_TEST_JULIA=$(CURDIR)/$(JULIA_1_6) $(PYTHON) -m pytest $(TWO_WORKERS) -m every_julia $(NOT_TWICE)

DURATION := 150
stress: pack venv $(JULIA_1_6)
	$(INSTALL_RUNTIME)
	$(TEST_PLACES) $(PACK) --quiet julia install --from debian
	for julia in "$$($(TEST_PLACES) $(PACK) julia find)" $(CURDIR)/$(JULIA_1_6); do for threads in 1 2; do \
	    TYPY_JL_EXE=$$julia JULIA_NUM_THREADS=$$threads PYTHONPATH=tests/projects $(PYTHON) -X faulthandler tests/runtime/stress.py $(DURATION) \
	        || exit 1; done; \
	    $(TEST_PLACES) JNUMPY_TEST_JULIA=$$julia JNUMPY_STRESS_SECONDS=$$(($(DURATION) / 10)) \
	        $(PYTHON) -m pytest tests/runtime/test_fuzz.py || exit 1; done

$(JULIA_1_6): | venv
	$(PYTHON) fixtures/julia_1_6_7/install.py $(TESTS)/julia-1.6.7 --downloads $(TESTS)/wheels

# A process has one Julia. Figures and picture go into benches/results.
bench: pack venv $(JULIA_1_6)
	$(INSTALL_RUNTIME)
	$(TEST_PLACES) $(PACK) --quiet julia install --from debian
	for julia in "$$($(TEST_PLACES) $(PACK) julia find)" $(CURDIR)/$(JULIA_1_6) $(JNUMPY_TEST_JULIAS); do \
	    TYPY_JL_EXE=$$julia $(PYTHON) benches/calls.py || exit 1; done
	$(PYTHON) benches/draw.py
	$(PYTHON) fixtures/fftw/artifact.py $(TESTS)/depot
	JULIA_DEPOT_PATH=$(CURDIR)/$(TESTS)/depot: TYPY_JL_EXE=$$($(TEST_PLACES) $(PACK) julia find) $(PYTHON) benches/examples.py
	JULIA=$$($(TEST_PLACES) $(PACK) julia find) && \
	    WHEEL=$$($(TEST_PLACES) $(PACK) --quiet wheel fixtures/kmeans1d --out-dir build/bench --julia $$JULIA \
	        --cpu-target generic --python $(PYTHON)) && \
	    $(PYTHON) benches/startup.py $$WHEEL --julia $$JULIA && $(PYTHON) benches/workers.py $$WHEEL
	cargo build --quiet --release --locked --package jnumpy-elf --package jnumpy-wheel --examples
	$(TEST_PLACES) $(PYTHON) benches/packing.py --json benches/results/packing.json

lint: venv
	cargo fmt --check
	cargo clippy --locked --workspace --all-targets -- -D warnings
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check
	$(VENV)/bin/mypy --config-file runtime/pyproject.toml runtime/python/jnumpy

# Needs the Rust target (`rustup target add aarch64-unknown-linux-gnu`), QEMU (`apt-get install qemu-user-static`), and Linux 6.7.
# Everything takes ten times as long there. `IMAGE=full` makes a system image, too; that was not tried.
IMAGE := none
ARM := build/aarch64
aarch64: pack venv
	rm -rf build/pack-data $(ARM)
	mkdir -p build/pack-data/data/share/jnumpy
	$(MATURIN) --target aarch64-unknown-linux-gnu --out $(ARM) --manifest-path runtime/Cargo.toml
	cp $(ARM)/jnumpy_runtime-*.whl build/pack-data/data/share/jnumpy
	$(MATURIN) --target aarch64-unknown-linux-gnu --out $(ARM) --manifest-path packager/Cargo.toml
	$(PYTHON) tests/machines/aarch64.py $(ARM) --cache $(TESTS) --image $(IMAGE)

# The reference is what both languages say of themselves, so the runtime and a Julia are needed.
docs: pack venv
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --force-reinstall --no-deps $(RUNTIME_WHEEL) $(PACK_WHEEL)
	$(TEST_PLACES) $(PACK) --quiet julia install --from debian
	TYPY_JL_EXE=$$($(TEST_PLACES) $(PACK) --quiet julia find) \
	    $(VENV)/bin/sphinx-build --quiet --fail-on-warning --keep-going --nitpicky docs build/docs

venv: $(VENV)/.done
$(VENV)/.done: requirements-dev.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# Both are built for glibc 2.17, so that the extension never sets a wheel's floor, and name no path of this machine.
CARGO_HOME ?= $(HOME)/.cargo
MATURIN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH" \
    RUSTFLAGS="--remap-path-prefix=$(CARGO_HOME)=/cargo --remap-path-prefix=$(CURDIR)=/jnumpy" \
    maturin build --quiet --release --locked --zig --compatibility manylinux2014
runtime: $(RUNTIME_WHEEL)
$(RUNTIME_WHEEL): $(RUNTIME_SOURCES) | venv
	$(MATURIN) --out dist --manifest-path runtime/Cargo.toml

# The command brings the runtime that it puts into wheels.
dist: $(PACK_WHEEL)
$(PACK_WHEEL): $(PACK_SOURCES) $(RUNTIME_WHEEL) | venv
	rm -rf build/pack-data
	mkdir -p build/pack-data/data/share/jnumpy
	cp $(RUNTIME_WHEEL) build/pack-data/data/share/jnumpy
	$(MATURIN) --out dist --manifest-path packager/Cargo.toml

# The command as it lies in its wheel; it looks for the runtime beside itself, too.
pack: $(PACK)
$(PACK): $(PACK_WHEEL)
	mkdir -p $(@D)
	cp $(RUNTIME_WHEEL) $(@D)
	cp --remove-destination target/$(shell uname -m)-unknown-linux-gnu/release/jnumpy-pack $@

clean:
	rm -rf target dist build $(VENV)
