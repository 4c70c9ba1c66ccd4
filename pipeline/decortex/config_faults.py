"""What is wrong with a configuration, in our words: where, what was expected, what came. Validates nothing."""

from __future__ import annotations

import difflib
import types
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

LONGEST_VALUE = 80  # characters of a value that are shown
# Kind of fault -> what was expected; fields are those of the fault's context.
_EXPECTED = {
    "int_type": "a whole number",
    "int_parsing": "a whole number",
    "int_parsing_size": "a whole number of usual size",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "bool_parsing": "true or false",
    "string_type": "text",
    "none_required": "null",
    "literal_error": "{expected}",
    "enum": "{expected}",
    "greater_than": "above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "list_type": "a list",
    "tuple_type": "a list (in Python a tuple)",
    "set_type": "a list without repeats",
    "frozen_set_type": "a list without repeats",
    "dict_type": "an object of names and values",
    "mapping_type": "an object of names and values",
    "model_type": "an object of names and values",
    "model_attributes_type": "an object of names and values",
    "dataclass_type": "an object of names and values",
    "string_pattern_mismatch": "text of the form {pattern}",
}
# Kind of fault -> the bound on a length, and whether it is the least.
_LENGTHS = {
    "too_short": ("min_length", "at least", "members"),
    "too_long": ("max_length", "at most", "members"),
    "string_too_short": ("min_length", "at least", "characters"),
    "string_too_long": ("max_length", "at most", "characters"),
}


def describe_faults(cls: type[BaseModel], faults: Sequence[ErrorDetails]) -> str:
    """All faults of a configuration, separated by semicolons, one per place.

    Parameters
    ----------
    cls : type of Config
        The configuration.
    faults : sequence of ErrorDetails
        What pydantic's ``ValidationError.errors()`` gives.

    Returns
    -------
    str
        For example ``n_init: should be at least 1 (got 0)``.
    """
    by_place: dict[tuple[str, ...], list[ErrorDetails]] = {}
    for fault in faults:
        if fault["type"] != "default_factory_not_called":  # of a default that waits for a value with a fault
            by_place.setdefault(_place(cls, fault["loc"]), []).append(fault)
    told = []
    for place, here in by_place.items():
        deeper = any(other[: len(place)] == place != other for other in by_place)
        # A list whose member has a fault is not too short as well; one form of a value that came close is enough.
        if deeper and place and all(_is_shape(fault["type"]) for fault in here):
            continue
        told.append(_fault(cls, place, here))
    return "; ".join(told)


def _is_shape(kind: str) -> bool:
    return kind == "too_short" or kind.endswith("_type") or kind in ("literal_error", "none_required")


def _fault(cls: type[BaseModel], place: tuple[str, ...], faults: Sequence[ErrorDetails]) -> str:
    """What one place of a configuration should hold, and what it holds."""
    fault = faults[0]
    where, value = ".".join(place) or cls.__name__, _shown(fault["input"])
    if fault["type"] == "extra_forbidden":
        known = _names_at(cls, place[:-1])
        near = difflib.get_close_matches(place[-1], known, n=1, cutoff=0.6)
        legal = f"; did you mean {near[0]!r}?" if near else ""
        if known and not near:
            legal = f"; the names there are {', '.join(known)}"
        return f"{where}: there is no such name{legal} (got {value})"
    if fault["type"] == "missing":
        return f"{where}: is missing and must be given"
    ours = [
        str(one.get("ctx", {}).get("error"))
        for one in faults
        if one["type"] in ("value_error", "assertion_error")
    ]
    if ours:  # a check of the configuration's own, which says itself what it expected
        return f"{where}: {ours[0]} (got {value})" if place else ours[0]
    expected = list(dict.fromkeys(_expected(one) for one in faults))
    return f"{where}: should be {' or '.join(expected)} (got {value})"


def _expected(fault: ErrorDetails) -> str:
    kind, context = fault["type"], fault.get("ctx", {})
    if kind in _LENGTHS:
        bound, word, unit = _LENGTHS[kind]
        count = context[bound]
        return f"of {word} {count} {unit if count != 1 else unit[:-1]}"
    if kind in _EXPECTED:
        values = {name: f"{one:g}" if isinstance(one, float) else one for name, one in context.items()}
        return _EXPECTED[kind].format(**values)
    return f"something else: {fault['msg']}"


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _place(cls: type[BaseModel], path: Sequence[int | str]) -> tuple[str, ...]:
    """A fault's path through names and numbers of members, without the marks that a choice of types puts in."""
    place: list[str] = []
    annotation: Any = cls
    for part in path:
        forms = _forms(annotation)
        if len(forms) > 1:  # the part names one of them, not a place
            annotation = next((form for form in forms if _mark(form) == part), forms[0])
            continue
        annotation = _inside(forms[0] if forms else Any, part)
        place.append(str(part))
    return tuple(place)


def _forms(annotation: Any) -> list[Any]:
    """The types that a value may have, None aside; what `Annotated` adds is left out."""
    if get_origin(annotation) is Annotated:
        return _forms(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [one for one in get_args(annotation) if one is not type(None)]
    return [annotation]


def _mark(form: Any) -> str:
    """How a path names a type of a choice, for those that have members."""
    return form.__name__ if isinstance(form, type) else str(form)


def _inside(annotation: Any, part: int | str) -> Any:
    """Type of a member: of a configuration by name, of a list or an object by its element."""
    if get_origin(annotation) is Annotated:
        return _inside(get_args(annotation)[0], part)
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        field = annotation.model_fields.get(str(part))
        return Any if field is None else field.annotation
    members = [one for one in get_args(annotation) if one is not Ellipsis]
    origin = get_origin(annotation)
    if not members or not isinstance(origin, type):
        return Any
    if issubclass(origin, Mapping):
        return members[-1]
    return members[part] if isinstance(part, int) and part < len(members) else members[0]


def _names_at(cls: type[BaseModel], path: Sequence[str]) -> list[str]:
    """Legal names at a place of nested configurations; none where the place has no configuration of its own."""
    annotation: Any = cls
    for part in path:
        forms = _forms(annotation)
        found = [_inside(form, int(part) if part.isdecimal() else part) for form in forms]
        annotation = next((one for one in found if one is not Any), Any)
    models = [one for one in _forms(annotation) if isinstance(one, type) and issubclass(one, BaseModel)]
    return list(models[0].model_fields) if len(models) == 1 else []
