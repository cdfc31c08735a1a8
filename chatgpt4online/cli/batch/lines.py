"""Lines of JSON, as people and programs write them."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from ... import InvalidInput

_KINDS = {dict: "an object", list: "a list", str: "a string", bool: "true or false", type(None): "null"}
_LONGEST = 60  # characters of a value in an error message


def read_object(line: bytes) -> dict[str, Any]:
    """Return the object in a line of JSON. Raises InvalidInput for any other line, and for a name that comes twice."""
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"it is not UTF-8 text: byte {error.start + 1} is 0x{line[error.start]:02x}") from None
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        raise InvalidInput(f"it is not JSON: {error.msg} at character {error.pos + 1}") from None
    except RecursionError:
        raise InvalidInput("it is nested too deeply") from None
    except InvalidInput:
        raise
    except ValueError as error:  # a number with more digits than Python reads
        raise InvalidInput(f"it cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise InvalidInput(f"it is {shown(value)}, and not an object in braces")
    return value


def shown(value: object) -> str:
    """Return a JSON value for an error message, with its kind: ``a number: 5``."""
    kind = _KINDS.get(type(value), "a number")
    if value is None or isinstance(value, dict | list):
        return kind
    text = json.dumps(value, ensure_ascii=False)
    return f"{kind}: {text if len(text) <= _LONGEST else text[:_LONGEST] + '...'}"


def refuse_other_names(found: dict[str, Any], known: tuple[str, ...], where: str = "") -> None:
    """Raise InvalidInput if an object has another name than these. ``where`` begins the message."""
    for name in found:
        if name not in known:
            raise InvalidInput(f'{where}"{name[:_LONGEST]}" is not one of {", ".join(known)}')


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise InvalidInput(f'it has "{twice[:_LONGEST]}" twice')
    return found


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidInput(f"it is not JSON: {name} is not a number")
