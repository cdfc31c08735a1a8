"""Stream an answer with aiohttp: ``python examples/aiohttp_turn.py https://example.org "Hello"``."""

import asyncio
import secrets
import sys

import aiohttp

from chatgpt4online import ChatError, Submission, Text, Turn


def show(events):
    for event in events:
        if isinstance(event, Text):
            print(event.text, end="", flush=True)


async def main(site, question):
    turn = Turn(site, Submission(question, chat_id="c" + secrets.token_hex(6)))
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(sock_read=120)) as http:
        while (request := turn.next_request()) is not None:
            await asyncio.sleep(request.delay)
            options = {"headers": request.headers, "data": request.body, "allow_redirects": False}
            async with http.request(request.method, request.url, **options) as response:
                show(turn.receive_response(response.status, response.headers))
                async for data in response.content.iter_any():
                    show(turn.receive_data(data))
                    if turn.over:
                        break
                else:
                    show(turn.receive_eof())
    print()
    turn.result()  # raises the error of an answer that failed


try:
    asyncio.run(main(*sys.argv[1:]))
except (ChatError, aiohttp.ClientError) as error:
    sys.exit(f"failed: {error}")
