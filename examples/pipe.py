"""Read the answer of a site from a pipe: ``curl -N ... | python examples/pipe.py``.

curl needs ``-X POST -H "Content-Type: application/json" -H "X-WP-Nonce: $NONCE" -d "$QUESTION"`` and the address
``https://example.org/wp-json/mwai-ui/v1/chats/submit``. The question must contain ``"stream": true``. The nonce comes
from ``https://example.org/wp-json/mwai/v1/start_session``. A file with a saved answer works too.
"""

import sys

from chatgpt4online import EventParser, Failed, Notice, Text


def show(events):
    for event in events:
        match event:
            case Text(text):
                print(text, end="", flush=True)
            case Notice(kind, text):
                print(f"[{kind}: {text}]", file=sys.stderr)
            case Failed(error):
                sys.exit(f"\nfailed: {error}")


parser = EventParser()
while data := sys.stdin.buffer.read1():  # read1 returns the bytes that have arrived, without waiting for more
    show(parser.receive_data(data))
show(parser.receive_eof())
print()
