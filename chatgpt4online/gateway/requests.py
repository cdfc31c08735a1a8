"""The requests of OpenAI's API, checked by pydantic and turned into questions."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

from pydantic import BaseModel, StrictBool, Tag

from .errors import Json
from .messages import (
    STRING_OR_LIST,
    Attachment,
    FilePart,
    ImagePart,
    InputFilePart,
    InputImagePart,
    Message,
    TextPart,
    read_file,
    read_message,
    read_picture,
    validated,
    wrong,
)
from .parameters import CHAT_REFUSED, RESPONSES_REFUSED, check_parameters

_MOST_FILES = 50  # each is an upload to the site before the answer begins
_MOST_METADATA, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512  # the limits of OpenAI's API


@dataclass(frozen=True, slots=True)
class Question:
    """A request that can be asked: for both endpoints.

    ``messages`` is a prompt for :meth:`~chatgpt4online.AsyncClient.events`: the history as texts, and the question with
    all pictures of the conversation. The last ``own_pictures`` of these belong to the question itself. ``user`` is the
    ``user`` field as a string, or ``""``. ``echo`` holds the parameters that the answer repeats.
    """

    model: str
    messages: list[Json]
    attachments: tuple[Attachment, ...]
    is_streamed: bool
    include_usage: bool
    user: str
    own_pictures: int = 0
    echo: Json = field(default_factory=dict)

    def with_pictures(self, most: int) -> Question:
        """Return the question without the oldest pictures of earlier messages, so that at most ``most`` remain.

        The pictures of the question remain in any case: a client should get an error for more than a bot accepts.
        """
        *history, last = self.messages
        text, *pictures = last["content"]
        surplus = len(pictures) - max(most, self.own_pictures)
        if surplus <= 0:
            return self
        return replace(self, messages=[*history, {**last, "content": [text, *pictures[surplus:]]}])


class StreamOptions(BaseModel):
    """The options of a streamed answer."""

    include_usage: StrictBool | None = None


class ChatRequest(BaseModel):
    """The body of ``POST /v1/chat/completions``. ``parameters`` lists the parameters that are not here."""

    model: str
    messages: list[Any]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: Any = None
    safety_identifier: Any = None


class ResponsesRequest(BaseModel):
    """The body of ``POST /v1/responses``. ``parameters`` lists the parameters that are not here."""

    model: str
    input: Annotated[Annotated[str, Tag("<string>")] | Annotated[list[Any], Tag("<list>")], STRING_OR_LIST]
    instructions: str | None = None
    metadata: Any = None
    stream: StrictBool | None = None
    user: Any = None
    safety_identifier: Any = None


def read_chat(body: Mapping[str, Any], max_messages: int) -> Question:
    """Return the question in a body of ``POST /v1/chat/completions``. Raises Refusal for any other body."""
    check_parameters(body, CHAT_REFUSED)
    request = validated(ChatRequest, body)
    messages = _messages(request.messages, "messages", max_messages)
    options = request.stream_options or StreamOptions()
    return _question(request, messages, "messages", bool(options.include_usage), {})


def read_responses(body: Mapping[str, Any], max_messages: int) -> Question:
    """Return the question in a body of ``POST /v1/responses``. Raises Refusal for any other body."""
    check_parameters(body, RESPONSES_REFUSED)
    request = validated(ResponsesRequest, body)
    _check_metadata(request.metadata)
    if isinstance(request.input, str):
        messages = [("input", Message(role="user", content=request.input))]
    else:
        messages = _messages(request.input, "input", max_messages)
    if request.instructions:
        messages.insert(0, ("instructions", Message(role="system", content=request.instructions)))
    return _question(request, messages, "input", True, _echo(request))


def _check_metadata(metadata: Any) -> None:
    """Raise Refusal for metadata that OpenAI's API would not accept. The answer repeats them."""
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise wrong("metadata", "an object of strings is expected", "invalid_type")
    too_long = any(len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE for key, value in metadata.items())
    if len(metadata) > _MOST_METADATA or too_long:
        most = f"{_MOST_METADATA} pairs, with names of {_LONGEST_KEY} and values of {_LONGEST_VALUE} characters"
        raise wrong("metadata", f"at most {most} are allowed")


