"""The parameters of OpenAI's API that a site cannot honour: which are refused, and which are ignored.

The guide shows these tables. A parameter is refused if the client relies on it: without it, the answer would have
another form or another meaning. A parameter is ignored if it only asks for a style, a size or a price.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import Refusal


class Refused(NamedTuple):
    """A parameter that is refused, except with one of the values ``neutral``, which change nothing.

    Null, an empty list and an empty object are always neutral.
    """

    why: str
    neutral: tuple[object, ...] = ()


_TOOLS = Refused("the owner of a site chooses the tools of a bot, and a client can add none")
_LOGPROBS = Refused("a site sends no probabilities", (False, 0))
_STATE = Refused("the gateway stores nothing: send the whole conversation as input")
_FORMAT = Refused("a site answers with text of no particular form", ({"type": "text"},))

CHAT_REFUSED: Mapping[str, Refused] = {
    "tools": _TOOLS,
    "functions": _TOOLS,
    "web_search_options": _TOOLS,
    "n": Refused("a site gives one answer", (1,)),
    "logprobs": _LOGPROBS,
    "top_logprobs": _LOGPROBS,
    "response_format": _FORMAT,
    "stop": Refused("a site answers to the end"),
    "audio": Refused("a site answers with text"),
    "modalities": Refused("a site answers with text", (["text"],)),
}
CHAT_IGNORED = (
    "temperature",
    "top_p",
    "max_tokens",
    "max_completion_tokens",
    "presence_penalty",
    "frequency_penalty",
    "logit_bias",
    "seed",
    "reasoning_effort",
    "verbosity",
    "tool_choice",
    "parallel_tool_calls",
    "function_call",
    "prediction",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
)

RESPONSES_REFUSED: Mapping[str, Refused] = {
    "previous_response_id": _STATE,
    "conversation": _STATE,
    "prompt": Refused("the gateway stores no prompts: send the text as input"),
    "background": Refused("the gateway stores no answers", (False,)),
    "tools": _TOOLS,
    "top_logprobs": _LOGPROBS,
    "text.format": _FORMAT,
}
RESPONSES_IGNORED = (
    "temperature",
    "top_p",
    "max_output_tokens",
    "max_tool_calls",
    "reasoning",
    "text.verbosity",
    "tool_choice",
    "parallel_tool_calls",
    "include",
    "truncation",
    "context_management",
    "metadata",
    "store",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
)


def check_parameters(body: Mapping[str, Any], refused: Mapping[str, Refused]) -> None:
    """Raise Refusal if the body has a parameter of the table with a value that is not neutral."""
    for name, entry in refused.items():
        value: Any = body
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if value is None or value in ([], {}) or any(_equal(value, neutral) for neutral in entry.neutral):
            continue
        raise Refusal(400, f"{name} is not supported: {entry.why}.", code="unsupported_parameter", param=name)


def _equal(value: object, neutral: object) -> bool:
    return type(value) is type(neutral) and value == neutral
