# `make help` lists the targets. Each makes .venv if it is absent or older than its inputs.
PYTHON ?= python3
# Parallel test processes, and more arguments for pytest and the benchmarks.
JOBS ?= 2
PYTEST_ARGS ?=
BENCH_ARGS ?=

VENV := .venv
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test test-all doc bench lint clean distclean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' Makefile

demo: $(VENV)/.installed-plot ## set up, then debias a network on synthetic loans (under a minute)
	$(BIN)/python -m skfairaug demo

test: $(VENV)/.installed-test ## set up, then run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal $(PYTEST_ARGS)

test-all: $(VENV)/.installed-test ## set up, then run all tests, the slow ones too
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist worksteal -m "" $(PYTEST_ARGS)

doc: $(VENV)/.installed-doc ## set up, then build doc/_build/html; a warning is an error
	$(BIN)/python -m sphinx -W --keep-going -b html doc doc/_build/html

bench: $(VENV)/.installed-benchmark ## set up, then measure: tables against rivals, and speed
	$(BIN)/python -m benchmarks.run_tables $(BENCH_ARGS)
	$(BIN)/python -m benchmarks.bench_speed $(BENCH_ARGS)

lint: $(VENV)/.installed-lint ## set up, then check style
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

clean: ## remove what was built, keep .venv
	rm -rf build dist *.egg-info .pytest_cache .ruff_cache .coverage* htmlcov
	rm -rf doc/_build doc/generated doc/auto_examples doc/sg_execution_times.rst
	find . -name __pycache__ -not -path './$(VENV)/*' -prune -exec rm -rf {} +

distclean: clean ## remove .venv too
	rm -rf $(VENV)

$(VENV)/.created:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "skfairaug needs Python 3.11 or newer; name one: make PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.installed-%: setup.cfg constraints.txt | $(VENV)/.created
	$(BIN)/python -m pip install --disable-pip-version-check -c constraints.txt -e '.[$*]'
	touch $@
