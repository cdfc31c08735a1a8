"""The rows of all benchmarks: the mark of each, its unit, and what it means to a user. README.rst shows the same."""

from __future__ import annotations

from typing import NamedTuple


class Row(NamedTuple):
    """One row: the largest figure that is good enough, its unit ("x" is a ratio), and its meaning in one sentence."""

    mark: float
    meaning: str
    unit: str = "x"


_READ1 = "over a requests loop that reads by read1"
_AIOHTTP = "over an aiohttp loop"
_GROWTH = "1 is linear, 2 is quadratic"

ROWS: dict[str, dict[str, Row]] = {
    "parser": {
        "tokens": Row(0.8, "Short events, one in each piece, as a model writes them."),
        "burst": Row(0.45, "Short events in pieces of 64 KiB, as a proxy with a buffer sends them."),
        "drip": Row(2.0, "Short events in pieces of 17 bytes."),
        "notices": Row(1.05, "The notices of a site whose event logs are on, one in each piece."),
        "notices burst": Row(1.05, "The same notices in pieces of 64 KiB."),
        "long": Row(0.85, "Events of 1 KB in pieces of 64 KiB."),
        "escapes": Row(0.8, "Russian text, which PHP writes as escapes, one event in each piece."),
        "escapes burst": Row(0.45, "The same text in pieces of 64 KiB."),
        "filler": Row(0.2, "A line that is not an event, over an event of tokens."),
        "huge": Row(2.1, "The time of an event of 5 MB over that of one of 2.5 MB: 2 is linear."),
    },
    "imports": {
        "EventParser": Row(0.22, "The CPU time of the import of the parser, over that of import requests."),
    },
    "client": {
        "Client, burst": Row(0.9, f"CPU of an answer that arrives at once, {_READ1}."),
        "AsyncClient, burst": Row(0.6, f"The same, {_AIOHTTP}."),
        "Client, notices": Row(1.0, f"CPU of notices that arrive at once, {_READ1}."),
        "AsyncClient, notices": Row(1.0, f"The same, {_AIOHTTP}."),
        "Client, long": Row(1.0, f"CPU of events of 1 KB that arrive at once, {_READ1}."),
        "AsyncClient, long": Row(1.0, f"The same, {_AIOHTTP}."),
        "Client, paced": Row(0.95, f"CPU while an answer streams, one event a read, {_READ1}."),
        "AsyncClient, paced": Row(1.05, f"The same, {_AIOHTTP}."),
        "Client, chat": Row(1.1, f"CPU of a short answer on an open connection, {_READ1}."),
        "AsyncClient, chat": Row(1.3, f"The same, {_AIOHTTP}."),
        "Client, first event": Row(1.1, f"Time from making a client to the first event, nonce known, {_READ1}."),
        "AsyncClient, first event": Row(1.1, f"The same, {_AIOHTTP}."),
        "Client, new": Row(1.1, f"Time from making a client to the first event, with its nonce request, {_READ1}."),
        "AsyncClient, new": Row(1.1, f"The same, {_AIOHTTP}."),
        "Client, burst, TLS": Row(1.0, f"CPU of an answer that arrives at once over TLS, {_READ1}."),
        "AsyncClient, burst, TLS": Row(1.0, f"The same, {_AIOHTTP}."),
        "Client, chat, TLS": Row(1.1, f"CPU of a short answer on an open TLS connection, {_READ1}."),
        "AsyncClient, chat, TLS": Row(1.3, f"The same, {_AIOHTTP}."),
        "Client, new, TLS": Row(1.1, f"Time from making a client to the first event, over TLS, {_READ1}."),
        "AsyncClient, new, TLS": Row(1.1, f"The same, {_AIOHTTP}."),
    },
    "distance": {
        f"{client}, {state}, {what}": Row(mark, f"{meaning}, beyond the best hand-written loop.", unit)
        for state, words in (
            ("new", "a new client"),
            ("session known", "a new client that knows its nonce"),
            ("warm", "a client with an open connection"),
        )
        for client in ("Client", "AsyncClient")
        for what, mark, unit, meaning in (
            ("round trips", 0, "", f"Round trips of 80 ms to the first event over TLS of {words}"),
            ("time", 2, "ms", f"Time to the first event over TLS of {words}"),
        )
    },
    "streams": {
        f"{count} streams, {name}": row
        for count in (200, 1000)
        for name, row in {
            "starts": Row(1.1, f"CPU of the starts of the streams, {_AIOHTTP}."),
            "events": Row(1.1, f"CPU of the events after the starts, {_AIOHTTP}."),
            "lag": Row(1.0, f"The 99th percentile of the time from sending an event to reading it, {_AIOHTTP}."),
            "memory": Row(0.8, f"Memory of a stream near the end of an answer of 300 events, {_AIOHTTP}."),
            "aclose": Row(1.1, f"CPU of aclose() of all streams in the middle of their answers, {_AIOHTTP}."),
        }.items()
    },
    "hostile": {
        "comments": Row(10, "The p99 lag of 499 streams while another one sends gzip of comment lines.", "ms"),
        "tiny chunks": Row(10, "The p99 lag of 499 streams while another one sends a million tiny chunks.", "ms"),
    },
    "uploads": {
        "Client, 100 MB": Row(1.1, "CPU of an upload of 100 MB, over requests with the same body as a file."),
        "AsyncClient, 100 MB": Row(1.1, "CPU of an upload of 100 MB, over aiohttp with the same body as a file."),
        "Client, time": Row(5, "Wall-clock time of an upload of 100 MB over loopback.", "s"),
        "AsyncClient, time": Row(5, "Wall-clock time of an upload of 100 MB over loopback.", "s"),
    },
    "history": {
        "600 messages": Row(2.0, "CPU of preparing a question behind 600 messages, over json.dumps of the same body."),
    },
    "derived": {
        f"{client}, {kind}, {what}": row
        for client in ("Client", "AsyncClient")
        for kind in ("visitor", "bot")
        for what, row in {
            "time": Row(20, f"CPU of one with_options() for a {kind}.", "us"),
            "memory": Row(3, f"Memory of a client of with_options() for a {kind}.", "KB"),
        }.items()
    },
    "memory": {
        "tokens": Row(1, "Memory beyond the text, while 200 MB of short events arrive.", "MB"),
        "tokens, end": Row(1.1, "Memory beyond the text when that reply is returned, over the text."),
        "long": Row(1, "Memory beyond the text, while 200 MB of long events arrive.", "MB"),
        "long, end": Row(1.1, "Memory beyond the text when that reply is returned, over the text."),
        "huge, peak": Row(3, "The peak of memory while one event of 5 MB arrives, over the event."),
    },
    "scale": {
        **{
            f"{client}, {what}": Row(1.1, f"Growth of the CPU {meaning}: {_GROWTH}.", "")
            for what, meaning in (
                ("short events", "of answers up to 100 MB in short events"),
                ("long events", "of answers up to 100 MB in events of 1 KB"),
                ("uploads", "of uploads up to 500 MB"),
                ("turns", "of one more turn behind up to 1,000 turns"),
            )
            for client in ("Client", "AsyncClient")
        },
        "AsyncClient, streams": Row(1.1, f"Growth of the CPU of up to 5,000 streams at once: {_GROWTH}.", ""),
        "Client, threads": Row(1.1, f"Growth of the CPU of up to 500 threads with one client: {_GROWTH}.", ""),
        "one event": Row(1.1, f"Growth of the CPU of one event up to the limit of 16 MiB: {_GROWTH}.", ""),
    },
    "gateway": {
        "requests": Row(30, "The time of a short answer that is not streamed, with 16 clients, over the site alone."),
        "first token": Row(25, "The time to the first token on an open connection, over the site alone."),
        "first token, added": Row(2, "The time to the first token beyond that of the site alone.", "ms"),
        "500 streams, events": Row(150, "CPU of one event, while 500 answers stream at once.", "us"),
        "500 streams, lag": Row(10, "The 99th percentile of the time from sending an event to reading it.", "ms"),
        "500 streams, memory": Row(60, "Memory of a stream near the end of an answer of 300 events.", "KB"),
        "10000 chats, memory": Row(2, "Growth of the memory from 2,000 to 10,000 chats, a tenth left by clients.", "%"),
        "10000 chats, left": Row(0, "Answers, tasks, and sockets beyond the pool, that are left after the chats.", ""),
    },
}
