# The two commands are `make run` and `make test`; `make help` lists the rest.
# PYTHON=/path/to/python chooses the interpreter (3.11 or newer); without it the first good one found is taken.

SHELL := /bin/sh
MAKEFLAGS += --no-print-directory
.DEFAULT_GOAL := help
unexport PYTHONPATH PYTHONHOME PYTHONSTARTUP VIRTUAL_ENV
export PYTHON

BIN := .venv/bin
SECONDS = 60
SEEDS = 10000
MINUTES = 30
SEED =
UPGRADE =
COMPILE = "$(UV)" pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header $(UPGRADE)
UV = $(or $(shell command -v uv),$(wildcard $(BIN)/uv))

.PHONY: help run test lint format fuzz sim simcore chaos scale bench cost screenshots constraints setup setup-test clean

help:  ## This list
	@sed -n 's/^\([a-z-]*\):.*## */\1\t/p' Makefile | expand -t 14

run: setup  ## Set up, then start your messenger: a private node, Echo to talk with, and the page
	@trap : INT; $(BIN)/uzel run || test $$? -eq 130

test: setup-test lint  ## Set up, then run every check: format, lint, types, import rules, tests
	@echo "== tests (pytest)"
	@$(BIN)/pytest -q -n 3 --dist loadfile --no-loadscope-reorder
	@echo "== all checks passed"

lint: setup-test  ## Format, lint, types and import rules alone
	@echo "== format (ruff format --check)"
	@$(BIN)/ruff format --check .
	@echo "== lint (ruff check)"
	@$(BIN)/ruff check .
	@echo "== types (mypy --strict)"
	@$(BIN)/mypy
	@echo "== import rules (lint-imports)"
	@$(BIN)/lint-imports

format: setup-test  ## Format the code and sort its imports
	@$(BIN)/ruff check --fix --select I .
	@$(BIN)/ruff format .

fuzz: setup-test  ## Fuzz the wire: make fuzz SECONDS=60
	@$(BIN)/python tests/fuzz/fuzz_wire.py --seconds $(SECONDS)

sim: setup-test  ## Simulate federations: make sim SEEDS=100000
	@$(BIN)/python tests/sim/run.py --seeds $(SEEDS)

simcore: setup-test  ## Simulate cores that crash, break and run full: make simcore SEEDS=10000
	@$(BIN)/python tests/sim_core/run.py --seeds $(SEEDS)

chaos: setup-test  ## Break everything between two cores: make chaos MINUTES=30 SEED=7
	@$(BIN)/python tests/chaos/run.py --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

scale: setup-test  ## Simulate 10, 100 and 1,000 nodes: make scale NODES="10 100"
	@$(BIN)/python bench/scale.py $(if $(NODES),--nodes "$(NODES)")

bench: setup-test  ## Measure: prints a table and writes JSON
	@$(BIN)/python bench/run.py

cost: setup-test  ## Measure, and write docs/cost.md and its picture
	@$(BIN)/python bench/cost.py

screenshots: setup-test  ## Make pictures of the page, of every view, into docs/screenshots
	@$(BIN)/python tools/screenshots.py

constraints:  ## Pin the dependencies anew (needs uv; UPGRADE=--upgrade takes newer versions)
	@test -n "$(UV)" || { echo "make constraints needs uv; run: $(BIN)/python -m pip install uv" >&2; exit 1; }
	$(COMPILE) --group build --output-file constraints.txt
	$(COMPILE) --group dev --output-file constraints-dev.txt

clean:  ## Remove .venv/ and everything that was built or cached
	rm -rf .venv build dist src/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache fuzz-* crash-*
	find src tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

setup:
	@tools/setup.sh run

setup-test:
	@tools/setup.sh test
