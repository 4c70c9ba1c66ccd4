"""Rows of an nnfabrik TrainedModel table, exported as JSON: what they say of a checkpoint. No nnfabrik here."""

from __future__ import annotations

import contextlib
import hashlib
import math
import numbers
import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from decortex.errors import ConfigError
from decortex.models.checkpoints.rebuilding import RebuildConfig
from decortex.models.cores import Stacked2dConfig

_FAMILY = (
    "model_fn",
    "model_config",
    "model_hash",
    "dataset_fn",
    "dataset_config",
    "dataset_hash",
    "trainer_fn",
    "trainer_config",
    "trainer_hash",
    "seed",
    "score",
)
_LISTED = 8  # rows that a message names
_SHORTEST_HASH = 4  # characters of a hash that name it
_WHOLE = re.compile(r"\s*-?[0-9]{1,18}(\.0+)?\s*")
_WIDTH = 60  # characters of a value in a message
# Model functions that build a stacked core with one of the readouts that are rebuilt here, and what they leave to
# the core when a configuration is silent.
_STACKED = "stacked_core_"
_LEFT = {"pad_input": False, "stack": None, "hidden_padding": None, "momentum": 0.9}


@dataclass(frozen=True)
class NnfabrikRow:
    """What a row says of a trained network.

    Parameters
    ----------
    model_fn : str
        Dotted path of the function that built it.
    model_config : mapping
        Its keyword arguments.
    seed : int
        Seed it was trained with.
    family : mapping
        Functions, configurations and hashes of model, dataset and trainer, as far as the row has them.
    """

    model_fn: str
    model_config: Mapping[str, Any]
    seed: int
    family: Mapping[str, Any]

    @property
    def name(self) -> str:
        """Name of the family: the function and the beginning of the configuration's hash."""
        return f"{self.model_fn.rpartition('.')[2]}-{config_md5(self.model_config)[:8]}"

    @property
    def builder(self) -> str:
        """The function as 'module:function'."""
        module, _, function = self.model_fn.rpartition(".")
        return f"{module}:{function}"

    def rebuild_config(self, image_shape: tuple[int, int, int] | None) -> RebuildConfig | None:
        """How the network is rebuilt here; None where its function builds another architecture."""
        if not self.model_fn.rpartition(".")[2].startswith(_STACKED):
            return None
        config = dict(self.model_config)
        core = {**_LEFT, **{name: config[name] for name in Stacked2dConfig.model_fields if name in config}}
        if "core_bias" in config:
            core["bias"] = config["core_bias"]
        predictor = config.get("grid_mean_predictor") or None
        if predictor is not None and not isinstance(predictor, Mapping):
            raise ConfigError(
                f"'grid_mean_predictor' of the exported row's model_config should be an object or null, but is"
                f" {_short(predictor)}."
            )
        tanh = True if predictor is None else predictor.get("final_tanh", False)
        return RebuildConfig.from_params(
            {
                "core": core,
                "image_shape": None if image_shape is None else list(image_shape),
                "elu_offset": _number(config.get("elu_offset", 0.0)),
                "final_tanh": bool(tanh) if tanh is None or _is_flag(tanh) else tanh,
            }
        )


