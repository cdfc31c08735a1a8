"""Open the conversation that a file stores."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .. import Client, Conversation


def open_conversation(client: Client, path: str) -> Conversation:
    """Return the conversation in a file, or a new one. The file is written, so that the answer can be stored later."""
    from .. import Conversation  # noqa: PLC0415  # it imports requests, which --help does not need

    try:
        conversation = Conversation.load(path, client)
    except FileNotFoundError:
        conversation = client.conversation()
    conversation.save(path)
    return conversation
