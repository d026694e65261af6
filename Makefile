# SegToolkit: the commands of everyday work. Each makes .venv and installs what it needs.
PYTHON ?= python3
VENV := .venv
ifeq ($(OS),Windows_NT)
BIN := $(VENV)/Scripts
else
BIN := $(VENV)/bin
endif
PIP := $(BIN)/python -m pip --disable-pip-version-check
# What the program needs, and what tests, lint and docs need besides.
CORE := $(VENV)/.core
READY := $(VENV)/.ready

.PHONY: demo test test-fast test-lib test-host lint format bench screenshots docs clean help

help: ## list the commands
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# nnU-Net asks for timm, timm for torchvision, and its public package is built for GPUs: beside a CPU build of
# torch it cannot be imported. So what nnU-Net imports is named here, and installed without what it asks for.
NNUNET := nnunetv2 dynamic-network-architectures batchgenerators batchgeneratorsv2 acvl-utils blosc2 \
  certifi charset-normalizer connected-components-3d einops future idna imagecodecs importlib-resources joblib \
  msgpack narwhals ndindex nibabel numexpr pandas py-cpuinfo requests scikit-learn seaborn six threadpoolctl urllib3
TORCH_VERSION := $(BIN)/python -c "from importlib.metadata import version; print(version('torch'))"

# torch comes first: with it in place, nothing that follows can bring another build along.
$(CORE): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10) and "SegToolkit needs Python 3.10 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --quiet -c constraints.txt $(TORCH_INDEX) torch
	$(PIP) install --quiet -c constraints.txt -e .
	touch $@

$(READY): $(CORE)
	$(PIP) install --quiet -c constraints.txt -e '.[test,lint,docs]'
	$(TORCH_VERSION) > $(VENV)/torch-version
	$(PIP) install --quiet -c constraints.txt --no-deps $(NNUNET)
	test "$$($(TORCH_VERSION))" = "$$(cat $(VENV)/torch-version)" || { echo 'Another torch was installed with nnU-Net.'; exit 1; }
	touch $@

DEMO_ARGUMENTS = $(if $(IMAGE),--image '$(IMAGE)') $(if $(LABEL),--label '$(LABEL)') $(if $(SLICE),--slice $(SLICE)) $(if $(MODEL),--model '$(MODEL)')

demo: $(CORE) ## outline one slice, get the volume: on a synthetic abdomen, or IMAGE=... LABEL=... [SLICE=...]
	$(BIN)/segtoolkit demo --out demo --accept-licence $(DEMO_ARGUMENTS)

# Library and application apart: Qt and the scene live in the second process only. Both at once, one thread each.
test: $(READY) ## every test
	OMP_NUM_THREADS=1 $(MAKE) --jobs=2 --keep-going $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) test-lib test-host

test-lib: $(READY) ## the library, the commands, the extension's build
	$(BIN)/python -m pytest --durations=15 Testing/Lib Testing/CMake

test-host: $(READY) ## the Slicer modules in the stand-in application
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest --durations=15 Testing/Host

test-fast: $(READY) ## the tests that take under a minute
	$(BIN)/python -m pytest Testing/Lib Testing/CMake -m 'not slow'
	QT_QPA_PLATFORM=offscreen $(BIN)/python -m pytest Testing/Host -m 'not slow'

lint: $(READY) ## format check, lint, types
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(READY) ## format and mend what ruff can mend
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(READY) ## our inference against the authors' procedure, and how long the window stands still; keeps bench/*.json
	$(BIN)/python Testing/bench.py --out bench $(BENCH_ARGUMENTS)
	$(BIN)/python Testing/bench_panel.py --out bench
	$(BIN)/python Testing/bench_training.py --out bench
	$(BIN)/python Testing/bench_cssn.py --out bench
	$(BIN)/python Testing/bench_cooperative.py --out bench
	$(BIN)/python Testing/bench_contrastive.py --out bench
	$(BIN)/python Testing/bench_jobs.py
	$(BIN)/python Testing/Host/bench_training_panel.py
	$(BIN)/python Testing/Host/bench_weak_preview.py --out bench

screenshots: $(READY) ## pictures of the panels, into docs/pictures
	$(BIN)/python Testing/Host/screenshots.py
	$(BIN)/python Testing/Host/screenshots_training.py
	$(BIN)/python Testing/Host/screenshots_auto_segment.py
	$(BIN)/python Testing/Host/screenshots_weak_supervision.py

docs: $(READY) ## build the pages of docs/ into build/site
	$(BIN)/mkdocs build --strict --quiet --site-dir build/site

clean: ## remove what was made
	rm -rf $(VENV) demo bench build dist *.egg-info .mypy_cache .ruff_cache
