"""Stream an answer with the standard library: ``python examples/http_client_turn.py https://example.org "Hello"``."""

import http.client
import secrets
import sys
import time
from urllib.parse import urlsplit

from chatgpt4online import ChatError, Submission, Text, Turn


def events(turn):
    while (request := turn.next_request()) is not None:
        time.sleep(request.delay)
        parts = urlsplit(request.url)
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        connection = kind(parts.hostname, parts.port, timeout=120)
        target = parts._replace(scheme="", netloc="", path=parts.path or "/").geturl()
        connection.request(request.method, target, request.body, dict(request.headers))
        response = connection.getresponse()
        yield from turn.receive_response(response.status, response.getheaders())
        while not turn.over and (data := response.read1()):
            yield from turn.receive_data(data)
        if not turn.over:
            yield from turn.receive_eof()
        connection.close()
    turn.result()  # raises the error of an answer that failed


try:
    for event in events(Turn(sys.argv[1], Submission(sys.argv[2], chat_id="c" + secrets.token_hex(6)))):
        if isinstance(event, Text):
            print(event.text, end="", flush=True)
    print()
except (ChatError, http.client.HTTPException, OSError) as error:
    sys.exit(f"failed: {error}")
