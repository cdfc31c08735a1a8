"""Mutants of ``protocol/parsing`` and ``net/url.py``."""

from __future__ import annotations

import ast
import html
import re
from collections.abc import Callable
from typing import Any

from chatgpt4online.protocol.parsing.events import Done, Text

from .change import (
    Mutant,
    call_gives,
    comparison_gives,
    constant,
    edited,
    literal,
    operator,
    returns,
    uncaught,
    without_function,
    without_method,
    without_statement,
)

LINES = ("test_sse", "test_parser")
PARSER = ("test_parser",)
ANSWERS = ("test_answers", "test_parser")
EVENTS = ("test_events", "test_parser")

_BUFFER = "protocol.parsing.lines:LineBuffer."
_PARSER = "protocol.parsing.parser:EventParser."
_BODIES = "protocol.parsing.bodies:"
_DECODING = "protocol.parsing.decoding:"
_EVENTS = "protocol.parsing.events:"
_NOTICE = _EVENTS + "read_notice"


def _loses_unfinished_line(push: Callable[..., str]) -> Any:
    def replacement(self: Any, data: bytes) -> str:
        if b"\n" in data:
            self.flush()
        return push(self, data)

    return replacement


def _keeps_flushed_line(flush: Callable[..., str]) -> Any:
    def replacement(self: Any) -> str:
        line = flush(self)
        self.held += line.encode()
        return line

    return replacement


def _pushes_first_line(push: Callable[..., str]) -> Any:
    def replacement(self: Any, data: bytes) -> str:
        line, end, rest = data.partition(b"\n")
        lines = push(self, line + end)
        self.held += rest
        return lines

    return replacement


def _changes_event(change: Callable[[dict[str, Any]], dict[str, Any]]) -> Any:
    """Return the change that gives another event to the method that reads one."""

    def wrapped(read: Callable[..., None]) -> Any:
        def replacement(self: Any, event: Any, line: str, events: list[Any]) -> None:
            read(self, change(event) if isinstance(event, dict) else event, line, events)

        return replacement

    return wrapped


def _reads_thoughts_only(read: Callable[[dict[str, Any]], Any]) -> Any:
    return lambda event: read(event) if event.get("subtype") == "thinking" else None


def _late_text_always(finish: Callable[..., None]) -> Any:
    def replacement(self: Any, final: dict[str, Any], events: list[Any]) -> None:
        had_text = bool(self.text)
        finish(self, final, events)
        if had_text and isinstance(events[-1], Done):
            events.insert(-1, Text(events[-1].reply.text))

    return replacement


def _succeeds_always(finish: Callable[..., None]) -> Any:
    return lambda self, final, events: finish(self, {**final, "success": True} if "success" in final else final, events)


def _smaller_limit(option: str) -> Any:
    """Return the change that makes one limit of a parser smaller by a byte."""

    def wrapped(init: Callable[..., None]) -> Any:
        def replacement(self: Any, **options: Any) -> None:
            if options.get(option, 0) > 64:  # the smallest limit that a parser accepts
                options[option] -= 1
            init(self, **options)

        return replacement

    return wrapped


def _shorter_join(node: ast.AST) -> ast.AST | None:
    """Leave out the last string where strings are joined. This function is a rule itself."""
    if not isinstance(node, ast.Call) or getattr(node.func, "attr", "") != "join":
        return None
    most = ast.Slice(upper=ast.Constant(-1))
    return ast.Call(node.func, [ast.Subscript(node.args[0], most, ast.Load())], [])


def _reads_a_ping(decode: Callable[[str], Any]) -> Any:
    return lambda payload: decode(payload) or {"type": "ping"}


def _same_text(function: Callable[[str], str]) -> Any:
    return lambda text: text


def _any_reported_status(reported: Callable[..., Any]) -> Any:
    def replacement(answer: dict[str, Any], status: int) -> Any:
        data = answer.get("data")
        return data.get("status", status) if isinstance(data, dict) else status

    return replacement


def _skips_byte_after_run(read_run: Callable[..., tuple[int, bool]]) -> Any:
    def replacement(self: Any, text: str, position: int, events: list[Any]) -> tuple[int, bool]:
        known = len(events)
        position, sound = read_run(self, text, position, events)
        return position + (len(events) > known), sound

    return replacement


def _forgets_partial_text(fail: Callable[..., None]) -> Any:
    def replacement(self: Any, error: Any, events: list[Any]) -> None:
        fail(self, error, events)
        error.partial_text = ""

    return replacement


