"""``serve``: answer programs that use OpenAI's API with the bots of a site."""

from __future__ import annotations

import argparse
import errno
import os
import socket
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from .. import InvalidInput
from .command import Command, Parser, count, refuse_words, seconds
from .connection import ENVIRONMENT, SITE, TOKEN, USER, add_connection, check_address, client_options, served_demo
from .streams import Failure, write

if TYPE_CHECKING:
    from ..gateway import GatewayOptions, SiteOptions
