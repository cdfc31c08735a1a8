"""The script of a site: call it, and turn its answer into pieces and a final object."""

from __future__ import annotations

import secrets
from collections.abc import Generator, Iterable

from ..protocol.parsing.errors import InvalidInput, ServerError
from ..protocol.parsing.events import Json, Notice, Text
from .answers import Answer, Chat, Piece
from .php import BLANK, tagged
from .state import State
from .version import Version


class Stop(Exception):
    """The answer ends here, with a fatal error of PHP or, if ``cut`` is true, with the connection."""

    def __init__(self, cut: bool) -> None:
        super().__init__(cut)
        self.cut = cut


def ask_script(state: State, chat: Chat) -> Answer:
    """Return the script's answer, or the answer for a script that failed or for a reached limit."""
    if not state.accept_chat():
        return Answer(ServerError("You have reached the limit."))
    try:
        said = state.options.script
        if callable(said):
            said = said(chat)
        return said if isinstance(said, Answer) else Answer(said)
    except ServerError as error:
        return Answer(error)
    except BaseException as error:  # pytest's failures do not derive from Exception
        state.errors.append(error)
        return Answer(ending="fatal")


def pieces_of(answer: Answer, state: State) -> Generator[Piece, None, None]:
    """Yield the script's pieces. An exception of the script is stored in ``errors`` and ends the answer fatally."""
    try:
        for number, piece in enumerate(answer):
            if number and state.closing.wait(state.options.pause):
                raise Stop(cut=True)
            if not isinstance(piece, str | Text | Notice | ServerError | bytes):
                raise InvalidInput(f"a piece must be a str, Text, Notice, ServerError or bytes, not {piece!r}")
            yield piece
    except (GeneratorExit, Stop):
        raise
    except ServerError as error:
        yield error
    except BaseException as error:
        state.errors.append(error)
        raise Stop(cut=False) from error
    if answer.ending != "end":
        raise Stop(cut=answer.ending == "cut")


def whole_text(pieces: Iterable[Piece]) -> tuple[str, bytes]:
    """Return the text of an answer that is not streamed, and its bytes. Raises the ServerError of the script."""
    text: list[str] = []
    raw = b""
    for piece in pieces:
        if isinstance(piece, bytes):
            raw += piece
        elif isinstance(piece, ServerError):
            if piece.message:
                raise piece
        elif not isinstance(piece, Notice):
            text.append(piece.text if isinstance(piece, Text) else piece)
    return "".join(text), raw


def final_object(answer: Answer, chat: Chat, text: str, version: Version) -> Json:
    """Return the final object with the fields of this version (protocol section 2.4)."""
    if answer.images is not None:
        text = "\n".join([text, *(f"![Image]({url})" for url in answer.images)])
    asked, said = (max(1, len(words) // 4) for words in (chat.message, text or " "))
    usage: Json = {"prompt_tokens": asked, "completion_tokens": said, "total_tokens": asked + said}
    usage |= {"price": None, "queries": 1, "accuracy": "estimated"}
    response_id = f"chatcmpl-{secrets.token_hex(8)}" if answer.response_id is None else answer.response_id
    final: Json = {
        "success": True,
        "reply": text.strip(BLANK) if answer.reply is None else answer.reply,
        "images": None if answer.images is None else list(answer.images),
        "actions": [tagged(action) for action in answer.actions],
        "shortcuts": [tagged(shortcut, secret=version.secret_shortcuts) for shortcut in answer.shortcuts],
        "blocks": [tagged(block) for block in answer.blocks],
        "usage": {key: usage[key] for key in version.usage} if answer.usage is None else dict(answer.usage),
        **({"responseId": response_id} if response_id else {}),
    }
    return {key: value for key, value in final.items() if key in version.reply}
