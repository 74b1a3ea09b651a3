# `make demo` and `make test` need Python 3.11 or newer, make and git; they set up all the rest.

PYTHON ?= python3
# Installed first, so that the resolver keeps it. Any torch that pyproject.toml allows will do.
TORCH ?= torch==2.13.0
# Test processes; each of them uses one thread.
JOBS ?= 2
DEMO ?= demo_output

BIN := .venv/bin
STAMP := .venv/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test lint format notebooks bench clean

help:
	@echo "make demo       impute the NHANES extract: 20 tables, a summary and pictures in $(DEMO)/"
	@echo "make test       lint, types, tests, doctests and notebooks"
	@echo "make lint       ruff and mypy only"
	@echo "make format     let ruff rewrite the code"
	@echo "make notebooks  execute the notebooks"
	@echo "make bench      run the benchmarks (long)"
	@echo "make clean      remove what these commands made, .venv included"

install: $(STAMP)

$(STAMP): pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "pyro_gnr needs Python 3.11 or newer; '$(PYTHON)' is not." \
	    "Name another: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet "$(TORCH)"
	$(BIN)/python -m pip install --quiet --editable ".[test,dev]"
	@touch $@

demo: $(STAMP)
	$(BIN)/pyro-gnr demo --output $(DEMO) --force

test: lint
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal

lint: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(STAMP)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

notebooks: $(STAMP)
	$(BIN)/python -m pytest tests/test_notebooks.py

bench: $(STAMP)
	@for script in benchmarks/bench_*.py; do \
	  echo "$$script"; $(BIN)/python "$$script" || exit 1; done

clean:
	rm -rf .venv $(DEMO) build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
