"""The gateway behind a real uvicorn, in front of a site on loopback."""

from __future__ import annotations

from ..site import serve_site
from ..support.gateway import serve_gateway


def test_answer_is_not_that_of_the_site() -> None:
    with serve_site(["Hel", "lo"]) as site, serve_gateway(site.url) as gateway:
        whole = gateway.chat().json
        streamed = gateway.chat(stream=True).events
    assert whole["choices"] == [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "finish_reason": "stop"}
    ]
    assert [event["choices"][0]["delta"] for event in streamed[:-1]] == [
        {"role": "assistant", "content": ""},
        {"content": "Hel"},
        {"content": "lo"},
        {},
    ]
    assert streamed[-1] == "[DONE]"
