"""Read the answer of a site from a pipe: ``curl -N ... | python examples/pipe.py``.

What curl has to send: ``-X POST -H "Content-Type: application/json" -H "X-WP-Nonce: $NONCE" -d "$QUESTION"`` to
``https://example.org/wp-json/mwai-ui/v1/chats/submit``, with a ``"stream": true`` in the question. The nonce comes from
``https://example.org/wp-json/mwai/v1/start_session``. A file with a saved answer does as well.
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
while data := sys.stdin.buffer.read1():  # what has come, without waiting for more
    show(parser.receive_data(data))
show(parser.receive_eof())
print()
