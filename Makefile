PYTHON ?= python

.PHONY: docs peers

# Needs the group: pip install --group docs (pip 25.1 or later). A warning is an error.
docs:
	$(PYTHON) -m sphinx -W --keep-going -n -q -E docs build/docs

# Needs the extra: pip install --editable ".[peers]"
peers:
	$(PYTHON) -m tests.peers
