"""Whole numbers as a plan writes them: a list, a range in words (``"2..30"``), or a list with ranges in it."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, WithJsonSchema

_RANGE = re.compile(r"(\d{1,9})\.\.(\d{1,9})(?::(\d{1,9}))?")
# More numbers than anybody asks for on purpose.
LONGEST = 10_000


def read_numbers(value: Any) -> Any:
    """Write out the ranges of a plan: both ends are part of one, ``:step`` leaves numbers out.

    Raises
    ------
    ValueError
        If a text is no range, or one that goes down or is too long.

    Examples
    --------
    >>> read_numbers("2..5")
    (2, 3, 4, 5)
    >>> read_numbers([2, "4..8:2", 20])
    (2, 4, 6, 8, 20)
    >>> read_numbers([8, 2])
    (8, 2)
    """
    if isinstance(value, str):
        return tuple(_range(value))
    if isinstance(value, (list, tuple)):
        return tuple(number for one in value for number in (_range(one) if isinstance(one, str) else [one]))
    return value


def _range(text: str) -> list[int]:
    match = _RANGE.fullmatch(text.strip())
    if match is None:
        raise ValueError(
            f"{text!r} is no range; one is written '2..30', or '2..30:4' for every fourth number"
        )
    first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
    if last < first or step < 1:
        raise ValueError(
            f"the range {text!r} holds no number; the smaller end comes first: '{last}..{first}'"
        )
    found = range(first, last + 1, step)
    if len(found) > LONGEST:
        raise ValueError(f"the range {text!r} holds {len(found)} numbers; at most {LONGEST} are one")
    return list(found)


_SCHEMA = {
    "anyOf": [
        {"type": "string", "pattern": r"^\d+\.\.\d+(:\d+)?$"},
        {
            "type": "array",
            "items": {"anyOf": [{"type": "integer"}, {"type": "string", "pattern": r"^\d+\.\.\d+(:\d+)?$"}]},
        },
    ]
}
Numbers = Annotated[tuple[int, ...], BeforeValidator(read_numbers), WithJsonSchema(_SCHEMA)]
