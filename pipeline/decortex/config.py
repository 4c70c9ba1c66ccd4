"""Configurations as values: frozen, bounded, described; and the one hash by which rows know them."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from decortex.config_faults import describe_faults
from decortex.errors import ConfigError

ConfigT = TypeVar("ConfigT", bound="Config")


if TYPE_CHECKING:  # pydantic's metaclass has no public name, and a checker takes no other for its classes
    from pydantic._internal._model_construction import ModelMetaclass as _Refusing
else:

    class _Refusing(type(BaseModel)):
        """Classes whose constructor refuses with a `ConfigError` in our words."""

        def __call__(cls, *args, **params):
            """Build an instance."""
            try:
                return super().__call__(*args, **params)
            except ValidationError as error:
                raise _refusal(cls, error) from None


class Config(BaseModel, metaclass=_Refusing):
    """Base of every configuration: immutable, unknown names refused, no silent coercion of types.

    Raises
    ------
    ConfigError
        If a name is unknown or a value out of range; the message lists every fault and the legal names.
    """

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
            raise _refusal(cls, error) from None

    def resolved(self) -> dict[str, Any]:
        """All parameters, defaults filled in, as plain JSON values."""
        plain: dict[str, Any] = self.model_dump(mode="json")
        return plain


def _refusal(cls: Any, error: ValidationError) -> ConfigError:
    return ConfigError(
        f"{cls.__name__} does not take these parameters: {describe_faults(cls, error.errors())}. "
        f"It has {', '.join(cls.model_fields)}."
    )


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