def _echo(request: ResponsesRequest) -> Json:
    """Return the parameters that the answer repeats, as OpenAI's does."""
    names = {"user": request.user, "safety_identifier": request.safety_identifier}
    echo: Json = {name: value for name, value in names.items() if isinstance(value, str)}
    return echo | {"instructions": request.instructions, "metadata": request.metadata or {}}


def _messages(items: Sequence[Any], where: str, most: int) -> list[tuple[str, Message]]:
    """Return the messages of a conversation, each with its name, such as ``messages[0]``."""
    if not items:
        raise wrong(where, "at least one message is expected")
    if len(items) > most:
        problem = f"{len(items)} messages are more than the {most} that are allowed; leave out the oldest"
        raise wrong(where, problem, "array_above_max_length")
    named = [(f"{where}[{number}]", item) for number, item in enumerate(items)]
    found = [(name, read_message(item, name)) for name, item in named]
    return [(name, message) for name, message in found if message is not None]


def _question(
    request: ChatRequest | ResponsesRequest,
    messages: Sequence[tuple[str, Message]],
    where: str,
    include_usage: bool,
    echo: Json,
) -> Question:
    """Return the question that these messages make. All pictures and files belong to it, also earlier ones.

    A site reads files only with a question, and OpenAI's clients send the whole conversation each time.
    """
    if not messages or messages[-1][1].role != "user":
        param = f"{messages[-1][0]}.role" if messages else where
        raise wrong(param, "the last message is the question, so its role is 'user'")
    files = _Files(where)
    texts = [{"role": message.role, "content": files.text_of(message, name)} for name, message in messages]
    own = {part.url for part in messages[-1][1].parts() if isinstance(part, ImagePart | InputImagePart)}
    if not (texts[-1]["content"].strip() or files.pictures or files.attachments):
        raise wrong(_content_name(messages[-1][0]), "the question is empty")
    content = [{"type": "text", "text": texts[-1]["content"]}, *files.pictures.values()]
    user = request.user if request.user is not None else request.safety_identifier
    return Question(
        model=request.model,
        messages=[*texts[:-1], {"role": "user", "content": content}],
        attachments=tuple(files.attachments),
        is_streamed=bool(request.stream),
        include_usage=include_usage,
        user=_user(user),
        own_pictures=len(own),
        echo=echo,
    )


def _content_name(name: str) -> str:
    """Return the name of the content of a message. ``input`` and ``instructions`` may be contents themselves."""
    return f"{name}.content" if name.endswith("]") else name


def _user(user: Any) -> str:
    """Return the ``user`` field as a string. Some clients send an object there."""
    if user is None or isinstance(user, str):
        return user or ""
    try:
        return json.dumps(user, sort_keys=True)
    except RecursionError:
        raise wrong("user", "the value is nested too deeply") from None


class _Files:
    """The pictures and files of a conversation, each once: clients send the same one again with each question."""

    def __init__(self, where: str) -> None:
        self._where = where
        self.pictures: dict[str, Json] = {}
        self.attachments: dict[Attachment, None] = {}

    def text_of(self, message: Message, name: str) -> str:
        """Return the text of a message, and keep its files."""
        texts = []
        for number, part in enumerate(message.parts()):
            place = f"{name}.content[{number}]"
            if isinstance(part, ImagePart | InputImagePart):
                picture = read_picture(part, place)
                url = picture["image_url"]["url"]
                self.pictures.pop(url, None)  # one that is sent again belongs to the later message
                self.pictures[url] = picture
            elif isinstance(part, FilePart):
                self.attachments[read_file(part.file, f"{place}.file")] = None
            elif isinstance(part, InputFilePart):
                self.attachments[read_file(part, place)] = None
            else:
                texts.append(part.text if isinstance(part, TextPart) else part.refusal)
        if len(self.pictures) + len(self.attachments) > _MOST_FILES:
            problem = f"at most {_MOST_FILES} pictures and files are allowed"
            raise wrong(self._where, problem, "array_above_max_length")
        text = "\n".join(texts)
        try:
            text.encode()
        except UnicodeEncodeError:
            raise wrong(_content_name(name), "the text has half a character (a lone surrogate)") from None
        return text
