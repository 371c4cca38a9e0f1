# The two commands of the README. Each does all the set-up and then runs.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
PIP_FLAGS = --quiet --disable-pip-version-check -c constraints.txt

.PHONY: demo test lint slow docs notebooks gallery clean

demo: $(VENV)/demo
	$(BIN)/surrogate demo -o demo-output

test: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n 2 --dist loadgroup

slow: $(VENV)/dev
	$(BIN)/python -m pytest -m slow

lint: $(VENV)/dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The pages are in docs/_build/html
docs: $(VENV)/dev
	$(BIN)/python -m sphinx -W --keep-going -q -b html docs docs/_build/html

# After an edit of a script: runs it, and keeps the outputs in the notebook beside it
notebooks: $(VENV)/dev
	OMP_NUM_THREADS=1 $(BIN)/python notebooks/execute.py

# After an edit of a solver: its picture and the cost of a call
gallery: $(VENV)/dev
	$(BIN)/surrogate gallery -o docs/gallery

clean:
	rm -rf $(VENV) demo-output docs/_build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/demo: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[surrogate]"
	touch $@

$(VENV)/dev: $(VENV)/bin/python pyproject.toml constraints.txt
	$(BIN)/python -m pip install $(PIP_FLAGS) -e ".[dev]"
	touch $@ $(VENV)/demo
