# The two commands: `make demo` and `make test`. Everything they need is made here, from package registries alone.
SHELL := /bin/bash
VENV := .venv
PYTHON := $(VENV)/bin/python
PACK := target/release/jnumpy-pack
VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -1)
RUNTIME_WHEEL := dist/jnumpy_runtime-$(VERSION)-cp310-abi3-manylinux2014_$(shell uname -m).manylinux_2_17_$(shell uname -m).whl
RUNTIME_SOURCES := Cargo.toml Cargo.lock $(shell find runtime -type f -not -path '*/__pycache__/*' -not -name '*.so')
PACK_SOURCES := Cargo.toml Cargo.lock $(shell find packager manifests -type f)

.PHONY: help venv runtime pack clean

help:
	@echo "make demo    build the tools, pack fixtures/kmeans1d, install the wheel, cluster"
	@echo "make test    lint nothing, test everything"
	@echo "make lint    formatting and lints, warnings are errors"
	@echo "make bench   the call table, beside an empty C extension"

venv: $(VENV)/.done
$(VENV)/.done: requirements-dev.txt
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check --upgrade pip
	$(PYTHON) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	touch $@

# The extension is built for glibc 2.17, so that it never sets a wheel's floor.
runtime: $(RUNTIME_WHEEL)
$(RUNTIME_WHEEL): $(RUNTIME_SOURCES) | venv
	PATH="$(CURDIR)/$(VENV)/bin:$$PATH" maturin build --quiet --release --locked --zig \
	    --compatibility manylinux2014 --manifest-path runtime/Cargo.toml --out dist

# The command looks for the runtime beside itself.
pack: $(PACK) runtime
	@cp --update $(RUNTIME_WHEEL) target/release/
$(PACK): $(PACK_SOURCES)
	cargo build --quiet --release --locked --package jnumpy-pack

clean:
	rm -rf target dist build $(VENV)
