"""The requests of OpenAI's API, checked by pydantic and turned into questions."""

from __future__ import annotations

import json
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Discriminator, Field, StrictBool, Tag, ValidationError

from .errors import Json, Refusal
from .parameters import CHAT_REFUSED, RESPONSES_REFUSED, check_parameters

ModelT = TypeVar("ModelT", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a request: its name and its bytes."""

    name: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Question:
    """A request that can be asked: for both endpoints.

    ``messages`` is a prompt for :meth:`~chatgpt4online.AsyncClient.events`: the history as texts, and the question with
    all pictures. ``user`` is the ``user`` field as a string, or ``""``.
    """

    model: str
    messages: list[Json]
    attachments: tuple[Attachment, ...]
    is_streamed: bool
    include_usage: bool
    user: str


class TextPart(BaseModel):
    """A text in a message."""

    type: Literal["text", "input_text", "output_text"]
    text: str


class RefusalPart(BaseModel):
    """A refusal of the model in an earlier message, which is text to the site."""

    type: Literal["refusal"]
    refusal: str


class ImageUrl(BaseModel):
    """The address of a picture."""

    url: str


class ImagePart(BaseModel):
    """A picture in a message of chat completions."""

    type: Literal["image_url"]
    image_url: ImageUrl


class InputImagePart(BaseModel):
    """A picture in the input of a response."""

    type: Literal["input_image"]
    image_url: str


class FileData(BaseModel):
    """A file as a ``data:`` URL or in base64."""

    file_data: str
    filename: str = "file.pdf"


class FilePart(BaseModel):
    """A file in a message of chat completions."""

    type: Literal["file"]
    file: FileData


class InputFilePart(FileData):
    """A file in the input of a response."""

    type: Literal["input_file"]


Part: TypeAlias = TextPart | RefusalPart | ImagePart | InputImagePart | FilePart | InputFilePart


def _kind(content: Any) -> str | None:
    """Return the tag of a content. The tags are in brackets, so that no message shows them."""
    if isinstance(content, str):
        return "<text>"
    return "<parts>" if isinstance(content, list) else None


Content: TypeAlias = Annotated[
    Annotated[str, Tag("<text>")] | Annotated[list[Annotated[Part, Field(discriminator="type")]], Tag("<parts>")],
    Discriminator(
        _kind,
        custom_error_type="content",
        custom_error_message="a string or a list of parts is expected",
    ),
]


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content | None = None


class StreamOptions(BaseModel):
    """The options of a streamed answer."""

    include_usage: StrictBool | None = None


class ChatRequest(BaseModel):
    """The body of ``POST /v1/chat/completions``. ``parameters`` lists the parameters that are not here."""

    model: str
    messages: list[Message]
    stream: StrictBool | None = None
    stream_options: StreamOptions | None = None
    user: Any = None
    safety_identifier: Any = None


class ResponsesRequest(BaseModel):
    """The body of ``POST /v1/responses``. ``parameters`` lists the parameters that are not here."""

    model: str
    input: str | list[Any]
    instructions: str | None = None
    stream: StrictBool | None = None
    user: Any = None
    safety_identifier: Any = None


def read_chat(body: Mapping[str, Any], max_messages: int) -> Question:
    """Return the question in a body of ``POST /v1/chat/completions``. Raises Refusal for any other body."""
    check_parameters(body, CHAT_REFUSED)
    request = _validated(ChatRequest, body)
    options = request.stream_options or StreamOptions()
    return _question(request, request.messages, "messages", max_messages, bool(options.include_usage))


def read_responses(body: Mapping[str, Any], max_messages: int) -> Question:
    """Return the question in a body of ``POST /v1/responses``. Raises Refusal for any other body."""
    check_parameters(body, RESPONSES_REFUSED)
    request = _validated(ResponsesRequest, body)
    if isinstance(request.input, str):
        messages = [Message(role="user", content=request.input)]
    else:
        items = [_item(item, number) for number, item in enumerate(request.input)]
        messages = [message for message in items if message is not None]
    if request.instructions:
        messages.insert(0, Message(role="system", content=request.instructions))
    return _question(request, messages, "input", max_messages, True)


def _item(item: Any, number: int) -> Message | None:
    """Return the message in an item of ``input``, or None for an item that a site cannot read and need not."""
    kind = item.get("type", "message") if isinstance(item, Mapping) else "message"
    if kind == "reasoning":
        return None  # clients send back the output of an earlier response
    if kind != "message":
        raise _wrong(f"input[{number}].type", f"items of the type {str(kind)[:80]!r} are not supported")
    return _validated(Message, item, f"input[{number}]")


def _question(
    request: ChatRequest | ResponsesRequest, messages: Sequence[Message], where: str, most: int, include_usage: bool
) -> Question:
    """Return the question that these messages make. All pictures and files belong to it, also earlier ones.

    A site reads files only with a question, and OpenAI's clients send the whole conversation each time.
    """
    if not messages:
        raise _wrong(where, "at least one message is expected")
    if len(messages) > most:
        problem = f"{len(messages)} messages are more than the {most} that are allowed"
        raise _wrong(where, problem, "array_above_max_length")
    if messages[-1].role != "user":
        raise _wrong(f"{where}[{len(messages) - 1}].role", "the last message is the question, so its role is 'user'")
    pictures: list[Json] = []
    attachments: list[Attachment] = []
    found: list[Json] = []
    for number, message in enumerate(messages):
        texts = []
        for place, part in enumerate(_parts(message)):
            name = f"{where}[{number}].content[{place}]"
            if isinstance(part, ImagePart | InputImagePart):
                pictures.append(_picture(part, name))
            elif isinstance(part, FilePart | InputFilePart):
                attachments.append(_attachment(part.file if isinstance(part, FilePart) else part, name))
            else:
                texts.append(part.text if isinstance(part, TextPart) else part.refusal)
        found.append({"role": message.role, "content": "\n".join(texts)})
    found[-1]["content"] = [{"type": "text", "text": found[-1]["content"]}, *pictures]
    user = request.user if request.user is not None else request.safety_identifier
    return Question(
        model=request.model,
        messages=found,
        attachments=tuple(attachments),
        is_streamed=bool(request.stream),
        include_usage=include_usage,
        user=user if isinstance(user, str) else "" if user is None else json.dumps(user, sort_keys=True),
    )


def _parts(message: Message) -> list[Part]:
    if message.content is None:
        return []
    return [TextPart(type="text", text=message.content)] if isinstance(message.content, str) else message.content


def _picture(part: ImagePart | InputImagePart, name: str) -> Json:
    url = part.image_url.url if isinstance(part, ImagePart) else part.image_url
    if not url.startswith("data:image/"):
        raise _wrong(
            f"{name}.image_url",
            "a picture is a 'data:image/...;base64,...' URL, since the gateway downloads nothing",
            "invalid_image_url",
        )
    return {"type": "image_url", "image_url": {"url": url}}


def _attachment(file: FileData, name: str) -> Attachment:
    try:
        return Attachment(file.filename, b64decode(file.file_data.rpartition(",")[2], validate=True))
    except ValueError:
        raise _wrong(f"{name}.file_data", "the file is not valid base64") from None


def _validated(kind: type[ModelT], value: Any, where: str = "") -> ModelT:
    """Return a value as a pydantic model. Raises Refusal with the first error, which names the parameter."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    code = "missing_required_parameter" if first["type"] == "missing" else "invalid_type"
    raise _wrong(_path(where, first["loc"]), first["msg"], code)


def _path(where: str, location: Sequence[int | str]) -> str:
    """Return the name of a parameter, such as ``messages[0].content[1].text``, without the tags of unions."""
    path = where
    for position, key in enumerate(location):
        if isinstance(key, int):
            path += f"[{key}]"
        elif not key.startswith("<") and "<parts>" not in location[max(0, position - 2) : position]:
            path += f".{key}" if path else key
    return path


def _wrong(param: str, problem: str, code: str = "invalid_value") -> Refusal:
    return Refusal(400, f"{param}: {problem}." if param else f"{problem}.", code=code, param=param or None)