def _refusal_without_delay(refusal: Callable[..., Any]) -> Any:
    def replacement(status: int, code: str, message: str, headers: dict[str, str], *more: Any, **options: Any) -> Any:
        kept = {name: value for name, value in headers.items() if name != "retry-after"}
        return refusal(status, code, message, kept, *more, **options)

    return replacement


def _end_of_empty_stream(read_answer: Callable[..., Any]) -> Any:
    def replacement(body: str, status: int, headers: dict[str, str], *, streamed: bool = False) -> Any:
        return read_answer(body, status, headers, streamed=streamed and bool(body))

    return replacement


def _text_after_json(decode: Callable[[str], Any]) -> Any:
    return lambda text: decode(text[: text.rfind("}") + 1] or text)


MUTANTS = [
    Mutant("a CR does not end a line", _BUFFER + "push", edited(literal(b"\r", b"\n")), LINES),
    Mutant("the unfinished line is lost", _BUFFER + "push", _loses_unfinished_line, LINES),
    Mutant("the unfinished line comes twice", _BUFFER + "flush", _keeps_flushed_line, LINES),
    Mutant("only the first line of a chunk is returned", _BUFFER + "push", _pushes_first_line, LINES),
    Mutant("the byte order mark stays", _PARSER + "_read_line", edited(without_method("lstrip")), PARSER),
    Mutant("the space after data: is not optional", "protocol.parsing.parser:_FIELD_SIZE", constant(6), PARSER),
    *(
        Mutant(
            f"bytes that are not UTF-8 are dropped: {path.rpartition('.')[2]}",
            path,
            edited(literal("replace", "ignore")),
            LINES,
        )
        for path in (_PARSER + "receive_data", _BUFFER + "push", _BUFFER + "flush")
    ),
    Mutant(
        "U+2028 ends a line",
        _PARSER + "_read",
        lambda read: lambda self, lines, events: read(self, lines.replace("\u2028", "\n"), events),
        PARSER,
    ),
    Mutant("the subtype content is a notice", _NOTICE, edited(literal("content", "?")), PARSER),
    Mutant("notices are text", _NOTICE, _reads_thoughts_only, PARSER),
    Mutant("a notice needs no type", _NOTICE, edited(literal("live", "usage")), PARSER),
    Mutant(
        "null is text",
        _PARSER + "_read_event",
        _changes_event(lambda event: event | {"data": "" if event.get("data") is None else event["data"]}),
        PARSER,
    ),
    Mutant("events that are not JSON are ignored", "protocol.parsing.parser:_decode", _reads_a_ping, PARSER),
    Mutant(
        "an empty error ends the answer",
        _PARSER + "_read_event",
        _changes_event(
            lambda event: event | {"data": "?"} if event.get("type") == "error" and not event.get("data") else event
        ),
        PARSER,
    ),
    Mutant(
        "false as the final object is malformed",
        _PARSER + "_read_end_event",
        lambda read: lambda self, data, line, events: read(self, None if data is False else data, line, events),
        PARSER,
    ),
    Mutant("the text of the final object always comes", _PARSER + "_end_with_object", _late_text_always, PARSER),
    Mutant("a final object without success succeeds", _PARSER + "_end_with_object", _succeeds_always, PARSER),
    Mutant("the limit of an event is one byte smaller", _PARSER + "__init__", _smaller_limit("max_event_size"), PARSER),
    Mutant("the limit of a body is one byte smaller", _PARSER + "__init__", _smaller_limit("max_body_size"), PARSER),
    Mutant(
        "the limit includes the line end", _PARSER + "_receive_near_limit", edited(operator(ast.Sub, ast.Add)), PARSER
    ),
    Mutant(
        "the limit does not count earlier lines",
        _PARSER + "_receive_near_limit",
        edited(without_statement("_non_event_size")),
        PARSER,
    ),
    Mutant("the limit itself is too large", _PARSER + "_receive_near_limit", edited(operator(ast.Gt, ast.GtE)), PARSER),
    Mutant(
        "the limit of an event depends on the cut",
        _PARSER + "_receive_near_limit",
        edited(call_gives("startswith", False)),
        PARSER,
    ),
    Mutant("a run of events skips a character", _PARSER + "_read_run", _skips_byte_after_run, PARSER),
    Mutant("a run of events loses its last text", _PARSER + "_add_texts", edited(_shorter_join), PARSER),
    Mutant("an event behind other output is lost", "protocol.parsing.parser:find_event", returns(None), PARSER),
    Mutant(
        "an event behind another field is lost",
        "protocol.parsing.parser:_NEXT_LINE",
        constant(re.compile(r"\n(?!\n|:|(?:event|id|retry):)")),
        PARSER,
    ),
    Mutant(
        "lines between blank lines are lost",
        "protocol.parsing.parser:_NEXT_LINE",
        constant(re.compile(r"\n(?!\n|[^d\n][^{\n]*\n)")),
        PARSER,
    ),
    Mutant("a text without end has no limit", _PARSER + "_fits", returns(True), PARSER),
    Mutant(
        "comments are other output",
        "protocol.parsing.parser:_OUTPUT",
        constant(re.compile(r"^\ufeff*+(?!event:|id:|retry:|[^\S\n]*+\n)(.*\n)", re.MULTILINE)),
        PARSER,
    ),
    Mutant("the final reply has no limit", "protocol.parsing.parser:_utf8_size", returns(0), PARSER),
    Mutant(
        "a notice shows secrets", "protocol.parsing.parser:_malformed", edited(without_function("mask_keys")), PARSER
    ),
    Mutant("an error does not have the text so far", _PARSER + "_fail", _forgets_partial_text, PARSER),
    Mutant("the last line is lost", _PARSER + "receive_eof", edited(without_statement("_read")), PARSER),
    Mutant(
        "lines before an event stay", _PARSER + "_enter_events", edited(without_statement("_forget_non_events")), PARSER
    ),
    Mutant(
        "an event does not make a stream", _PARSER + "_enter_events", edited(without_statement("_streamed")), PARSER
    ),
    *(
        Mutant(f"an event is not noted: {name}", _PARSER + name, edited(without_statement("_enter_events")), PARSER)
        for name in ("receive_data", "_read_run", "_read_line")
    ),
    *(
        Mutant(f"{error} escapes the parser: {name}", _PARSER + name, edited(uncaught(error)), PARSER)
        for error in ("StopIteration", "RecursionError")
        for name in ("receive_data", "_read_run")
    ),
    *(
        Mutant(f"{error} escapes the reader of JSON", _DECODING + "decode_json", edited(uncaught(error)), ANSWERS)
        for error in ("StopIteration", "RecursionError")
    ),
    *(
        Mutant(f"{error} escapes the search for an object", _BODIES + "_find_object", edited(uncaught(error)), ANSWERS)
        for error in ("ValueError", "StopIteration", "RecursionError")
    ),
    Mutant(
        "a raw CR is white space", _PARSER + "receive_data", edited(comparison_gives(ast.NotIn, "\r", True)), PARSER
    ),
    Mutant("text after a JSON value is ignored", _DECODING + "decode_json", _text_after_json, ANSWERS),
    Mutant("a stale nonce is any refusal", _BODIES + "STALE_NONCE", constant("?"), ANSWERS),
    Mutant("a missing nonce is any refusal", _BODIES + "NO_NONCE", constant("?"), ANSWERS),
    Mutant(
        "JSON after warnings is not found",
        _BODIES + "_OBJECT",
        constant(re.compile(r"\A[ \t\ufeff]*(\{)")),
        ANSWERS,
    ),
    Mutant("dates are not read", _BODIES + "_http_date", returns(None), ANSWERS),
    Mutant("a refusal has no delay", _BODIES + "refusal", _refusal_without_delay, ANSWERS),
    Mutant("a delay is a date only", _BODIES + "retry_after", edited(call_gives("isdigit", False)), ANSWERS),
    Mutant("no page is a block", _BODIES + "find_block", returns(""), ANSWERS),
    Mutant("a message shows an API key", _BODIES + "mask_keys", _same_text, ANSWERS),
    Mutant("a message contains a lone surrogate", _BODIES + "printable", _same_text, ANSWERS),
    Mutant("a reference of many digits raises", _BODIES + "unescape", lambda old: html.unescape, ANSWERS),
    Mutant("any status in a body counts", _BODIES + "_reported_status", _any_reported_status, ANSWERS),
    Mutant("a reached limit is a server error", _BODIES + "_LIMIT_TEXTS", constant(set()), ANSWERS),
    Mutant("an address shows secrets", _BODIES + "_SECRET_PARAMETER", constant(re.compile("(?!)")), ANSWERS),
    Mutant("a stream without an end is an empty body", _BODIES + "read_answer", _end_of_empty_stream, ANSWERS),
    Mutant(
        "a message keeps its HTML", _BODIES + "visible_text", lambda old: lambda text, limit=300: text[:limit], ANSWERS
    ),
    Mutant("a number may be infinite", _EVENTS + "to_number", edited(operator(ast.Lt, ast.LtE)), EVENTS),
]
