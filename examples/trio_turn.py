"""Stream an answer with trio and h11: ``python examples/trio_turn.py https://example.org "Hello"``."""

import secrets
from urllib.parse import urlsplit

import h11
import trio

from chatgpt4online import Submission, Text, Turn


async def fetch(request, turn):
    parts, wire = urlsplit(request.url), h11.Connection(h11.CLIENT)
    opener, port = (trio.open_ssl_over_tcp_stream, 443) if parts.scheme == "https" else (trio.open_tcp_stream, 80)
    async with await opener(parts.hostname, parts.port or port) as stream:
        headers = [("Host", parts.netloc), ("Content-Length", str(len(request.body))), *request.headers.items()]
        target = parts._replace(scheme="", netloc="").geturl()
        head = h11.Request(method=request.method, target=target, headers=headers)
        await stream.send_all(wire.send(head) + wire.send(h11.Data(request.body)) + wire.send(h11.EndOfMessage()))
        while not turn.over and (event := wire.next_event()) != h11.EndOfMessage():
            if event is h11.NEED_DATA:
                wire.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                turn.receive_response(event.status_code, event.headers)
            elif isinstance(event, h11.Data):
                print(*(e.text for e in turn.receive_data(event.data) if isinstance(e, Text)), sep="", end="", flush=True)


async def main(site, question):
    turn = Turn(site, Submission(question, chat_id=secrets.token_hex(6)))
    while (request := turn.next_request()) is not None:
        await trio.sleep(request.delay)
        await fetch(request, turn)
        if not turn.over:
            turn.receive_eof()
