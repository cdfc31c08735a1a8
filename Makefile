PYTHON ?= python

.PHONY: peers

# Needs the extra: pip install --editable ".[peers]"
peers:
	$(PYTHON) -m tests.peers