def read_row(
    exported: Mapping[str, Any] | Sequence[Mapping[str, Any]], *, where: Mapping[str, str] | None = None
) -> NnfabrikRow:
    """Choose the one row of an export, and check it.

    Parameters
    ----------
    exported : mapping, or sequence of mappings
        One row (``fetch1()``), several (``fetch(as_dict=True)``), or columns (a data frame's ``to_json()``).
        Of a row: ``model_fn``, ``model_config``, ``seed`` and, as far as known, ``model_hash`` and the same of
        dataset and trainer; every other column is left out.
    where : mapping of str to str, optional
        Which row, where there are several: column -> its value as text; of hashes the beginning is enough.

    Raises
    ------
    ConfigError
        If there is no such row or more than one (they are listed; equal ones count once), something is missing,
        columns are of different rows, or a hash is not that of its configuration.

    Examples
    --------
    >>> rows = [{"model_fn": "lab.build", "model_config": {}, "seed": seed} for seed in (1, 2)]
    >>> read_row(rows, where={"seed": "2"}).seed
    2
    """
    rows = _rows(exported)
    _check_text(rows)
    row = _only_row(_different(rows), where or {})
    missing = [name for name in ("model_fn", "model_config", "seed") if name not in row]
    if missing:
        raise ConfigError(
            f"the exported row lacks {', '.join(missing)}; expected what (TrainedModel * Model & key).fetch1() gives"
            " (docs/how-to/register-your-model.md says how to export it)."
        )
    if (
        not isinstance(row["model_config"], Mapping)
        or not isinstance(row["model_fn"], str)
        or not all(row["model_fn"].rpartition("."))
    ):
        raise ConfigError("'model_config' of the exported row is an object, and 'model_fn' a dotted path.")
    for kind in ("model", "dataset", "trainer"):
        config, expected = row.get(f"{kind}_config"), row.get(f"{kind}_hash")
        if config is not None and expected is not None and config_md5(config) != expected:
            raise ConfigError(
                f"{kind}_hash of the exported row is {expected}, but its {kind}_config hashes to"
                f" {config_md5(config)}: the two are not of one row, or the export changed a value."
            )
    return NnfabrikRow(
        model_fn=row["model_fn"],
        model_config=row["model_config"],
        seed=_seed(row["seed"]),
        family={name: row[name] for name in _FAMILY if name in row},
    )


def _seed(value: Any) -> int:
    """A whole number, also as 1.0, '1' or '1.0', as tables write it in which another row has none."""
    if isinstance(value, str) and _WHOLE.fullmatch(value):
        return int(value.partition(".")[0])
    is_number = isinstance(value, (numbers.Real, Decimal)) and not isinstance(value, bool)
    with contextlib.suppress(ValueError, OverflowError):  # of nan and inf
        if is_number and int(value) == value:
            return int(value)
    raise ConfigError(f"'seed' of the exported row should be a whole number, but is {_short(value)}.")


def _is_flag(value: Any) -> bool:
    """Whether a value is a truth value, also as 0 or 1."""
    return isinstance(value, numbers.Real) and value in (0, 1)


def _number(value: Any) -> Any:
    """A number that ``json.dumps(..., default=str)`` wrote as text; anything else as it is."""
    if isinstance(value, str):
        with contextlib.suppress(ValueError):
            return float(value)
    return value


def _check_text(value: Any) -> None:
    """Refuse text that has no UTF-8 form, which JSON can hold and no hash is made of."""
    if isinstance(value, str):
        try:
            value.encode()
        except UnicodeEncodeError:
            raise ConfigError(
                f"the export holds text that is no Unicode text, {_short(value)}: export it again."
            ) from None
    elif isinstance(value, Mapping):
        for name, one in value.items():
            _check_text(name)
            _check_text(one)
    elif isinstance(value, (list, tuple)):
        for one in value:
            _check_text(one)


def _short(value: Any) -> str:
    """A value as a message shows it."""
    return textwrap.shorten(ascii(value), _WIDTH, placeholder=" ...")


def _rows(exported: Any) -> list[Mapping[str, Any]]:
    """Rows of an export: one, a list of them, or columns that hold each row by its number or in order."""
    if isinstance(exported, Mapping):
        columns = exported.get("model_fn")
        if isinstance(columns, Mapping):
            for name, column in exported.items():
                if not isinstance(column, Mapping) or set(column) != set(columns):
                    raise ConfigError(_other_rows(name, column, f"rows {_short(list(columns))}"))
            return [{name: exported[name][number] for name in exported} for number in columns]
        if isinstance(columns, Sequence) and not isinstance(columns, str):
            for name, column in exported.items():
                if not isinstance(column, Sequence) or isinstance(column, str) or len(column) != len(columns):
                    raise ConfigError(_other_rows(name, column, f"{len(columns)} rows"))
            return [{name: exported[name][number] for name in exported} for number in range(len(columns))]
        return [exported]
    if isinstance(exported, (str, bytes)) or not isinstance(exported, Iterable):
        raise ConfigError(
            f"exported rows should be an object or a list of objects, but are {_short(exported)}:"
            " (TrainedModel * Model & key).fetch(as_dict=True)."
        )
    rows: list[Any] = list(exported)
    wrong = [number for number, row in enumerate(rows) if not isinstance(row, Mapping)]
    if wrong:
        raise ConfigError(
            f"member {wrong[0]} of the exported rows is a {type(rows[wrong[0]]).__name__}; expected objects"
            " that name their columns: (TrainedModel * Model & key).fetch(as_dict=True)."
        )
    return rows


