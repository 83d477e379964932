# Everything is done in .venv, which make builds by itself from the hash-pinned requirements/dev.txt.
.POSIX:
.SUFFIXES:

PYTHON ?= python3
VENV = .venv
BIN = $(VENV)/bin
ARGS =
OUT = build/model

PIP = $(BIN)/python -m pip --quiet --quiet --disable-pip-version-check
TRAIN_PIP = .venv-train/bin/python -m pip --quiet --quiet --disable-pip-version-check
CHECK_PYTHON = $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	echo 'This project needs Python 3.11 or newer: say make PYTHON=/path/to/python3.11.' >&2; exit 1; }
UV_VERSION = 0.13.9
LOCK = .venv-lock/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --constraints requirements/constraints.in
# Of [project.optional-dependencies], what `make extras` installs.
EXTRAS = --extra basler --extra codes --extra genicam --extra openvino --extra openvino-provider

help:
	@echo 'make demo     run the simulated inspection line       (ARGS="--plain --seconds 8")'
	@echo 'make test     run the tests                           (ARGS="-k handshake -m '\''not slow'\''")'
	@echo 'make soak     the tests that take minutes: a minute of broken streams, ten thousand reconnects'
	@echo 'make lint     ruff, formatting, mypy --strict, import contracts'
	@echo 'make types    mypy --strict alone'
	@echo 'make format   let ruff rewrite the sources'
	@echo 'make bench    run the benchmarks                      (ARGS="--help")'
	@echo 'make train    train the demo model, in .venv-train    (OUT=build/model ARGS="--help")'
	@echo 'make train-pitting|train-anomaly    train the other recipes (OUT=build/model PICTURES=folder, for pitting)'
	@echo 'make lock     resolve requirements/*.txt anew, with hashes'
	@echo 'make extras   install the optional packages too: OpenVINO, genicam, pypylon, ZXing'
	@echo 'make venv     build .venv; the others do it when it is needed'
	@echo 'make clean    remove the environments, caches and build output'
	@echo
	@echo 'PYTHON=python3.12 picks another interpreter (3.11 or newer).'

venv: $(VENV)/.installed
	@:

# Each stamp is written last: an interrupted installation is taken up again.
$(VENV)/.locked: requirements/dev.txt
	@$(CHECK_PYTHON)
	@echo "building $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes --requirement requirements/dev.txt
	@touch $@

$(VENV)/.installed: $(VENV)/.locked pyproject.toml
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# The packages that only some stations need, in addition; the tests of what uses them run then.
extras: $(VENV)/.extras
	@:

$(VENV)/.extras: requirements/extras.txt $(VENV)/.installed
	@$(PIP) install --require-hashes --requirement requirements/extras.txt
	@touch $@

demo: $(VENV)/.installed
	@$(BIN)/gateway demo $(ARGS)

# Two at a time: most tests wait for a process or a wire. More would make the timing of the scenarios untrue.
test: $(VENV)/.installed
	@$(BIN)/python -m pytest --numprocesses 2 --dist worksteal $(ARGS)

soak: $(VENV)/.installed
	@$(BIN)/python -m pytest -m soak tests/soak $(ARGS)

lint: $(VENV)/.installed
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check
	@$(BIN)/mypy
	@$(BIN)/lint-imports

types: $(VENV)/.installed
	@$(BIN)/mypy

format: $(VENV)/.installed
	@$(BIN)/ruff check --fix
	@$(BIN)/ruff format

bench: $(VENV)/.installed
	@$(BIN)/python -m benchmarks $(ARGS)

train: .venv-train/.installed
	@.venv-train/bin/python -m simulators.training --out $(OUT) $(ARGS)

# PICTURES: a folder of BSData with its manifest.json.
train-pitting: .venv-train/.installed
	@.venv-train/bin/python -m simulators.training.pitting $(PICTURES) --out $(OUT) $(ARGS)

train-anomaly: .venv-train/.installed
	@.venv-train/bin/python -m simulators.training.anomaly configs/recipes/bracket/model.onnx --out $(OUT) $(ARGS)

# A venv of its own: torch is larger than all the rest together. requirements/train.in says why it has no hash.
.venv-train/.installed: requirements/train.txt requirements/torch.txt pyproject.toml
	@$(CHECK_PYTHON)
	@echo "building .venv-train with $$($(PYTHON) --version)"
	@$(PYTHON) -m venv .venv-train
	@$(TRAIN_PIP) install --require-hashes --requirement requirements/train.txt
	@$(TRAIN_PIP) install --requirement requirements/torch.txt
	@$(TRAIN_PIP) install --no-deps --no-build-isolation --editable .
	@touch $@

# What is pinned already stays: `make lock ARGS=--upgrade` moves everything, ARGS="--upgrade-package NAME" one.
lock: .venv-lock/.installed
	@$(LOCK) $(ARGS) pyproject.toml --output-file requirements/runtime.txt
	@$(LOCK) $(ARGS) pyproject.toml --group dev --output-file requirements/dev.txt
	@$(LOCK) $(ARGS) pyproject.toml --group dev $(EXTRAS) --constraints requirements/dev.txt \
		--output-file requirements/extras.txt
	@$(LOCK) $(ARGS) pyproject.toml requirements/train.in --output-file requirements/train.txt

.venv-lock/.installed: Makefile
	@$(CHECK_PYTHON)
	@$(PYTHON) -m venv .venv-lock
	@.venv-lock/bin/python -m pip --quiet --quiet install uv==$(UV_VERSION)
	@touch $@

clean:
	rm -rf .venv .venv-train .venv-lock build dist .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help venv extras demo test soak lint types format bench train train-pitting train-anomaly lock clean
