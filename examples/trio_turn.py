"""Stream an answer with trio and h11: ``python examples/trio_turn.py https://example.org "Hello"``."""

import secrets
import sys
from urllib.parse import urlsplit

import h11
import trio

from chatgpt4online import Submission, Text, Turn


def show(events):
    print(*(event.text for event in events if isinstance(event, Text)), sep="", end="", flush=True)


async def perform(turn, request):
    parts, wire = urlsplit(request.url), h11.Connection(h11.CLIENT)
    connect, port = (trio.open_ssl_over_tcp_stream, 443) if parts.scheme == "https" else (trio.open_tcp_stream, 80)
    headers = [("Host", parts.netloc), ("Content-Length", str(len(request.body))), *request.headers.items()]
    target = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
    message = h11.Request(method=request.method, target=target, headers=headers), h11.Data(request.body)
    async with await connect(parts.hostname, parts.port or port) as stream:
        await stream.send_all(b"".join(map(wire.send, (*message, h11.EndOfMessage()))))
        while not turn.over and not isinstance(event := wire.next_event(), h11.EndOfMessage):
            if event is h11.NEED_DATA:
                wire.receive_data(await stream.receive_some())
            elif isinstance(event, h11.Response):
                show(turn.receive_response(event.status_code, event.headers))
            elif isinstance(event, h11.Data):
                show(turn.receive_data(event.data))


turn = Turn(sys.argv[1], Submission(sys.argv[2], chat_id="c" + secrets.token_hex(6)))
while (request := turn.next_request()) is not None:
    trio.run(perform, turn, request)
    show([] if turn.over else turn.receive_eof())
print()
turn.result()  # raises the error of an answer that failed
