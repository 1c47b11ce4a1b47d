# Every target explains itself: `make` or `make help` lists them.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
JOBS   ?= 4
COV    ?= --cov --cov-report=term:skip-covered
FUZZ   ?= .venv-fuzz
SECONDS_EACH ?= 60

.DEFAULT_GOAL := help
.PHONY: help setup demo test simulate mutants conformance torture kills commits real-servers bench plots stages fuzz fuzz-guided check format wheel clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(VENV)/ready: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing into $(VENV) (once) …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable . --group dev
	@touch $@

setup: $(VENV)/ready ## install everything into .venv

demo: setup ## the whole way on this machine: signed calls in, CRM records out (under 15 s; ARGS=--keep leaves it running)
	@$(BIN)/connector demo $(ARGS)

test: setup ## the whole suite, with line and branch coverage (COV= leaves that out: quicker)
	@$(BIN)/python -m pytest -n $(JOBS) $(COV) $(ARGS)

simulate: setup ## worlds in which everything goes wrong, one for each seed; no promise may break (SEEDS=300 FIRST=0 JOBS=4)
	@$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),300) --first $(or $(FIRST),0) --jobs $(JOBS)

mutants: setup ## does the simulation notice? one-place patches to a copy of the source, each to be caught (ARGS="--only lease")
	@$(BIN)/python -m tests.simulation.mutants --jobs $(JOBS) $(ARGS)

torture: setup ## real processes, sockets and files, hurt in seven ways; prints a table of faults, 6 min (ARGS="--quick --seed 1")
	@$(BIN)/python -m tests.torture $(ARGS)

kills: setup ## kill -9 of receiver and deliverer, a hundred times at random: nothing lost (ARGS="--kills 100 --seed 1")
	@$(BIN)/python -m tests.torture.kills $(ARGS)

commits: setup ## a CRM that commits and dies at random places of every step: nothing twice, nothing lost (ARGS="--records 1000 --seed 1")
	@$(BIN)/python -m tests.torture.commits $(ARGS)

conformance: setup ## the state machine over the outbox port, with other examples each time (EXAMPLES=3000; the suite runs 150)
	@CONFORMANCE_EXAMPLES=$(or $(EXAMPLES),3000) $(BIN)/python -m pytest -p no:xdist tests/outbox/conformance $(ARGS)

real-servers: setup ## install Tryton and Kinto apart (.venv-tryton, .venv-kinto): then `make test` runs against them, too
	@$(BIN)/python -m tests.real.install $(ARGS)

bench: setup ## the figures of speed, size and calls to the CRM, under 10 min (ONLY=R1,E1; QUICK=1: a short look)
	@$(BIN)/python -m bench.run $(ONLY)

plots: setup ## draw what the last whole `make bench` has found into docs/
	@$(BIN)/python -m bench.plot

stages: setup ## where a delivery's processor time goes, stage by stage (ARGS=3000: so many deliveries)
	@$(BIN)/python -m bench.stages $(ARGS)

fuzz: setup ## fuzz decoder, XML, signature, key record and HTTP edge; prints inputs and branch coverage (ARGS="--seconds 600")
	@$(BIN)/python -m tests.fuzz $(ARGS)

$(FUZZ)/ready: pyproject.toml
	@$(PYTHON) -m venv $(FUZZ)
	@$(FUZZ)/bin/python -m pip install --quiet --editable . atheris
	@touch $@

fuzz-guided: $(FUZZ)/ready ## the same, guided by coverage (libFuzzer through atheris, in a venv of its own; SECONDS_EACH=60)
	@$(FUZZ)/bin/python -m tests.fuzz.guided $(SECONDS_EACH)

check: setup ## lint, types and layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-cache

format: setup ## put the code into its form
	@$(BIN)/ruff check --fix-only --quiet .
	@$(BIN)/ruff format .

wheel: setup ## build the wheel into dist/
	@$(BIN)/python -m pip wheel --quiet --no-deps --wheel-dir dist .
	@ls dist/*.whl

clean: ## remove what was installed and built
	rm -rf $(VENV) $(FUZZ) .venv-bench bench/.cache dist build .coverage* htmlcov .mypy_cache .ruff_cache .pytest_cache .hypothesis
