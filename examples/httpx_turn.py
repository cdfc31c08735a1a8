"""Stream an answer with httpx: ``python examples/httpx_turn.py https://example.org "Hello"``."""

import secrets
import sys
import time

import httpx

from chatgpt4online import ChatError, Submission, Text, Turn


def events(turn, http):
    while (request := turn.next_request()) is not None:
        time.sleep(request.delay)
        with http.stream(request.method, request.url, headers=request.headers, content=request.body) as response:
            yield from turn.receive_response(response.status_code, response.headers.raw)
            for data in response.iter_bytes():
                yield from turn.receive_data(data)
                if turn.over:
                    break
            else:
                yield from turn.receive_eof()
    turn.result()  # raises the error of an answer that failed


def main(site, question):
    with httpx.Client(timeout=120) as http:
        for event in events(Turn(site, Submission(question, chat_id="c" + secrets.token_hex(6))), http):
            if isinstance(event, Text):
                print(event.text, end="", flush=True)
    print()


try:
    main(*sys.argv[1:])
except (ChatError, httpx.HTTPError) as error:
    sys.exit(f"failed: {error}")
