# Everything lives in .venv inside the checkout. `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
ARGS   ?=
WORKERS ?= 2

.PHONY: demo test check format docs clean lock

demo: $(VENV)/demo.stamp
	@$(BIN)/certwright demo $(ARGS)

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet src tests docs
	@$(BIN)/ruff check --quiet src tests docs
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/dev.stamp
	@$(BIN)/ruff format src tests docs
	@$(BIN)/ruff check --fix src tests docs

docs: $(VENV)/dev.stamp
	@$(BIN)/python docs/generate.py

lock: $(VENV)/uv.stamp
	@$(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --extra sandbox --group build pyproject.toml --output-file requirements/demo.txt
	@$(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --extra sandbox --group build --group dev --constraints requirements/demo.txt pyproject.toml --output-file requirements/dev.txt
	@echo uv | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal - --output-file requirements/uv.txt

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

$(VENV)/uv.stamp: requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing: install it (on Debian: apt install python3 python3-venv)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it (on Debian: apt install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Setting up $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

$(VENV)/demo.stamp: $(VENV)/uv.stamp requirements/demo.txt pyproject.toml
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/demo.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@
