# `make run` serves the dashboard, `make test` passes the tests; both set up all they need. `make help` lists the rest.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
# MetaGPT declares that it wants Python below 3.12; the tests pass on 3.12 and 3.13 as well.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet install --no-deps --ignore-requires-python
FITS := import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11; do \
	$$python -c '$(FITS)' 2>/dev/null && echo $$python && break; done)
SOURCES := server runner tests
# Tests wait for processes, sockets and browsers more than they compute.
WORKERS ?= $(shell $(PYTHON) -c 'import os; print(2 * os.cpu_count())')

.PHONY: help run setup test chaos check types lint format audit fuzz chromium bench lock clean

help: ## list these targets
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

run: setup ## serve the dashboard on 127.0.0.1:8000 (ARGS="--port 0 --data DIR" to change)
	@exec $(BIN)/metagpt-live serve $(ARGS)

setup: $(VENV)/.installed ## set up .venv with the pinned packages and the metagpt-live command

$(VENV)/.installed: requirements.lock pyproject.toml
	@command -v git >/dev/null || { echo "metagpt-live needs git (MetaGPT calls it): install git and run make again." >&2; exit 1; }
	@$(or $(PYTHON),false) -c '$(FITS)' 2>/dev/null || { echo "metagpt-live needs Python 3.11, 3.12 or 3.13; found: $$($(or $(PYTHON),python3) --version 2>&1 | head -1). Name one with make PYTHON=/path/to/python3.12" >&2; exit 1; }
	@echo "Setting up $(VENV) with $$($(PYTHON) --version) ..."
	@$(PYTHON) -m venv --clear $(VENV) || { echo "This Python has no venv module: install it (Debian: python3-venv) and run make again." >&2; exit 1; }
	@sed '/^# dev$$/,$$d' requirements.lock >$(VENV)/runtime.txt
	@sed '1,/^# dev$$/d' requirements.lock >$(VENV)/dev.txt
	@$(PIP) --require-hashes --requirement $(VENV)/runtime.txt
	@$(PIP) --no-build-isolation --editable .
	@$(BIN)/python -m compileall -q server runner
	@touch $@

$(VENV)/.installed-dev: $(VENV)/.installed
	@echo "Adding the packages for tests ..."
	@$(PIP) --require-hashes --requirement $(VENV)/dev.txt
	@touch $@

test: $(VENV)/.installed-dev chromium ## run all tests, the browser's included
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal $(ARGS)

chaos: $(VENV)/.installed-dev ## kill, stop, answer and restart at random for 10 minutes (CHAOS_SECONDS=, CHAOS_SEED= to change)
	@CHAOS_SECONDS=$${CHAOS_SECONDS:-600} $(BIN)/python -m pytest -s tests/chaos $(ARGS)

check: lint types ## ruff and mypy strict

lint: $(VENV)/.installed-dev
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)

types: $(VENV)/.installed-dev
	@$(BIN)/mypy

format: $(VENV)/.installed-dev ## format the code
	@$(BIN)/ruff check --fix $(SOURCES)
	@$(BIN)/ruff format $(SOURCES)

# pip-audit has an environment of its own: what it needs is not in the lock that it looks at.
audit: $(VENV)/.installed-dev ## look the locked packages up among known vulnerabilities, as far as that is possible here
	@test -x $(VENV)/audit/bin/pip-audit || { $(BIN)/python -m venv --without-pip $(VENV)/audit && \
		$(BIN)/python -m pip --python $(VENV)/audit/bin/python --disable-pip-version-check --quiet install pip-audit; } || \
		echo "pip-audit could not be installed."
	@$(BIN)/python -m tests.audit $(VENV)/audit/bin/pip-audit

# schemathesis, too: it is not in the suite.
fuzz: $(VENV)/.installed-dev ## have schemathesis call the API of a real server by its own description (ARGS="--max-examples 500")
	@test -x $(VENV)/fuzz/bin/st || { $(BIN)/python -m venv --without-pip $(VENV)/fuzz && \
		$(BIN)/python -m pip --python $(VENV)/fuzz/bin/python --disable-pip-version-check --quiet install schemathesis; }
	@$(BIN)/python -m tests.fuzz $(VENV)/fuzz/bin/st $(ARGS)

chromium: $(VENV)/.installed-dev
	@if command -v chromium chromium-browser google-chrome >/dev/null; then :; \
	elif command -v apt-get >/dev/null && [ "$$(id -u)" = 0 ]; then \
		echo "Installing Chromium for the browser tests ..."; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq chromium >/dev/null; \
	else $(BIN)/playwright install chromium; fi

bench: $(VENV)/.installed-dev ## measure, each figure beside its reference
	@$(BIN)/python -m tests.bench $(ARGS)

lock: $(VENV)/.installed ## resolve anew into requirements.lock: one lock for all Pythons, naming no host
	@$(BIN)/python -m pip --disable-pip-version-check --quiet install uv
	@export() { $(BIN)/uv export --quiet --format requirements-txt --no-emit-project --no-annotate --no-header --no-default-groups "$$@"; }; \
	rm -f uv.lock; export --group build >requirements.lock.new; echo "# dev" >>requirements.lock.new; export --only-group dev >>requirements.lock.new
	@mv requirements.lock.new requirements.lock

clean: ## remove everything that make made
	@rm -rf $(VENV) uv.lock build *.egg-info .mypy_cache .ruff_cache .pytest_cache
	@find $(SOURCES) -name __pycache__ -type d -prune -exec rm -rf {} +
