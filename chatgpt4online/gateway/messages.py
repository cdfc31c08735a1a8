"""The messages of OpenAI's API: their texts, pictures and files, checked by pydantic."""

from __future__ import annotations

import mimetypes
import re
from base64 import b64decode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

from pydantic import BaseModel, Discriminator, Field, Tag, ValidationError

from .errors import Json, Refusal
from .parameters import MESSAGE_REFUSED, TOOLS, check_parameters

ModelT = TypeVar("ModelT", bound=BaseModel)

_LONGEST_NAME = 255  # bytes of a file's name on the usual file systems
_IMAGE_URL = re.compile(r"data:image/[\w.+-]+;base64,")
_DATA_URL = re.compile(r"data:([\w.+/-]*)(?:;[^,;]*)*;base64,")
_TOOL_ROLES = ("tool", "function")
_DOWNLOADS = "the gateway downloads nothing"
_ITEMS = {
    "item_reference": "the gateway stores nothing; send the item itself",
    "compaction": "only OpenAI's service can read it; send the messages themselves",
}


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file of a request: its name and its bytes."""

    name: str
    data: bytes


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

    @property
    def url(self) -> str:
        """The address of the picture."""
        return self.image_url.url


class InputImagePart(BaseModel):
    """A picture in the input of a response."""

    type: Literal["input_image"]
    image_url: str | None = None
    file_id: Any = None

    @property
    def url(self) -> str:
        """The address of the picture, or ``""``."""
        return self.image_url or ""


class FileData(BaseModel):
    """A file as a ``data:`` URL or in base64."""

    file_data: str | None = None
    filename: str | None = Field(default=None, max_length=_LONGEST_NAME)
    file_id: Any = None
    file_url: Any = None


class FilePart(BaseModel):
    """A file in a message of chat completions."""

    type: Literal["file"]
    file: FileData


class InputFilePart(FileData):
    """A file in the input of a response."""

    type: Literal["input_file"]


Part: TypeAlias = TextPart | RefusalPart | ImagePart | InputImagePart | FilePart | InputFilePart


def _kind(value: Any) -> str | None:
    """Return the tag of a string or a list. The tags are in brackets, and no name of a parameter shows them."""
    if isinstance(value, str):
        return "<string>"
    return "<list>" if isinstance(value, list) else None


STRING_OR_LIST = Discriminator(_kind, custom_error_type="string_or_list", custom_error_message="not shown")

# Only the first error of a list is kept: a body can hold millions of wrong parts.
Parts: TypeAlias = Annotated[list[Annotated[Part, Field(discriminator="type")]], Field(fail_fast=True)]
Content: TypeAlias = Annotated[
    Annotated[str, Tag("<string>")] | Annotated[Parts, Tag("<list>")],
    STRING_OR_LIST,
]


class Message(BaseModel):
    """A message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: Content | None = None
    refusal: str | None = None

    def parts(self) -> Sequence[Part]:
        """Return the content as parts."""
        if isinstance(self.content, list):
            return self.content
        return [TextPart(type="text", text=text) for text in (self.content, self.refusal) if text]


def read_message(item: Any, name: str) -> Message | None:
    """Return the message in an item of a conversation, or None for one that a site cannot read and need not.

    ``name`` is the name of the item, such as ``messages[0]``. Raises Refusal for any other item.
    """
    if isinstance(item, Mapping):
        if item.get("role") in _TOOL_ROLES:
            problem = f"messages of tools are not supported, since {TOOLS}; leave them out"
            raise wrong(f"{name}.role", problem, "unsupported_value")
        kind = item.get("type")
        if kind == "reasoning":
            return None  # clients send back the output of an earlier response
        if kind is not None and kind != "message":
            reason = _ITEMS.get(str(kind), f"{TOOLS}; leave it out")
            problem = f"only items of the type 'message' are supported: {reason}"
            raise wrong(f"{name}.type", problem, "unsupported_value")
        check_parameters(item, MESSAGE_REFUSED, name)
    return validated(Message, item, name)


