# SegToolkit: the commands of everyday work. Each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check
READY := $(VENV)/.ready

.PHONY: demo test test-fast lint format bench docs clean help

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# torch comes first: with it in place, nothing that follows can bring another build along.
$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "SegToolkit needs Python 3.10 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt $(TORCH_INDEX) torch
	$(PIP) install --quiet -c constraints.txt -e '.[test,lint,docs]'
	touch $@

DEMO_ARGUMENTS = $(if $(IMAGE),--image '$(IMAGE)') $(if $(LABEL),--label '$(LABEL)') $(if $(SLICE),--slice $(SLICE)) $(if $(MODEL),--model '$(MODEL)')

demo: $(READY) ## outline one slice, get the volume: on a synthetic abdomen, or IMAGE=... LABEL=... [SLICE=...]
	$(BIN)/segtoolkit demo --out demo --accept-licence $(DEMO_ARGUMENTS)

test: $(READY) ## every test
	$(BIN)/python -m pytest Testing/Lib

test-fast: $(READY) ## the tests that take under a minute
	$(BIN)/python -m pytest Testing/Lib -m 'not slow'

lint: $(READY) ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## time our inference against the authors' procedure; prints a table, keeps bench/*.json
	$(BIN)/python Testing/bench.py --out bench $(BENCH_ARGUMENTS)

docs: $(READY) ## build the pages of docs/ into build/site
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

clean: ## remove what was made
	rm -rf $(VENV) demo bench build dist *.egg-info .mypy_cache .ruff_cache
