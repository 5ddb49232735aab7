# The verbs of this repository. `make help` lists them.
#
# Everything is installed into .venv; stamps in there keep a second `make` from installing again.

VENV ?= .venv
BIN := $(VENV)/bin
WORKERS ?= 2
# The first Python that is new enough; `make run PYTHON=python3.13` chooses another.
PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

# Some containers set this. Every gateway that is started, in tests some hundred, would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help run test check format bench test-export clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):[^#]*## /  make \1\t/p' $(MAKEFILE_LIST) | expand -t 20

run: $(VENV)/.run ## Install what is needed and start the sample app (ARGS="--port 9000" for another port)
	@$(BIN)/baas serve $(ARGS)

test: $(VENV)/.test ## Install what the tests need and run all of them
	@$(MAKE) --no-print-directory lint
	$(BIN)/baas rules test
	$(BIN)/python -m pytest -q -n $(WORKERS) $(ARGS) || $(AGAIN)

# Some ten thousand tests with real servers: on a machine that stalls, one may miss its moment. What
# failed (exit code 1) is run once more, alone; what passes then is named, and is to be made steady.
AGAIN = { test $$? -eq 1 && echo "Once more, alone, what failed; unsteady tests are defects:" && \
	$(BIN)/python -m pytest -v --last-failed --last-failed-no-failures none $(ARGS); }

check: $(VENV)/.test ## Lint, types, import contracts and unit tests: for every save
	@$(MAKE) --no-print-directory lint
	$(BIN)/python -m pytest -q -n $(WORKERS) tests/unit tests/meta $(ARGS)

format: $(VENV)/.test ## Put every file into the house's format
	$(BIN)/ruff check --fix-only -q .
	$(BIN)/ruff format .

bench: $(VENV)/.run ## Measure the gateway beside a bare ASGI app (bench/README.md)
	$(BIN)/python -m bench.run $(ARGS)

test-export: $(VENV)/.test ## Hold exported manifests against those clouds' own tools (needs Node.js)
	$(BIN)/python scripts/validate_exports.py

clean: ## Remove .venv and every cache; data/ stays
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

# Longer than the tests run it: writers, subscribers and trouble at random (tests/support/checker).
.PHONY: check-push
check-push: SECONDS ?= 60
check-push: $(VENV)/.test
	$(BIN)/python scripts/check_push.py --seconds $(SECONDS) $(ARGS)

.PHONY: lint
lint:
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

$(VENV)/bin/python:
	@test -n "$(PYTHON)" || { echo "baas needs Python 3.11 or newer on the PATH"; exit 1; }
	@$(PYTHON) scripts/venv.py $(VENV)

$(VENV)/.run: pyproject.toml | $(VENV)/bin/python
	@echo "Installing baas into $(VENV) (once; about a minute) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[sample]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(VENV)/bin/python
	@echo "Installing baas and what its tests need into $(VENV) (once; about two minutes) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[test,dev]'
	@echo "Building the S3 servers that the tests talk to (once, with Go; some three minutes) ..."
	@$(BIN)/python scripts/s3servers.py
	@$(BIN)/python -m scripts.chromium
	@$(BIN)/python -m scripts.java
	@$(BIN)/python scripts/mongoserver.py
	@$(BIN)/python scripts/node.py
	@touch $@ $(VENV)/.run
