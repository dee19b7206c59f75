# make benchmark   trains ten models on the bundled digits and prints the comparison
# make test        the whole default test suite
# Both set up .venv themselves; they need Python 3.11 or newer, make and a package index.

PYTHON ?= python3
BIN := .venv/bin
export TF_CPP_MIN_LOG_LEVEL ?= 2

.PHONY: benchmark test test-jax lint clean

benchmark: .venv/installed
	$(BIN)/keras-vix bench benchmarks/digits.toml --out runs/digits

test: .venv/installed-test
	$(BIN)/python -m pytest -m alone
	$(BIN)/python -m pytest -m "not alone" -n 2

test-jax: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt jax
	KERAS_BACKEND=jax $(BIN)/python -m pytest -n 2

lint: .venv/installed-test
	$(BIN)/python -m pip install -q -c constraints.txt flake8
	$(BIN)/python -m flake8 keras_vix tests

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "keras_vix needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/installed: .venv/bin/python setup.cfg pyproject.toml constraints.txt
	$(BIN)/python -m pip install -q -c constraints.txt -e .
	touch $@

.venv/installed-test: .venv/installed
	$(BIN)/python -m pip install -q -c constraints.txt -e '.[test]'
	touch $@

clean:
	rm -rf .venv build dist *.egg-info runs
