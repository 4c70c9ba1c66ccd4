"""Configurations as values: frozen, bounded, described; and the one hash by which rows know them."""

from __future__ import annotations

import difflib
import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from decortex.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="Config")


class Config(BaseModel):
    """Base of every configuration: immutable, unknown names refused, no silent coercion of types."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    @classmethod
    def from_params(cls: type[ConfigT], params: Mapping[str, Any]) -> ConfigT:
        """Build from plain values (a JSON row, keyword arguments).

        Raises
        ------
        ConfigError
            If a name is unknown or a value out of range; the message lists every fault and the legal names.
        """
        if not isinstance(params, Mapping):
            raise ConfigError(
                f"{cls.__name__} takes its parameters by name, got a {type(params).__name__}; "
                f"it has {', '.join(cls.model_fields)}."
            )
        try:
            return cls.model_validate_json(canonical_json(dict(params)))
        except ValidationError as error:
            found = error.errors()
            deeper = {fault["loc"][:depth] for fault in found for depth in range(len(fault["loc"]))}
            # a list whose member has a fault is not too short as well
            told = [one for one in found if not (one["type"] == "too_short" and one["loc"] in deeper)]
            faults = "; ".join(_fault(cls, fault) for fault in told)
            raise ConfigError(
                f"{cls.__name__} does not take these parameters: {faults}. "
                f"It has {', '.join(cls.model_fields)}."
            ) from error

    def resolved(self) -> dict[str, Any]:
        """All parameters, defaults filled in, as plain JSON values."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain


def _fault(cls: type[Config], fault: Any) -> str:
    """One fault of a configuration in our words: where, what was expected, what came."""
    path = [str(part) for part in fault["loc"]]
    where = ".".join(path) or cls.__name__
    known = _names_at(cls, path[:-1])
    if fault["type"] == "extra_forbidden":
        near = difflib.get_close_matches(path[-1], known, n=1, cutoff=0.6)
        legal = (
            f"; did you mean {near[0]!r}?"
            if near
            else f"; the names there are {', '.join(known)}"
            if known
            else ""
        )
        return f"{where}: there is no such name{legal} (got {fault['input']!r})"
    if fault["type"] == "missing":
        return f"{where}: is missing and must be given"
    return f"{where}: {fault['msg']} (got {fault['input']!r})"


def _names_at(cls: type[Config], path: list[str]) -> list[str]:
    """Legal names at a place of nested configurations; none where the place has no configuration of its own."""
    for part in path:
        if part.isdecimal():
            continue  # a member of a list, which its field's type describes
        if part not in cls.model_fields:
            return []
        inner = _config_in(cls.model_fields[part].annotation)
        if inner is None:
            return []
        cls = inner
    return list(cls.model_fields)


def _config_in(annotation: Any) -> type[Config] | None:
    """The one configuration in a type such as ``tuple[MethodPlan, ...]`` or ``SelectionPlan | None``."""
    if isinstance(annotation, type) and issubclass(annotation, Config):
        return annotation
    found = [one for one in map(_config_in, get_args(annotation)) if one is not None]
    return found[0] if len(found) == 1 else None


def canonical_json(value: Any) -> str:
    """JSON with sorted keys and no spare space; one text for one value.

    Only ``str``, ``int``, ``float``, ``bool``, ``None``, ``list`` and ``dict`` with ``str`` keys are taken
    (a tuple counts as a list), so that ``1``, ``1.0``, ``"1"`` and ``True`` stay four different values.

    Raises
    ------
    ConfigError
        If the value holds anything else, or a float that is not finite.
    """
    return json.dumps(_plain(value, "$"), sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def config_hash(value: Any) -> str:
    """Sha256 (64 hex digits) of the canonical JSON."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()


def _plain(value: Any, where: str) -> Any:
    if value is None or type(value) in (bool, int):
        return value
    if type(value) is str:
        return _text(value, where)
    if type(value) is float:
        if not math.isfinite(value):
            raise ConfigError(f"{where} is {value}: a configuration takes finite numbers only; use null.")
        return value
    if type(value) in (list, tuple):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if type(value) is dict:
        for name in value:
            if type(name) is not str:
                raise ConfigError(f"{where} has the key {name!r}: keys of a configuration are strings.")
            _text(name, where)
        return {name: _plain(item, f"{where}.{name}") for name, item in value.items()}
    raise ConfigError(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}: a configuration holds only str, "
        "int, float, bool, None, list and dict. Convert it first (for numpy values: .item() or .tolist())."
    )


def _text(value: str, where: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(f"{where} is not text: {error.reason} at character {error.start}.") from None
    return value
