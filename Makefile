# Everything a person needs: `make study` (train, analyse, report) and `make test`.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --no-compile --constraint constraints.txt
# Python compiles a module when it first imports it, and keeps that: of what is installed most is never imported.
unexport PYTHONDONTWRITEBYTECODE

# Processes stand beside each other; more threads than cores would only wait for one another.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 MKL_NUM_THREADS=1

# An installation is made anew when one of these changes.
MADE_OF := pyproject.toml constraints.txt hatch_build.py $(wildcard src/spectraledge/native/*.[ch])

.PHONY: setup study test lint bench docs clean

setup: $(VENV)/.installed
	@$(BIN)/spectraledge doctor

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: $(MADE_OF) | $(VENV)/bin/python
	@echo "Installing spectraledge into $(VENV) ..."
	$(PIP) --editable .
	@touch $@

$(VENV)/.installed-%: $(MADE_OF) | $(VENV)/bin/python
	@echo "Installing spectraledge and its tools ($*) into $(VENV) ..."
	$(PIP) --editable ".[$*]"
	@touch $(VENV)/.installed $@

study: $(VENV)/.installed
	$(BIN)/spectraledge study run quick

test: $(VENV)/.installed-dev
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses 2 --dist worksteal

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check src tests benchmarks docs hatch_build.py
	$(BIN)/ruff format --check src tests benchmarks docs hatch_build.py
	$(BIN)/mypy
	$(BIN)/lint-imports

bench: $(VENV)/.installed-dev
	$(ONE_THREAD) $(BIN)/python benchmarks/run.py

docs: $(VENV)/.installed-docs
	$(ONE_THREAD) $(BIN)/python docs/make_notebooks.py build/made/notebooks
	$(BIN)/python docs/make_site.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --quiet
	@echo "The documentation: build/site/index.html"

clean:
	rm -rf $(VENV) build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
