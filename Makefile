# Two commands from a fresh clone: `make demo` and `make test`. `make help` lists the rest.
# Everything is installed into .venv, from requirements.lock only.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The first of these that is new enough and can make virtual environments; or name your own: make PYTHON=/path/to/python test
PYTHON ?= $(shell for p in python3.11 python3.12 python3.13 python3; do \
	"$$p" -c 'import sys, ensurepip, venv; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null && { echo "$$p"; break; }; done)

# A Python 3.13, and a 3.12, that run, from PATH or from pyenv.
pythons = $(shell for p in python3.$(1) "$${PYENV_ROOT:-$$HOME/.pyenv}"/versions/3.$(1)*/bin/python; do \
	"$$p" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info[:2] != (3, $(1)))' 2>/dev/null && { echo "$$p"; break; }; done)
PYTHON_313 ?= $(call pythons,13)
PYTHON_312 ?= $(call pythons,12)

# Tests start hundreds of programs, and pytest rewrites the tests for each worker: what is compiled once stays compiled.
export PYTHONDONTWRITEBYTECODE :=

BIN := .venv/bin
READY := .venv/.stamp
READY_313 := .venv-313/.stamp
READY_DATASETS := .venv-datasets-4/.datasets
READY_TORCH := .venv-torch/.torch
READY_PEERS := .venv-peers/.peers
READY_PLAIN := .venv-plain/.plain
READY_DATAREFINERY := .venv-datarefinery/.datarefinery
READY_BROWSER := .venv-browser/.browser
WORKERS ?= 2
PYTEST := $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal

.PHONY: demo test engines test-engines test-stores test-faults test-slow test-hostile test-lowest test-datasets test-torch test-browser test-313 python-313 lint-stages lint format docs-errors docs-splits docs-page bench-all bench-scale bench-storage bench-read bench-shuffle bench-facts lock clean help

demo: $(READY)  ## draw a small image set, prepare it, and say what to try next
	@PATH="$(CURDIR)/$(BIN):$$PATH" examples/demo.sh

test: $(READY)  ## all tests but the slow ones (some three minutes on two cores)
	$(PYTEST) -m "not slow and not engines and not stores and not torch and not browser"

test-slow: $(READY)  ## the slow tests
	$(PYTEST) -m "slow and not engines and not stores and not torch and not browser"

engines: $(READY)  ## build what the tests of the engines need, outside the checkout (Java 17, Maven, Go)
	PYTHON="$(CURDIR)/$(BIN)/python" launchers/engines.sh

test-engines: engines  ## one digest on Prism, Flink and Spark; prints a table
	$(BIN)/python -m pytest tests/engines -m engines

test-stores: $(READY)  ## cache roots on real store servers (S3: moto; GCS: fake-gcs-server, needs Go once), and Dataflow on one
	PYTHON="$(CURDIR)/$(BIN)/python" launchers/engines.sh gcs prism
	$(PYTEST) tests/stores tests/dataflow -m stores

test-faults: $(READY)  ## the table of faults, whole (hours); SECONDS_OF_FAULTS=300 is a sample
	PYTHON="$(CURDIR)/$(BIN)/python" launchers/engines.sh gcs || true
	$(BIN)/python tests/faults/table.py $(if $(SECONDS_OF_FAULTS),--seconds $(SECONDS_OF_FAULTS))

test-lowest:  ## the tests with the oldest dependencies that pyproject.toml allows
	$(PYTHON) -m venv --clear .venv-lowest
	.venv-lowest/bin/python -m pip install --quiet "$$(grep '^uv==' requirements.lock)"
	.venv-lowest/bin/uv pip install --quiet --python .venv-lowest/bin/python --resolution lowest-direct --editable '.[dev]'
	.venv-lowest/bin/python -m pytest -n $(WORKERS) -m "not slow and not engines and not stores and not torch and not browser"

test-datasets: $(READY_DATASETS)  ## instances in the last 4.x of Hugging Face datasets; `make test-slow` has the locked release
	.venv-datasets-4/bin/python -m pytest -n $(WORKERS) tests/reading/test_datasets.py

test-torch: $(READY_TORCH)  ## datasets and loaders in PyTorch, and the training loops of the pages
	.venv-torch/bin/python -m pytest tests/pytorch tests/docs -m torch

test-browser: $(READY_BROWSER)  ## report.html in Chromium, which CHROMIUM=/path/to/it names: screens, accessibility, what its script does
	.venv-browser/bin/python -m pytest tests/browser -m browser

test-313: $(READY_313)  ## the tests on Python 3.13, with what requirements.lock names
	.venv-313/bin/python -m pytest -n $(WORKERS) --dist worksteal -m "not slow and not engines and not stores and not torch and not browser"

python-313:
	@test -n "$(PYTHON_313)" && echo "$(PYTHON_313)"

test-hostile: $(READY)  ## every pipeline of the tests under a hostile engine; HOSTILE_SEED=N is another hostility
	HOSTILE_SEED=$(or $(HOSTILE_SEED),1) $(PYTEST) -m "not slow and not engines and not torch and not browser" tests/launch tests/plugin_kit tests/reading tests/hostile
	$(PYTEST) tests/compat

lint-stages: $(READY)  ## how large the elements are that cross stages, as a histogram for every crossing
	STAGES=1 $(BIN)/python -m pytest -q -m "not slow and not engines and not torch and not browser" tests/launch/test_everything.py tests/hostile/test_recipes.py

lint: $(READY)  ## ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(READY)  ## let ruff mend what it can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

docs-errors: $(READY)  ## write docs/errors.md from the catalogue in refinery_beam/rules
	$(BIN)/python -m refinery_beam.rules > docs/errors.md

docs-splits: $(READY)  ## draw the pictures of docs/splits.md
	$(BIN)/python docs/draw_splits.py docs/pictures

docs-page: $(READY_BROWSER)  ## take the pictures of docs/looking.md and README.md, in Chromium
	.venv-browser/bin/python docs/draw_page.py docs/pictures

bench-all: $(READY_PLAIN) $(READY_PEERS) $(READY_DATAREFINERY)  ## beside a bare loop and other libraries: PHOTOS=folder, ONLY=icons,png, TURNS=3, COUNT=4000, OUT=folder, PAGE=docs/performance.md
	.venv-plain/bin/python benchmarks/bench_all.py $(if $(PHOTOS),--photos "$(PHOTOS)") $(if $(ONLY),--only "$(ONLY)") \
		$(if $(TURNS),--turns $(TURNS)) $(if $(COUNT),--count $(COUNT)) $(if $(OUT),--out "$(OUT)") $(if $(PAGE),--page "$(PAGE)")

bench-scale: $(READY)  ## the driver's memory and the job graph at 1,000 to 1,000,000 images, exact quotas at 10,000,000
	$(BIN)/python benchmarks/scale.py

bench-storage: $(READY)  ## codecs and row groups on photographs, which PHOTOS=folder names
	$(BIN)/python benchmarks/storage.py "$(PHOTOS)"

bench-read: $(READY_PEERS)  ## epochs of photographs, which PHOTOS=folder names, beside those of other libraries
	.venv-peers/bin/python benchmarks/read.py "$(PHOTOS)"

bench-facts: $(READY)  ## what facts cost in the pass that writes, on photographs, which PHOTOS=folder names
	$(BIN)/python benchmarks/facts.py $(if $(PHOTOS),--images "$(PHOTOS)")

bench-shuffle: $(READY)  ## how close shuffled epochs come to full permutations
	$(BIN)/python benchmarks/shuffle.py

lock: $(READY)  ## resolve requirements.lock anew from pyproject.toml
	$(BIN)/uv pip compile pyproject.toml --extra dev --universal --python-version 3.11 --upgrade --quiet \
		--no-emit-index-url --no-annotate --custom-compile-command "make lock" --output-file requirements.lock

clean:  ## remove what make has made
	rm -rf .venv .venv-lowest .venv-datasets-4 .venv-torch .venv-plain .venv-peers .venv-datarefinery .venv-browser .venv-313 demo build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

help:  ## this list
	@sed -nE 's/^([a-z0-9-]+):.*  ## (.*)/  make \1\t\2/p' Makefile | expand -t 22

# $(call install,VENV,PYTHON): what requirements.lock names, and the package. uv installs in parallel; where it cannot, pip does the same.
# The stamp is written last: an interrupted install is done again.
define install
@echo "installing what requirements.lock names into $(1), with $$($(2) --version)"
@$(2) -m venv --clear $(1)
@$(1)/bin/python -m pip install --quiet "$$(grep '^uv==' requirements.lock)" \
	&& $(1)/bin/uv pip install --quiet --compile-bytecode --python $(1)/bin/python -r requirements.lock \
	|| $(1)/bin/python -m pip install --quiet -r requirements.lock
@$(1)/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
@$(1)/bin/python -m compileall -q refinery_beam
@touch $(1)/.stamp
endef

$(READY): requirements.lock pyproject.toml
	@test -n "$(PYTHON)" || { echo "needs Python 3.11, 3.12 or 3.13 with venv; name one: make PYTHON=/path/to/python $(MAKECMDGOALS)" >&2; exit 1; }
	$(call install,.venv,$(PYTHON))

$(READY_DATASETS): requirements.lock pyproject.toml
	$(call install,.venv-datasets-4,$(PYTHON))
	.venv-datasets-4/bin/uv pip install --quiet --python .venv-datasets-4/bin/python 'datasets>=4.8,<5'
	@touch $(READY_DATASETS)

$(READY_TORCH): requirements.lock pyproject.toml
	$(call install,.venv-torch,$(PYTHON))
	.venv-torch/bin/uv pip install --quiet --python .venv-torch/bin/python 'torch>=2.6' 'torchdata>=0.11'
	@touch $(READY_TORCH)

# What `pip install refinery-beam` gives, in the locked versions.
$(READY_PLAIN): requirements.lock pyproject.toml
	$(PYTHON) -m venv --clear .venv-plain
	.venv-plain/bin/python -m pip install --quiet "$$(grep '^uv==' requirements.lock)"
	.venv-plain/bin/uv pip install --quiet --compile-bytecode --python .venv-plain/bin/python --constraint requirements.lock --editable .
	@touch $(READY_PLAIN)

$(READY_PEERS): requirements.lock pyproject.toml
	$(call install,.venv-peers,$(PYTHON))
	.venv-peers/bin/uv pip install --quiet --python .venv-peers/bin/python 'torch>=2.6' datasets litdata mosaicml-streaming
	@touch $(READY_PEERS)

# It needs Python 3.12 and dependencies of its own; where there is none, the benchmark says that it failed.
$(READY_DATAREFINERY):
	-@test -n "$(PYTHON_312)" && $(PYTHON_312) -m venv --clear .venv-datarefinery && .venv-datarefinery/bin/pip install --quiet ml-datarefinery==0.25.0
	@mkdir -p .venv-datarefinery && touch $(READY_DATAREFINERY)

$(READY_BROWSER): requirements.lock pyproject.toml
	$(call install,.venv-browser,$(PYTHON))
	.venv-browser/bin/uv pip install --quiet --python .venv-browser/bin/python 'playwright>=1.50' 'axe-playwright-python>=0.1.8'
	@touch $(READY_BROWSER)

$(READY_313): requirements.lock pyproject.toml
	@test -n "$(PYTHON_313)" || { echo "needs a Python 3.13; name one: make PYTHON_313=/path/to/python test-313" >&2; exit 1; }
	$(call install,.venv-313,$(PYTHON_313))
