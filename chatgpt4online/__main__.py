"""Run the command line: ``python -m chatgpt4online``."""

import sys

from .cli import main

sys.exit(main())