def read_picture(part: ImagePart | InputImagePart, name: str) -> Json:
    """Return a picture as a part for the prompt of a client. Raises Refusal for one that cannot be uploaded."""
    if isinstance(part, ImagePart):
        url, name = part.image_url.url, f"{name}.image_url.url"
    elif part.image_url is None:
        raise _missing(name, "image_url", file_id=part.file_id)
    else:
        url, name = part.image_url, f"{name}.image_url"
    head = _IMAGE_URL.match(url)
    if head is None:
        problem = f"a picture is a 'data:image/png;base64,...' URL, since {_DOWNLOADS}"
        raise wrong(name, problem, "invalid_image_url")
    _decoded(url[head.end() :], name, "picture", "invalid_base64_image")
    return {"type": "image_url", "image_url": {"url": url}}


def read_file(file: FileData, name: str) -> Attachment:
    """Return a file of a message. Raises Refusal for one that cannot be uploaded."""
    if file.file_data is None:
        raise _missing(name, "file_data", file_id=file.file_id, file_url=file.file_url)
    if not (file.filename or "").isprintable():  # it is sent in a header
        raise wrong(f"{name}.filename", "the name has a character that cannot be sent")
    name += ".file_data"
    head = _DATA_URL.match(file.file_data)
    if head is None and file.file_data.startswith("data:"):
        raise wrong(name, "a file is a 'data:application/pdf;base64,...' URL or base64")
    data = _decoded(file.file_data[head.end() if head else 0 :], name, "file", "invalid_value")
    ending = mimetypes.guess_extension(head[1], strict=False) if head else None
    return Attachment(file.filename or f"file{ending or '.pdf'}", data)


def _missing(name: str, wanted: str, **others: Any) -> Refusal:
    """Return the refusal of a part without the field ``wanted``. ``others`` are the fields that it may have instead."""
    for field, value in others.items():
        if value is not None:
            reason = "the gateway stores no files" if field == "file_id" else _DOWNLOADS
            problem = f"{field} is not supported, since {reason}; send {wanted}"
            return wrong(f"{name}.{field}", problem, "unsupported_parameter")
    return wrong(f"{name}.{wanted}", "a value is required", "missing_required_parameter")


def _decoded(text: str, name: str, what: str, code: str) -> bytes:
    """Return the bytes of a text in base64. Raises Refusal for another text, and for none."""
    try:
        data = b64decode(text, validate=True)
    except ValueError:
        raise wrong(name, f"the {what} is not valid base64", code) from None
    if not data:
        raise wrong(name, f"the {what} is empty", code)
    return data


# The types of pydantic's errors, and what to say. Its own messages name its own types, and some show the value, which
# can be megabytes long or secret.
_PROBLEMS = {
    "missing": ("a value is required", "missing_required_parameter"),
    "string_type": ("a string is expected", "invalid_type"),
    "bool_type": ("true or false is expected", "invalid_type"),
    "list_type": ("a list is expected", "invalid_type"),
    "model_type": ("an object is expected", "invalid_type"),
    "model_attributes_type": ("an object is expected", "invalid_type"),
    "string_or_list": ("a string or a list is expected", "invalid_type"),
    "string_too_long": (f"at most {_LONGEST_NAME} characters are allowed", "string_above_max_length"),
    "union_tag_not_found": ("a part is an object with a 'type', such as 'text' or 'image_url'", "invalid_value"),
    "union_tag_invalid": ("a site reads only texts, pictures and files: leave out parts of this type", "invalid_value"),
    "literal_error": ("the role is 'system', 'developer', 'user' or 'assistant'", "invalid_value"),
}


def validated(kind: type[ModelT], value: Any, where: str = "") -> ModelT:
    """Return a value as a pydantic model. Raises Refusal with the first error, which names the parameter."""
    try:
        return kind.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False, include_input=False)[0]
    problem, code = _PROBLEMS.get(first["type"], ("the value is not valid", "invalid_value"))
    path = _path(where, first["loc"])
    if first["type"].startswith("union_tag"):
        path += ".type"
    raise wrong(path, problem, code)


def _path(where: str, location: Sequence[int | str]) -> str:
    """Return the name of a parameter, such as ``messages[0].content[1].text``, without the tags of unions."""
    path = where
    for position, key in enumerate(location):
        if isinstance(key, int):
            path += f"[{key}]"
        elif not key.startswith("<") and "<list>" not in location[max(0, position - 2) : position]:
            path += f".{key}" if path else key
    return path


def wrong(param: str, problem: str, code: str = "invalid_value") -> Refusal:
    """Return the refusal of a parameter."""
    return Refusal(400, f"{param}: {problem}.", code=code, param=param)
