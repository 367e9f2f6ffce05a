# The developer's commands. `make` alone lists them. Needs python3 (3.11 to 3.13) and make, nothing else.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
STAMP := .venv/.installed

help: ## list the commands
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with everything in it, by the hashed lock file

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if (3, 11) <= sys.version_info < (3, 14) else "partner_pipelines needs Python 3.11 to 3.13; $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=python3.12 …")'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: install ## the whole main job on a sandbox of its own: serve, sync, change, sync again, show
	$(BIN)/partner-pipelines demo

up: install ## sandbox, Dagster's UI and daemon; Ctrl-C ends all of it
	$(BIN)/partner-pipelines up

test: install ## the tests that need nothing but this clone
	@$(BIN)/python -m compileall -q partner_pipelines partner_pipelines_tests # hundreds of processes load them
	$(BIN)/python -m pytest -n auto --maxprocesses 4 --ignore=partner_pipelines_tests/shared --ignore=partner_pipelines_tests/browser

test-shared: install ## the tests on the real rows in ../shared/data
	@test -d ../shared/data || { echo "make test-shared needs ../shared/data beside this clone; 'make test' does not"; exit 1; }
	$(BIN)/python -m pytest partner_pipelines_tests/shared

test-browser: install ## the tests in Chromium, on what `up` serves (needs Debian's chromium)
	@test -x /usr/bin/chromium || { echo "make test-browser needs /usr/bin/chromium: apt-get install chromium"; exit 1; }
	$(BIN)/python -m pytest partner_pipelines_tests/browser

screenshots: export TEST_BROWSER_PICTURES = docs/images
screenshots: test-browser ## the same, and its pictures go to docs/images

check: install ## format, lint, types, import contracts
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --config setup.cfg

format: install ## mend format and simple lint
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: install ## speed and memory, as ratios against baselines of the same run
	@test -x benchmarks/.venv/bin/python || $(PYTHON) -m venv benchmarks/.venv
	benchmarks/.venv/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/requirements.txt
	$(BIN)/python benchmarks/run.py

lock: ## make the lock file anew (needs uv)
	uv pip compile --universal --generate-hashes --no-emit-index-url --no-header --no-strip-extras --extra dev --quiet pyproject.toml -o requirements.lock

.PHONY: help install demo up test test-shared test-browser screenshots check format bench lock
