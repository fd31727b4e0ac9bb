# `make demo` and `make test` set everything up by themselves: they need Python >= 3.11, make and a package index.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLUGINS := $(wildcard plugins/advisor-*)
DEMO := demo
# Small networks gain more from a process per core than from threads.
WORKERS ?= 2

.PHONY: help setup demo docs test lint clean

help:
	@echo "make demo   set up, then advise, tune and predict on scikit-learn's digits (no network needed)"
	@echo "make docs   set up, then build the documentation into site/, strictly"
	@echo "make test   set up, then lint, type-check and run all tests"
	@echo "make lint   set up, then lint and type-check"
	@echo "make clean  remove what these made"

setup: $(STAMP)

$(STAMP): pyproject.toml constraints.txt $(PLUGINS:=/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; set PYTHON=/path/to/python3")'
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[test,docs]' $(PLUGINS:%=--editable %)
	@touch $@

demo: $(STAMP)
	@rm -rf $(DEMO) && mkdir -p $(DEMO)
	$(BIN)/advisor recommend digits: --budget 3m --output $(DEMO)/advisor.toml
	$(BIN)/advisor tune $(DEMO)/advisor.toml --runs $(DEMO)/runs
	$(BIN)/advisor predict $(DEMO)/runs/digits/best digits: --limit 1

docs: $(STAMP)
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict --quiet
	@echo "site/index.html"

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: lint
	HF_HUB_OFFLINE=1 OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

clean:
	rm -rf $(VENV) $(DEMO) build site .pytest_cache .mypy_cache .ruff_cache .import_linter_cache
