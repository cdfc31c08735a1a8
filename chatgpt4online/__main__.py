"""``python -m chatgpt4online``: the command line."""

import sys

from .cli import main

sys.exit(main())
