# Needs Python >= 3.11 and make; everything else goes into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
EXTRAS ?= test

.PHONY: demo said test check docs install clean

demo: said $(VENV)/installed  ## Run the main job and say where the report is.
	$(BIN)/rgstep compare --out runs/demo --force

said:
	@echo "The demo installs rgstep into $(VENV) (a minute, the first time), samples 20,000 critical configurations of"
	@echo "32x32 spins, trains two networks, measures them beside controls whose answer is known, and writes one page,"
	@echo "runs/demo/report.html: six to nine minutes on two cores. Ctrl-C leaves nothing half-written."

test: $(VENV)/installed-$(EXTRAS)  ## Run the tests.
	$(BIN)/python -m pytest -n auto

check: $(VENV)/installed-$(EXTRAS)  ## Static checks.
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

docs: $(VENV)/installed-docs,torch  ## Build the documentation into docs/_build/html; a warning is an error.
	$(BIN)/python -m sphinx -b html -W --keep-going docs docs/_build/html
	@echo "docs/_build/html/index.html"

$(VENV)/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "rgstep needs Python 3.11 or newer")'
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: $(VENV)/bin/python pyproject.toml constraints.txt
	@echo "Installing into $(VENV): about a minute."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/installed-%: $(VENV)/installed
	@echo "Installing what $* needs: about a minute."
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[$*]'
	touch $@

clean:  ## Remove the environment and every result of a demo.
	rm -rf $(VENV) runs docs/_build
