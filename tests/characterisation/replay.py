"""Replay a row of the table: give the answers to a machine, and return the outcome."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path as File
from typing import Any, NamedTuple

from ..support.exchanges import sent_json
from .answers import (
    ANSWERS,
    BODIES,
    BUSY,
    FAILURES,
    FILES,
    LARGE,
    LISTS,
    LIVE,
    NOT_FOUND,
    PAGE_ANSWERS,
    REDIRECTED,
    REFUSALS,
    SESSION_ANSWERS,
    STALE,
    STREAMS,
    VALUES,
    Answer,
)
from .paths import SITE, Path, all_paths
from .subjects import SUBJECTS, Machine, Request, Session, failure

TABLE = File(__file__).parent / "table.jsonl"
CHANGED = File(__file__).parent / "changed.jsonl"
_WATCHED = {"authorization", "cookie", "proxy-authorization", "x-wp-nonce", "x-team"}
_KINDS = {"application/json": "json", "multipart/form-data; boundary=boundary": "multipart", "": "none"}


class Row(NamedTuple):
    """The name of one case.

    ``subject``, ``step``, ``login`` and ``renewed`` name a path. ``live`` says whether an event of the answer is
    returned before the rest of it. ``retries`` is the number of retries that are allowed; ``2-1`` means that one of two
    was used already.
    """

    subject: str
    step: str
    login: str
    renewed: str
    live: str
    retries: str
    answer: str

    def __str__(self) -> str:
        return " / ".join(self)


def play(row: Row) -> dict[str, Any]:
    """Return the outcome of a row as a value for JSON. Usual values are left out."""
    path = _paths()[row[:4]]
    allowed, _, used = row.retries.partition("-")
    session = Session(nonce=path.nonce, root=path.root)
    options = {"retries": int(allowed), **path.options}
    subject = SUBJECTS[path.subject](path.site, session, path.headers, **options)
    machine = subject.machine
    outcome: dict[str, Any] = {}
    try:
        for name in (*path.before, *["html_503"] * int(used or 0)):
            if (request := machine.next_request()) is None:
                return {"asked": f"nothing, since it was over before {name}"}
            _give(machine, request, ANSWERS[name])
        if (request := machine.next_request()) is None:
            return {"asked": "nothing, since it was over"}
        outcome["asked"] = _address(request)
        session.nonce = path.meanwhile or session.nonce
        events = _give(machine, request, ANSWERS[row.answer], LIVE if row.live == "live" else b"")
        following = machine.next_request()
    except Exception as error:  # the table stores it like any other outcome
        return {**outcome, "raised": type(error).__name__}
    if events and path.subject.startswith("turn"):  # only a question returns events to its caller
        outcome["events"] = " ".join(type(event).__name__ for event in events)
    outcome |= _ending(subject.value) if following is None else _described(following)
    kept = {"nonce": session.nonce, "session_id": session.session_id, "root": session.root}
    return outcome | {f"kept_{name}": value for name, value in kept.items() if value}


def _give(machine: Machine, request: Request, answer: Answer, first: bytes = b"") -> list[Any]:
    """Give an answer to a machine, as an adapter does, and return the events."""
    if answer.headless:
        return list(machine.receive_error(failure(answer.failure)))
    events = list(machine.receive_response(answer.status, answer.head(request.url)))
    for piece in (first, *answer.body):
        if piece and not machine.over:
            events += machine.receive_data(piece)
    if machine.over:
        return events
    return events + (machine.receive_error(failure(answer.failure)) if answer.failure else machine.receive_eof())


def _described(request: Request) -> dict[str, Any]:
    """Return the fields of a request that the table compares."""
    headers = {name.lower(): value for name, value in request.headers.items()}
    carried = sorted(headers.keys() & _WATCHED)
    described: dict[str, Any] = {"asks": _address(request)}
    if carried:
        described["carries"] = " ".join(carried)
    if "authorization" in headers:
        described["scheme"] = headers["authorization"].partition(" ")[0]
    if "x-wp-nonce" in headers:
        described["nonce"] = headers["x-wp-nonce"]
    described["body"] = _KINDS.get(headers.get("content-type", ""), "strange")
    if described["body"] == "json":
        sent = sent_json(request)
        told = {name: sent[name] for name in ("session", "newFileId") if sent.get(name)}
        described |= {f"body_{name}": value for name, value in told.items()}
    elif described["body"] == "none" and request.body:
        described["body"] = "nameless"
    if request.delay:
        described["delay"] = request.delay
    if request.exclusive:
        described["exclusive"] = True
    return described


def _address(request: Request) -> str:
    """Return the method and the address, or only the path for an address of the usual site."""
    path = request.url.removeprefix(SITE)
    return f"{request.method} {path if path.startswith('/') else request.url}"


def _ending(value: Any) -> dict[str, Any]:
    """Return the value of a finished machine, or the fields of its error that the table compares."""
    try:
        return {"end": "done", "value": value()}
    except Exception as error:  # the table stores it like any other outcome
        ending = {"end": type(error).__name__, "message": str(error)}
        for name in ("status", "code", "clock", "retry_after", "partial_text"):
            known = getattr(error, name, None)
            if known or known == 0.0:
                ending[name] = known
        return ending


def all_rows() -> Iterator[Row]:
    """Yield every possible row, in the order of the paths."""
    for path in all_paths():
        plain = " " not in path.step
        for name in _answers(path):
            yield Row(*path.name, "-", "0", name)
        if path.kind in ("main", "upload", "question") and path.subject != "visit_page" and (plain or path.full):
            for name in _LIVE if path.full else _LIVE_USUAL:
                yield Row(*path.name, "live", "1" if name in BUSY else "0", name)
        if (plain and not path.brief) or path.full:
            for name in _RETRIED if path.full else _RETRIED_USUAL:
                yield Row(*path.name, "-", "1", name)
                yield Row(*path.name, "-", "2-1", name)
            for name in _RETRIED_USUAL:
                yield Row(*path.name, "-", "1-1", name)
                yield Row(*path.name, "-", "2", name)


def _answers(path: Path) -> list[str]:
    """Return the names of the answers that are tried on a path."""
    if "small" in path.step:
        return ["session", "page", *LARGE]
    kind = "page" if path.subject == "visit_page" else path.subject if path.kind == "main" else path.kind
    good = [*_GOOD[kind]]
    if path.brief:
        return [*good[:3], *_BRIEF]
    if not path.full:
        moves = any(word in path.step for word in ("redirected", "moved", "plain"))
        return [*good[:6], *_USUAL, *(name for name in REDIRECTED if moves and name.startswith(("to_302", "to_307")))]
    strange = ["session", "page", "stream"]
    groups = (good, strange, STALE, BODIES, NOT_FOUND, REFUSALS, BUSY, FAILURES, REDIRECTED)
    return [name for group in groups for name in group if not name.startswith("html_404_link_") or name in _USUAL]


_GOOD: Mapping[str, Mapping[str, Answer]] = {
    "session": SESSION_ANSWERS,
    "page": PAGE_ANSWERS,
    "turn": STREAMS,
    "question": STREAMS,
    "list_discussions": LISTS,
    "upload": FILES,
    "public_call": VALUES,
    "public_get": VALUES,
    "public_get_login": VALUES,
}
_BRIEF = (
    *("stale", "forbidden_401", "html_200", "failure_200", "no_route", "html_404", "html_404_link", "html_503"),
    *("fatal_500", "lost", "head_lost", "to_302_path", "to_302_directory", "to_307_itself", "to_307_host"),
)
_USUAL = (
    *_BRIEF,
    *("stale_header", "forbidden_401_header", "empty_200", "challenge_200", "error_event", "cut"),
    *("html_404_link_foreign", "html_404_link_known", "not_logged_in_401", "html_403", "hopeless"),
    *("to_302_none", "to_307_path", "to_307_www", "to_307_http", "unfinished_503", "unfinished_404"),
)
_LIVE_USUAL = ("cut", "stale", "html_503", "body_lost", "html_404")
_LIVE = (
    *("stream", "reply", "success_only", "empty_200", "cut", "cut_stream", "words_200", "html_200", "error_event"),
    *("empty_error_event", "failure_200", "failure_500", "stream_failure", "fatal_500", "stale", "stale_under_200"),
    *("forbidden_401", "forbidden_403_header", "html_404", "no_route", "html_429", "html_503", "html_503_after_5"),
    *("html_504", "head_lost", "head_hopeless", "body_lost", "body_timeout_idle", "body_timeout_total"),
)
_RETRIED = (*BUSY, *(name for name, answer in FAILURES.items() if answer.headless), "head_lost", "head_503_lost")
_RETRIED_USUAL = ("html_429_after_5", "html_503", "lost")


@cache
def _paths() -> Mapping[tuple[str, str, str, str], Path]:
    paths = list(all_paths())
    named = {path.name: path for path in paths}
    if len(named) < len(paths):
        raise ValueError("two paths have one name")
    return named


def read_table() -> dict[Row, dict[str, Any]]:
    """Return the table: the outcome of each row."""
    with TABLE.open(encoding="utf-8") as lines:
        return {Row(*line.pop("row")): line for line in map(json.loads, lines)}


def read_changed() -> dict[Row, tuple[str, dict[str, Any]]]:
    """Return the rows with an intended change: the key of its reason, and the new outcome."""
    changed = {}
    for line in CHANGED.read_text("utf-8").splitlines():
        outcome = json.loads(line)
        changed[Row(*outcome.pop("row"))] = outcome.pop("reason"), outcome
    return changed
