# Everything a person does with a checkout. `make setup` once; each target sets up by itself when it has to.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DONE := $(VENV)/.installed
.DEFAULT_GOAL := help
.PHONY: help setup demo up test lint check fix bench faults lock clean

help: ## what there is to make
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(DONE) ## virtual environment with the locked dependencies, and the throughbeat command in it

$(DONE): requirements.lock pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet "uv>=0.9"
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --require-hashes -r requirements.lock
	VIRTUAL_ENV=$(CURDIR)/$(VENV) $(BIN)/uv pip install --no-deps --no-build-isolation -e .
	touch $@

demo: $(DONE) ## DEMO=--keep leaves it running; a listener and a new release, live, on the bundled sample
	$(BIN)/throughbeat demo $(DEMO)

up: $(DONE) ## the whole embedded stack with the sample catalogue, until Ctrl-C
	$(BIN)/throughbeat up --catalogue sample

test: $(DONE) ## every test, on a real Kafka, Redis and Qdrant that the suite starts itself
	$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

lint: $(DONE) ## style, types and layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

check: lint ## what must be green before a commit: style, types, layers, unit and contract tests
	$(BIN)/python -m pytest tests/unit tests/contract -q

fix: $(DONE) ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(DONE) ## the figures of docs/benchmarks.md, on this machine
	$(BIN)/python -m bench.all

faults: $(DONE) ## a quick look at what happens when parts die; FAULTS=--all runs the campaign of docs/reliability.md
	$(BIN)/python -m tests.faults $(FAULTS)

lock: ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --generate-hashes --no-header --extra dev pyproject.toml -o requirements.lock

clean: ## forget the virtual environment and what was built
	rm -rf $(VENV) build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
