# Two commands matter to a newcomer: `make demo` and `make test`. Both build .venv/ first.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export UV_CUSTOM_COMPILE_COMMAND := make lock
# Byte code is kept, whatever the machine's own setting: some tests start MLflow or DVC dozens of times, and each start
# would compile a thousand modules anew.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: install demo test lint metadata study release-tree site lock clean

install: $(VENV)/.installed

$(VENV)/.installed: requirements/dev.txt requirements/uv.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed, this is " + sys.version.split()[0])'
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "Installing into $(VENV)/ (about 1.2 GB, some minutes the first time) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --require-hashes -r requirements/dev.txt
	@VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --quiet --no-deps -e .
	@touch $@

demo: install
	@$(BIN)/python demo/demo.py

test: install
	@$(BIN)/python -m pytest -n 2 -q tests

lint: install
	@$(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/mypy

# action.yml files, docs tables and schemas, from the models.
metadata: install
	@$(BIN)/python tools/metadata.py

# Simulations and comparisons of speed: long, by hand, results under benchmarks/results/.
study: install
	@for script in benchmarks/*.py; do echo "== $$script"; $(BIN)/python $$script || exit 1; done

# What a release holds; REF and IMAGE as the release workflow or a test wants them.
REF ?= v1
IMAGE ?= docker://flint-ml-actions:test
FLINT_IMAGE ?= docker://flint-ml-actions-flint:test
release-tree: install
	@$(BIN)/python tools/release_tree.py --ref $(REF) --image $(IMAGE) --flint-image $(FLINT_IMAGE)

# The documentation as a site, in build/site; `make site` fails on a broken link.
site: install
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet

# Locks are universal (one file for Python 3.11 to 3.14); image.txt and record.txt are subsets of dev.txt.
LOCK := $(BIN)/uv pip compile --universal --python-version 3.11 --generate-hashes --no-annotate --quiet
lock: install
	$(LOCK) --extra remotes --extra dask --group dev pyproject.toml -o requirements/dev.txt
	$(LOCK) --extra remotes pyproject.toml -c requirements/dev.txt -o requirements/image.txt
	$(LOCK) requirements/record.in -c requirements/image.txt -o requirements/record.txt
	$(LOCK) requirements/uv.in -o requirements/uv.txt
	$(LOCK) requirements/build.in -o requirements/build.txt

clean:
	rm -rf $(VENV) build demo/out demo/work