def _other_rows(name: Any, column: Any, expected: str) -> str:
    return (
        f"column {_short(name)} of the export is {_short(column)}, but 'model_fn' has {expected}: all columns should"
        " hold the same rows. Export them again, or one row alone."
    )


def _different(rows: list[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows without what they lack (NaN, as tables write it), each once."""
    found: list[Mapping[str, Any]] = []
    for row in rows:
        one = {name: None if _is_nan(value) else value for name, value in row.items()}
        if not any(_are_equal(one, other) for other in found):
            found.append(one)
    return found


def _is_nan(value: Any) -> bool:
    return isinstance(value, float) and math.isnan(value)


def _are_equal(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    try:
        return bool(one == other)
    except ValueError:  # arrays, which are not compared as one value
        return False


def _only_row(rows: list[Mapping[str, Any]], where: Mapping[str, str]) -> Mapping[str, Any]:
    known = list(dict.fromkeys(str(name) for row in rows for name in row))
    unknown = [name for name in where if name not in known]
    if unknown:
        raise ConfigError(f"the export has no column {unknown[0]!r}; it has {', '.join(known) or 'none'}.")
    found = [row for row in rows if all(_agrees(name, row.get(name), value) for name, value in where.items())]
    if len(found) == 1:
        return found[0]
    listed = "; ".join(_described(row) for row in (found or rows)[:_LISTED])
    more = f"; and {len(found or rows) - _LISTED} more" if len(found or rows) > _LISTED else ""
    if not rows:
        raise ConfigError("the export holds no row; export the one whose model_state the checkpoint is.")
    if not found:
        asked = ", ".join(f"{name}={value}" for name, value in where.items())
        raise ConfigError(f"none of the {len(rows)} exported rows has {asked}. They are: {listed}{more}.")
    raise ConfigError(
        f"the export holds {len(found)} rows, and the checkpoint is the network of one: {listed}{more}. Name it by"
        " columns in which it differs: where={'seed': '1'} (--where seed=1), or export that row alone."
    )


def _agrees(column: str, value: Any, asked: Any) -> bool:
    """Whether a row's value is the one asked for: seeds as numbers, of hashes the beginning, the rest as text."""
    if column == "seed":
        with contextlib.suppress(ConfigError):
            return _seed(value) == _seed(asked)
    text = str(asked)
    return str(value) == text or (
        column.endswith("_hash") and len(text) >= _SHORTEST_HASH and str(value).startswith(text)
    )


def _described(row: Mapping[str, Any]) -> str:
    """The columns by which a person tells a row from others."""
    told = [
        f"{name}={row[name]}"
        for name in _FAMILY
        if name in row and not isinstance(row[name], (Mapping, list))
    ]
    return "(" + (", ".join(told) or f"columns {', '.join(map(str, row))}") + ")"


def config_md5(value: Any) -> str:
    """Hash that nnfabrik gives a configuration: MD5 over keys (sorted as text) and the values' own hashes.

    It identifies rows of that database and protects nothing; the checkpoint's sha256 is recorded beside it.
    """
    digest = hashlib.md5(usedforsecurity=False)
    if isinstance(value, str):
        digest.update(value.encode())
    elif isinstance(value, Mapping):
        for key in sorted(value, key=str):
            digest.update(str(key).encode())
            digest.update(config_md5(value[key]).encode())
    elif isinstance(value, Iterable):
        for item in value:
            digest.update(config_md5(item).encode())
    else:
        digest.update(str(value).encode())
    return digest.hexdigest()
