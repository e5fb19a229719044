# `make check` is the one command before a change goes in. Everything here is for development; running needs python3 alone.

PYTHON ?= python3
PYTHONS ?= 3.10 3.11 3.12 3.13 3.14
PYTEST_ARGS ?=
ARGS ?=

VENV := .venv
NODE := tests/sdk/node
AGENTS := tests/sdk/agents
BROWSER := tests/browser
CODE := ipin_proxy server.py
TEXT := $(CODE) tests
SPREAD := --numprocesses auto --dist worksteal

# The development tools when they are there, else what the system has.
py = $(if $(wildcard $(VENV)/.tools),$(VENV)/bin/python,$(PYTHON))

# A Python of each version: pyenv's, else the system's.
EACH := $(addprefix python-,$(PYTHONS))
find_python = $(shell for python in "$$(command -v python$(1))" "$$HOME"/.pyenv/versions/$(1).*/bin/python; do \
  [ -x "$$python" ] && "$$python" -c '' 2> /dev/null && echo "$$python"; done | tail -n 1)

.PHONY: help run test check lint fix sdk browser bench pythons $(EACH) tools node agents axe clean

help:
	@echo "make run      start the server (ARGS='--port 8080')"
	@echo "make test     every test; makes .venv by itself (PYTEST_ARGS='-k stream')"
	@echo "make check    format, lint, types and every test: what has to pass"
	@echo "make fix      format, and mend what can be mended"
	@echo "make sdk      the official clients and coding agents against the server"
	@echo "make browser  the pages in Chromium (CHROMIUM=/path/to/it)"
	@echo "make bench    speed and memory, as ratios to a direct call"
	@echo "make pythons  the tests that need nothing installed, on every Python from 3.10 on that is here"

run:
	@$(PYTHON) server.py $(ARGS)

# The tools are wanted, not needed: without them the tests that use them are skipped, and say so.
test: tools node agents axe
	@$(MAKE) -s --no-print-directory pytest

.PHONY: pytest
pytest:
	@$(py) -c 'import pytest' 2>/dev/null || { \
	  echo "pytest is missing, and could not be installed (see .venv.log). Install it, or connect to a package index."; exit 1; }
	@$(py) -m pytest $$($(py) -c 'import xdist' 2> /dev/null && echo $(SPREAD)) $(PYTEST_ARGS)

check: lint test

lint: tools
	@test -e $(VENV)/.tools || { echo "make check needs ruff and mypy, which could not be installed (see .venv.log)."; exit 1; }
	$(VENV)/bin/ruff format --check $(TEXT)
	$(VENV)/bin/ruff check $(TEXT)
	$(VENV)/bin/mypy --strict $(CODE)

fix: tools
	$(VENV)/bin/ruff format $(TEXT)
	$(VENV)/bin/ruff check --fix $(TEXT)

sdk: tools node agents
	@$(MAKE) -s --no-print-directory pytest PYTEST_ARGS='tests/sdk $(PYTEST_ARGS)'

browser: tools axe
	@$(MAKE) -s --no-print-directory pytest PYTEST_ARGS='tests/browser $(PYTEST_ARGS)'

bench:
	@$(PYTHON) tests/bench/run.py $(ARGS)

# ---- what has to be installed; a stamp says that it was, and is older than the list when the list has changed ----------

DEV := import ast, re, sys; \
  sys.stdout.write("\n".join(ast.literal_eval(re.search(r"^dev = (\[.*?^\])", open("pyproject.toml").read(), re.M | re.S)[1])))

tools:
	@$(MAKE) -s --no-print-directory $(VENV)/.tools || \
	  echo "The development tools could not be installed (see .venv.log); going on with what $(PYTHON) has."

$(VENV)/.tools: pyproject.toml
	@echo "Installing the development tools into $(VENV) ..."
	@$(PYTHON) -m venv $(VENV) > .venv.log 2>&1
	@$(PYTHON) -c '$(DEV)' > $(VENV)/tools.txt
	@$(VENV)/bin/python -m pip install --disable-pip-version-check --retries 2 -r $(VENV)/tools.txt >> .venv.log 2>&1
	@touch $@

node:
	@if [ -f $(NODE)/package.json ] && command -v npm > /dev/null; then \
	  $(MAKE) -s --no-print-directory $(NODE)/node_modules/.tools || \
	    echo "The Node packages could not be installed (see .node.log); their tests are skipped."; \
	fi

$(NODE)/node_modules/.tools: $(NODE)/package.json
	@echo "Installing the Node packages into $(NODE)/node_modules ..."
	@cd $(NODE) && npm install --no-package-lock --no-audit --no-fund --loglevel=error > "$(CURDIR)/.node.log" 2>&1
	@mkdir -p $(NODE)/node_modules && touch $@

agents:
	@if [ -f $(AGENTS)/package.json ] && command -v npm > /dev/null; then \
	  $(MAKE) -s --no-print-directory $(AGENTS)/node_modules/.tools || \
	    echo "The coding agents could not be installed (see .node.log); their tests are skipped."; \
	fi

$(AGENTS)/node_modules/.tools: $(AGENTS)/package.json
	@echo "Installing the coding agents into $(AGENTS)/node_modules ..."
	@cd $(AGENTS) && npm install --no-package-lock --no-audit --no-fund --loglevel=error > "$(CURDIR)/.node.log" 2>&1
	@mkdir -p $(AGENTS)/node_modules && touch $@

axe:
	@if [ -f $(BROWSER)/package.json ] && command -v npm > /dev/null; then \
	  $(MAKE) -s --no-print-directory $(BROWSER)/node_modules/.tools || \
	    echo "axe-core could not be installed (see .node.log); the tests of the pages are skipped."; \
	fi

$(BROWSER)/node_modules/.tools: $(BROWSER)/package.json
	@echo "Installing axe-core into $(BROWSER)/node_modules ..."
	@cd $(BROWSER) && npm install --no-package-lock --no-audit --no-fund --loglevel=error > "$(CURDIR)/.node.log" 2>&1
	@mkdir -p $(BROWSER)/node_modules && touch $@

# ---- the other Pythons ---------------------------------------------------------------------------------------------

# The tests of the core, in an environment of its own for each version, with pytest as the only thing installed.
pythons: $(EACH)
	@test -n "$(strip $(foreach version,$(PYTHONS),$(call find_python,$(version))))" || { echo "No Python was found."; exit 1; }

$(EACH): python-%:
	@python='$(call find_python,$*)'; tools=.pythons/$*; \
	if [ -z "$$python" ]; then echo "Python $*: not here"; exit 0; fi; \
	if [ ! -e $$tools/.tools ]; then \
	  mkdir -p .pythons; \
	  { "$$python" -m venv $$tools && \
	    $$tools/bin/python -m pip install --disable-pip-version-check --retries 2 'pytest>=8.4' && \
	    touch $$tools/.tools; } > $$tools.log 2>&1 || \
	  { echo "Python $*: pytest could not be installed (see $$tools.log)"; exit 1; }; fi; \
	echo "Python $*:"; \
	$$tools/bin/python -m pytest -q -p no:cacheprovider --ignore tests/sdk --ignore tests/browser $(PYTEST_ARGS)

clean:
	rm -rf $(VENV) .pythons $(NODE)/node_modules $(AGENTS)/node_modules $(BROWSER)/node_modules .venv.log .node.log .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
