# Every target does all of its own set-up: the virtual environment, the installation, what the tests need from apt.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# The stamp carries what `ls plugins` says: a plugin more or less is another installation, as another pyproject.toml is.
STAMP := $(VENV)/.installed-$(shell ls plugins | cksum | cut -d' ' -f1)
# One string for the shell, whatever the value holds.
quote = '$(subst ','\'',$(1))'

.DEFAULT_GOAL := help
.PHONY: help run test check lint bench bench-count promises soak sbom fuzz autobahn mutants docs clean

help: ## This list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1\t\2/p' Makefile

run: $(STAMP) ## Play the Meadow: http://127.0.0.1:8000/; CACHE=memcached://... and DATABASE=postgresql://... on those
	@$(BIN)/firefly-run $(if $(CACHE),--set $(call quote,servers.world.db-cache.cache=$(CACHE))) $(if $(DATABASE),--set $(call quote,servers.world.db-cache.database=$(DATABASE)))

test: $(STAMP) ## Run the tests; ARGS="tests/wire -x" picks some
	@.ci/packages
	@$(if $(ARGS),$(BIN)/python -m pytest $(ARGS),.ci/tests $(BIN)/python)

lint: $(STAMP) ## Format, lint, types and floors, without the tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy firefly_core plugins example_game
	@$(BIN)/mypy --config-file clients/python/pyproject.toml
	@$(BIN)/lint-imports --no-cache

check: lint ## All of lint, then the tests: what the CI runs
	@$(MAKE) --no-print-directory test

bench: $(STAMP) ## Measure beside the peers, about twelve minutes; CASE=gate-echo picks one
	@$(BIN)/python -m benchmarks $(ARGS)

bench-count: $(STAMP) ## Count the instructions of the pure paths and compare with the last time; ARGS=--store
	@$(BIN)/python -m benchmarks.count $(ARGS)

promises: $(STAMP) ## Count the promises' rows; ROW=A31 picks one
	@.ci/packages
	@$(BIN)/python -m tests.promises $(if $(ROW),$(call quote,$(ROW))) $(ARGS)

soak: $(STAMP) ## Let players come, play and leave for MINUTES=30, and tell what grew; counted as row A58
	@$(BIN)/python -m tests.promises A58 --count $$(( $(or $(MINUTES),30) * 60 ))

fuzz: $(STAMP) ## Throw random bytes at every decoder; SECONDS=60 each
	@$(BIN)/python tests/fuzz/run.py --seconds $(or $(SECONDS),60) $(ARGS)

autobahn: $(STAMP) ## Run Autobahn's WebSocket suite, where there is a CPython 2.7 for it; ARGS="--cases 12.*"
	@$(BIN)/python -m tests.autobahn $(ARGS)

mutants: $(STAMP) ## Plant each known bug into a copy of the tree and see that its tests catch it; ARGS=no-jitter picks one
	@$(BIN)/python -m tests.mutants $(ARGS)

sbom: $(STAMP) ## Print what it runs with, as a CycloneDX list
	@$(BIN)/python .ci/sbom

docs: $(STAMP) ## Make docs/config.md anew from what services and protocols declare
	@$(BIN)/python -m firefly_core.kernel.config.config_page docs/config.md
	@$(BIN)/python -m firefly_core.kernel.plugins.hooks_page docs/hooks.md

clean: ## Remove what the targets made; var/ (the players' data) stays
	rm -rf $(VENV) build dist .mypy_cache .ruff_cache .import_linter_cache .hypothesis .pytest_cache *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(STAMP): pyproject.toml
	@.ci/venv $(PYTHON) $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	@rm -f $(VENV)/.installed-*
	@touch $@
