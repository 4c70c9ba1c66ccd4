"""The state of a page is its URL: reading it, checking it, and writing it back. No page is defined here."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, quote, urlencode

LONGEST_TEXT = 256
MOST_ITEMS = 64
_SAFE = ",:;~"


@dataclass(frozen=True)
class Field:
    """One value that a page keeps in its URL.

    Parameters
    ----------
    name : str
        Its name there.
    kind : {'text', 'int', 'texts', 'points'}
        ``texts`` is a list with commas between; ``points`` a list of x,y pairs with semicolons between.
    default : object
        What a URL without it means; not written.
    choices : sequence, optional
        The only values that are taken.
    low, high : int
        Bounds of a number.
    """

    name: str
    kind: Literal["text", "int", "texts", "points"] = "text"
    default: Any = None
    choices: Sequence[Any] = ()
    low: int = -(2**31)
    high: int = 2**31 - 1

    def read(self, text: str) -> Any:
        """Value of a text from a URL.

        Raises
        ------
        ValueError
            If the text is none; the message says what was expected.
        """
        if self.kind == "points":
            return _read_points(text)
        if self.kind == "texts":
            items = tuple(item for item in text.split(",") if item)
            if len(items) > MOST_ITEMS or any(len(item) > LONGEST_TEXT for item in items):
                raise ValueError(f"expected at most {MOST_ITEMS} short values")
            return items
        value: Any = text
        if self.kind == "int":
            if not text.lstrip("-").isascii() or not text.lstrip("-").isdigit() or len(text) > 12:
                raise ValueError("expected a whole number")
            value = int(text)
            if not self.low <= value <= self.high:
                raise ValueError(f"expected {self.low} to {self.high}")
        elif len(text) > LONGEST_TEXT:
            raise ValueError(f"expected at most {LONGEST_TEXT} characters")
        if self.choices and value not in self.choices:
            raise ValueError(f"expected one of {', '.join(map(str, self.choices))}")
        return value

    def write(self, value: Any) -> str:
        """Text of a value for a URL."""
        if self.kind == "points":
            return ";".join(f"{x:.4g},{y:.4g}" for x, y in value)
        return ",".join(value) if self.kind == "texts" else str(value)


@dataclass(frozen=True)
class State:
    """What a page shows, and how to say it as a link.

    Attributes
    ----------
    path : str
        The page's path.
    fields : tuple of Field
        What the page reads.
    values : mapping
        Value of every field.
    problems : tuple of str
        What the URL said that was not understood.
    carried : mapping
        Known fields of other pages that links between pages keep.
    """

    path: str
    fields: tuple[Field, ...]
    values: Mapping[str, Any]
    problems: tuple[str, ...] = ()
    carried: Mapping[str, str] = field(default_factory=dict)

    def __getitem__(self, name: str) -> Any:
        return self.values[name]

    def with_values(self, **changes: Any) -> State:
        """Return the same with other values."""
        return State(self.path, self.fields, {**self.values, **changes}, self.problems, self.carried)

    def search(self, **changes: Any) -> str:
        """The query of a link to this page with some values changed; None takes one out."""
        return encode(self.fields, {**self.values, **changes}, self.carried)

    def link(self, **changes: Any) -> str:
        """Link to this page with some values changed."""
        return self.path + self.search(**changes)


def decode(path: str, fields: Sequence[Field], search: str, *, carry: Iterable[Field] = ()) -> State:
    """Read the query of a URL: known fields that are valid; the rest is named as a problem or ignored.

    Parameters
    ----------
    path : str
        The page's path.
    fields : sequence of Field
        What the page knows.
    search : str
        The query, with or without its question mark.
    carry : iterable of Field
        Fields of other pages that links keep.
    """
    try:
        given = dict(parse_qsl(search.removeprefix("?"), max_num_fields=100))
    except ValueError:
        given = {}
    values: dict[str, Any] = {}
    problems = []
    for one in fields:
        values[one.name] = one.default
        if one.name in given:
            try:
                values[one.name] = one.read(given[one.name])
            except ValueError as error:
                problems.append(f"{one.name}={given[one.name][:60]!r} in the link: {error}; left out")
    own = {one.name for one in fields}
    carried = {}
    for one in carry:
        if one.name in given and one.name not in own:
            try:
                carried[one.name] = one.write(one.read(given[one.name]))
            except ValueError:
                continue  # another page's value; that page will say so
    return State(path, tuple(fields), values, tuple(problems), carried)


def encode(
    fields: Sequence[Field], values: Mapping[str, Any], carried: Mapping[str, str] | None = None
) -> str:
    """Write values as the query of a URL; what is the default is left out."""
    pairs = [
        (one.name, one.write(values[one.name]))
        for one in fields
        if values.get(one.name) is not None and values[one.name] != one.default and values[one.name] != ()
    ]
    pairs += list((carried or {}).items())
    return "?" + urlencode(pairs, quote_via=quote, safe=_SAFE) if pairs else ""


def changes(**values: Any) -> str:
    """The change that choosing something makes, as a control's value; None takes a field out of the URL."""
    return urlencode([(name, "" if value is None else str(value)) for name, value in values.items()])


def _read_points(text: str) -> tuple[tuple[float, float], ...]:
    pairs = [pair.split(",") for pair in text.split(";") if pair]
    if len(pairs) > MOST_ITEMS * 2 or any(len(pair) != 2 for pair in pairs):
        raise ValueError(f"expected at most {MOST_ITEMS * 2} pairs x,y with semicolons between")
    points = tuple((float(x), float(y)) for x, y in pairs)
    if not all(math.isfinite(value) for point in points for value in point):
        raise ValueError("expected finite numbers")
    return points
