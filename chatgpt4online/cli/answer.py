"""Print an answer as it arrives: as text, as lines of JSON, or as one text at its end."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from .. import ChatError, Done, Event, Failed, Notice, Reply, Text
from .streams import Failure, open_output, visible, write, write_error, write_json

NO_TEXT = (
    "the answer has no text; usually the model failed on the site's side, and the site's owner finds the reason in the "
    "logs of AI Engine"
)


@dataclass
class Outcome:
    """The parts of an answer that arrived so far, as far as the exit status depends on them."""

    has_text: bool = False
    has_unread: bool = False  # an event, or a field of the final object, that cannot be read
    reply: Reply | None = None

    def watch(self, events: Iterable[Event]) -> Iterator[Event]:
        """Yield these events, and record the parts that they hold."""
        for event in events:
            match event:
                case Text(text):
                    self.has_text = self.has_text or bool(text.strip())
                case Notice("malformed"):
                    self.has_unread = True
                case Done(reply):
                    self.reply = reply
                    self.has_text = self.has_text or bool(reply.text.strip())
            yield event

    def check(self) -> None:
        """Raise Failure for an answer without text."""
        if self.has_text:
            return
        others = [name for name in ("images", "actions", "shortcuts", "blocks") if getattr(self.reply, name, ())]
        if others:
            raise Failure(f"the answer has no text, but {' and '.join(others)}; --json prints them")
        if self.has_unread:
            raise Failure("the answer has no text, but parts that cannot be read; --json prints them")
        raise Failure(NO_TEXT)


def print_text(events: Iterable[Event], *, notices: bool) -> None:
    """Print the pieces of an answer as they arrive, and end the line."""
    is_terminal, is_blank, last = open_output().isatty(), True, "\n"

    def show(text: str) -> None:
        nonlocal is_blank, last
        is_blank, last = is_blank and not text.strip(), text or last  # set before a Ctrl-C can interrupt the write
        write(visible(text) if is_terminal else text)

    def end_line() -> None:
        if not last.endswith("\n"):
            write("\n")

    try:
        for event in events:
            if isinstance(event, Text):
                show(event.text)
            elif isinstance(event, Notice) and notices:
                _print_notice(event)
            elif isinstance(event, Done) and is_blank and event.reply.text.strip():
                show(event.reply.text)  # the site streamed white space only
    except ChatError:
        end_line()
        raise
    except KeyboardInterrupt:
        if is_terminal:  # another reader may have stopped reading, which would block here
            end_line()
        raise
    end_line()


def print_whole(events: Iterable[Event], *, notices: bool) -> None:
    """Print the text of an answer when it is complete. A failed answer prints the text that had arrived."""
    try:
        for event in events:
            if isinstance(event, Notice) and notices:
                _print_notice(event)
            elif isinstance(event, Done):
                print_text([Text(event.reply.text)], notices=False)
    except ChatError as error:
        print_text([Text(error.partial_text)], notices=False)
        raise


def print_json(events: Iterable[Event]) -> None:
    """Print each event as a line of JSON, and the error of a failed answer too."""
    try:
        for event in events:
            write_json(event.to_dict())
    except ChatError as error:
        write_json(Failed(error).to_dict())
        raise


def _print_notice(notice: Notice) -> None:
    write_error(f"[{notice.kind}] {notice.text}\n")
