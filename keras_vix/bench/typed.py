"""What is typed on a command line as plain data: `m=64`, `performer_softmax:m=64,linformer`."""

import json
import tomllib
from typing import Any

LONGEST = 2_000  # characters of a value


def scalar(text: str) -> Any:
    """A value typed on a command line: a TOML or JSON value, or else the word itself.

    `3` is a number, `true` and `null` are themselves, `[8, 8, 1]` is a list, `softmax` and `"softmax"` are strings.

    Raises:
        ValueError: it is longer than any value.
    """
    if len(text) > LONGEST:
        raise ValueError(f"A value has at most {LONGEST:,} characters. Received: {text[:40]!r} and {len(text) - 40:,} more.")
    try:
        found = tomllib.loads(f"value = {text}")
        if set(found) == {"value"}:
            return found["value"]
    except (ValueError, RecursionError):
        pass
    try:
        return json.loads(text, parse_constant=str)
    except (ValueError, RecursionError):
        return text


def pair(text: str) -> tuple[str, Any]:
    """`key=value` as a key and its value.

    Raises:
        ValueError: there is no `=`, or the key is no plain name.
    """
    key, sign, value = text.partition("=")
    if not sign or not key.strip().isidentifier() or not value.strip():
        raise ValueError(f"An option is written key=value. Received: {text!r}; write for example m=64.")
    return key.strip(), scalar(value.strip())


def row_of(text: str) -> dict[str, Any]:
    """`performer_softmax:m=64` as the row `{"preset": "performer_softmax", "m": 64}`."""
    preset, *options = text.split(":")
    return {"preset": preset.strip()} | dict(pair(option) for option in options)


def rows_of(text: str) -> list[dict[str, Any]]:
    """Rows from a list with commas; brackets keep their commas, so `a:input_shape=[8,8,1],b` is two rows.

    Raises:
        ValueError: the list is empty or has an empty place.
    """
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if not all(part.strip() for part in parts):
        raise ValueError(f"Models are names with commas between them. Received: {text!r}.")
    return [row_of(part) for part in parts]
