"""The parameters of OpenAI's API that a site cannot honour: which are refused, and which are ignored.

The guide shows these tables. A parameter is refused if the client relies on it: without it, the answer would have
another form or another meaning. A parameter is ignored if it only asks for a style, a size, a speed or a price. So is
one that OpenAI's API does not have, since other servers have many of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from .errors import Refusal


class Refused(NamedTuple):
    """A parameter that is refused, except with one of the values ``neutral``, which change nothing.

    Null and an empty list are always neutral. With ``only``, just these values are refused, also in a list.
    """

    why: str
    neutral: tuple[object, ...] = ()
    only: tuple[object, ...] = ()

    def refuses(self, value: object) -> bool:
        """Return whether a parameter with this value is refused."""
        if value is None or value == []:
            return False
        if self.only:
            return any(item in self.only for item in (value if isinstance(value, list) else [value]))
        return not any(type(value) is type(neutral) and value == neutral for neutral in self.neutral)


TOOLS = "the owner of a site chooses the tools of a bot, and a client can add none"
_TOOLS = Refused(TOOLS)
_TOOL_CHOICE = Refused(TOOLS, ("none", "auto"))
_LOGPROBS = Refused("a site sends no probabilities", (False, 0))
_STATE = Refused("the gateway stores nothing; send the whole conversation as input")
_FORMAT = Refused(
    "a site answers with text of no particular form; ask for the form in the message", ({"type": "text"},)
)
_MODERATION = Refused("a site sends no results of a moderation")
_NO_AUDIO = "a site answers with text"

_BOT = "the owner of a site sets it for a bot"
_NO_TOOLS = "a client can add no tools, so no call is made"
_SERVICE = "it is of OpenAI's service: prices, caches and speed"
_NOT_STORED = "the gateway stores nothing"

CHAT_REFUSED: Mapping[str, Refused] = {
    "tools": _TOOLS,
    "tool_choice": _TOOL_CHOICE,
    "functions": _TOOLS,
    "function_call": _TOOL_CHOICE,
    "web_search_options": _TOOLS,
    "n": Refused("a site gives one answer; send the request several times", (1,)),
    "logprobs": _LOGPROBS,
    "top_logprobs": _LOGPROBS,
    "response_format": _FORMAT,
    "stop": Refused("a site answers to the end; cut the text yourself", ("",)),
    "audio": Refused(_NO_AUDIO),
    "modalities": Refused(_NO_AUDIO, (["text"],)),
    "moderation": _MODERATION,
}
CHAT_IGNORED: Mapping[str, str] = {
    "temperature": _BOT,
    "top_p": _BOT,
    "max_tokens": _BOT,
    "max_completion_tokens": _BOT,
    "presence_penalty": _BOT,
    "frequency_penalty": _BOT,
    "logit_bias": _BOT,
    "seed": _BOT,
    "reasoning_effort": _BOT,
    "verbosity": _BOT,
    "parallel_tool_calls": _NO_TOOLS,
    "prediction": _SERVICE,
    "service_tier": _SERVICE,
    "prompt_cache_key": _SERVICE,
    "prompt_cache_options": _SERVICE,
    "prompt_cache_retention": _SERVICE,
    "metadata": _NOT_STORED,
    "store": _NOT_STORED,
}

RESPONSES_REFUSED: Mapping[str, Refused] = {
    "previous_response_id": _STATE,
    "conversation": _STATE,
    "prompt": Refused("the gateway stores no prompts; send the text as input"),
    "background": Refused("the gateway stores no answers; read the answer as a stream", (False,)),
    "prompt_cache_options.prewarm": Refused("a site has no cache to fill", (False,)),
    "tools": _TOOLS,
    "tool_choice": _TOOL_CHOICE,
    "top_logprobs": _LOGPROBS,
    "include": Refused(_LOGPROBS.why, only=("message.output_text.logprobs",)),
    "text.format": _FORMAT,
    "moderation": _MODERATION,
}
RESPONSES_IGNORED: Mapping[str, str] = {
    "temperature": _BOT,
    "top_p": _BOT,
    "max_output_tokens": _BOT,
    "reasoning": _BOT,
    "text.verbosity": _BOT,
    "truncation": _BOT,
    "context_management": _BOT,
    "image": _BOT,
    "max_tool_calls": _NO_TOOLS,
    "parallel_tool_calls": _NO_TOOLS,
    "include": "a site sends no such field, and OpenAI's API too leaves out what an answer does not have",
    "service_tier": _SERVICE,
    "access_programs": _SERVICE,
    "background_options": _SERVICE,
    "prompt_cache_key": _SERVICE,
    "prompt_cache_options": _SERVICE,
    "prompt_cache_retention": _SERVICE,
    "stream_options": "it only fills up the events, and the gateway sends none that are filled up",
    "store": _NOT_STORED,
}

MESSAGE_REFUSED: Mapping[str, Refused] = {
    "tool_calls": Refused(f"{TOOLS}; leave out the messages with calls and results"),
    "function_call": Refused(f"{TOOLS}; leave out the messages with calls and results"),
    "audio": Refused("the gateway stores no audio; send its text as content"),
}
MESSAGE_IGNORED: Mapping[str, str] = {
    "name": "a site's history has no names",
    "id": _NOT_STORED,
    "status": "a message of the history is complete",
    "phase": "a site's history has no phases",
}
PART_IGNORED: Mapping[str, str] = {
    "detail": _BOT,
    "prompt_cache_breakpoint": _SERVICE,
    "annotations": "a site's history has only texts",
    "logprobs": "a site's history has only texts",
}


def check_parameters(values: Mapping[str, Any], refused: Mapping[str, Refused], where: str = "") -> None:
    """Raise Refusal if an object has a field of the table with a value that is refused.

    ``where`` is the name of the object: ``""`` for the body of a request.
    """
    for name, entry in refused.items():
        value: Any = values
        for key in name.split("."):
            value = value.get(key) if isinstance(value, Mapping) else None
        if entry.refuses(value):
            param = f"{where}.{name}" if where else name
            raise Refusal(400, f"{param} is not supported: {entry.why}.", code="unsupported_parameter", param=param)
