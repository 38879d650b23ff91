# Everything a fresh machine needs: `make run` (the main job) and `make test` (the tests).
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEVICE ?= cpu

.PHONY: setup run test test-slow lint results bench clean

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

run: setup
	$(BIN)/inducer-bench preset=mini task=sst2 method=inducer

test: setup
	$(BIN)/python -m pytest -m "not slow" -n auto

test-slow: setup
	$(BIN)/python -m pytest -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The tables under results/, from the records and benchmark results that are committed there.
results: setup
	$(BIN)/python -m scripts.evidence.mini_tables
	$(BIN)/python -m scripts.evidence.pages

# All benchmarks on one device: hours.
bench: setup
	PYTHON=$(BIN)/python sh scripts/bench/all.sh $(DEVICE)

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache
