"""Messages as Markdown, for files that people read. docs/guides/conversations.rst describes the form."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from ..parsing.bodies import printable

_LINE_END = re.compile(r"\r\n|\r|\n")  # the line ends of CommonMark; str.splitlines() knows others, such as U+2028
_SPECIAL = re.compile(r"[\\`*_\[\]<>&#~|]")  # the characters that Markdown reads inside one line


def discussion_markdown(titles: Iterable[str], dates: Mapping[str, str], messages: Iterable[Mapping[str, str]]) -> str:
    """Return a conversation as Markdown: a heading, a line of dates, and the messages.

    The heading is the first of the ``titles`` that is not blank. ``dates`` maps a word such as ``"created"`` to a time;
    blank times are left out.
    """
    title = next(filter(None, map(_one_line, titles)), "")
    known = ", ".join(f"{word} {_one_line(date)}" for word, date in dates.items() if date.strip())
    parts = [f"# {title}\n", f"{known[0].upper()}{known[1:]}\n" if known else "", messages_markdown(messages)]
    return "\n".join(part for part in parts if part)


def messages_markdown(messages: Iterable[Mapping[str, str]]) -> str:
    """Return messages as Markdown: for each its role in bold, and its text as a block quote.

    Markdown ends every block that a block quote has begun at its end. So an open code fence, a heading or ``---`` in
    one message changes nothing outside of it, and no text can look like the next message. A link definition applies to
    the whole document, as Markdown's rules say. The text is unchanged, except that each line begins with ``>``, and
    that lone surrogates become U+FFFD.
    """
    return "\n".join(
        f"**{_one_line(message['role'].capitalize()) or 'Unknown'}**\n\n{_quote(message['content'])}\n"
        for message in messages
    )


def _quote(text: str) -> str:
    """Return a text as a block quote."""
    return "\n".join(f"> {line}" if line else ">" for line in _LINE_END.split(printable(text)))


def _one_line(text: str) -> str:
    """Return a text that is not Markdown as one line of Markdown that shows it."""
    return _SPECIAL.sub(r"\\\g<0>", " ".join(printable(text).split()))
