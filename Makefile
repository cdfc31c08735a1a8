# What .ci/run runs, step by step. It needs an environment with: pip install --editable ".[test]" --group dev
PYTHON ?= python
DIST ?= dist

.PHONY: quick test coverage lint types docs mutants bench peers dist

# The tests that are done within seconds: no slow servers, few examples of each property.
quick:
	$(PYTHON) -m pytest -q -n auto --hypothesis-profile=quick -m "not slow" tests/protocol tests/net tests/package

test:
	$(PYTHON) -m pytest -q -n auto

# Tracing more than doubles the time of a test. The slow tests are left out, since the others reach every branch.
coverage:
	$(PYTHON) -m pytest -q --cov -n auto -m "not slow" tests/protocol tests/package/test_imports.py \
	    tests/clients/test_conversation.py tests/clients/test_secrets.py tests/clients/test_settings.py \
	    tests/clients/test_wrong_calls.py

lint:
	$(PYTHON) -m ruff check .
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m tests.words

# tests/package/typed is checked as programs of users are, without the settings of this project. The last line fails
# unless every public name has a known type. It leaves out the types of requests, since some of them are unknown.
types:
	$(PYTHON) -m mypy
	$(PYTHON) -m mypy --config-file= --strict --cache-dir=/dev/null tests/package/typed
	$(PYTHON) -m pyright --pythonpath $(PYTHON) chatgpt4online
	$(PYTHON) -m pyright --pythonpath $(PYTHON) --project tests/package/typed
	PYTHONPATH=. $(PYTHON) -m pyright --pythonpath $(PYTHON) --ignoreexternal --verifytypes chatgpt4online

# A warning is an error.
docs:
	$(PYTHON) -m sphinx -W --keep-going -n -q -E docs build/docs

mutants:
	$(PYTHON) -m tests.mutants

bench:
	$(PYTHON) -m benchmarks

peers:
	$(PYTHON) -m tests.peers

# The same bytes each time that the same commit is built.
dist:
	$(PYTHON) .ci/dist $(DIST)
