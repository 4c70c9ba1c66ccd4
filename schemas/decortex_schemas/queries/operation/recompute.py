"""Computing a row again beside the one that is there, and comparing the two. Nothing is inserted or deleted."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import datajoint as dj
import numpy as np

from decortex_schemas.database import Environment, environment_hash
from decortex_schemas.queries.catalogue import whole_key
from decortex_schemas.queries.operation.environments import differing_numerics

# When, where and how long: equal work differs in these.
CIRCUMSTANCES = frozenset(
    {"env_id", "db_user", "host_name", "started_at", "seconds", "epoch_seconds", "computation_version"}
)


@dataclass(frozen=True)
class Difference:
    """One value that came out otherwise.

    Attributes
    ----------
    table : str
        The table or its part.
    key : dict
        The row.
    column : str
        The value's column; empty for a row that only one side has.
    what : str
        How they differ, in words.
    """

    table: str
    key: dict[str, Any]
    column: str
    what: str


@dataclass(frozen=True)
class Recomputed:
    """What came of computing a row again.

    Attributes
    ----------
    key : dict
        The row's whole key.
    differences : list of Difference
        Empty if both are equal, bit for bit.
    n_values : int
        Values compared.
    same_environment : bool
        Whether the row was computed with this very software, hardware and number of threads; equality is only
        promised then.
    other_numerics : dict
        Columns of the environment that decide bits in which the row's own and this one differ, with both values
        (`decortex_schemas.database.NUMERICS`). Where there are any, a difference is no fault.
    seconds : float
        It took.
    """

    key: dict[str, Any]
    differences: list[Difference]
    n_values: int
    same_environment: bool
    other_numerics: dict[str, tuple[Any, Any]]
    seconds: float


def recompute(table_name: str, key: Mapping[str, Any]) -> Recomputed:
    """Compute a row again from its inputs and compare it, parts included, with the stored one.

    Parameters
    ----------
    table_name : str
        A computed table.
    key : mapping
        Names one row of it.

    Raises
    ------
    ConfigError
        If the table is unknown, or the key does not name exactly one row.

    Examples
    --------
    >>> key = {"dataset": "v4", "method": "kmeans", "k": 3, "model_seed": 0, "seed": 0}    # doctest: +SKIP
    >>> recompute("Clustering", key)    # doctest: +SKIP
    """
    table, whole = whole_key(table_name, dict(key))
    instance: Any = table()
    started = time.perf_counter()
    recorded = _Recorded(instance)
    made = instance.make_compute(dict(whole), *instance.make_fetch(dict(whole)))
    type(instance).make_insert(recorded, dict(whole), *made)
    differences: list[Difference] = []
    n_values = 0
    for own in recorded.parts():
        stored = {_identity(own.table, row): row for row in (own.table & whole).to_dicts()}
        again = {_identity(own.table, row): row for row in own.rows}
        for identity in sorted(set(stored) ^ set(again), key=str):
            side = "stored, not computed again" if identity in stored else "computed again, not stored"
            differences.append(Difference(own.name, dict(identity), "", side))
        for identity in sorted(set(stored) & set(again), key=str):
            for column in own.table.heading.secondary_attributes:
                if column in CIRCUMSTANCES:
                    continue
                n_values += 1
                what = _difference(stored[identity][column], again[identity].get(column))
                if what:
                    differences.append(Difference(own.name, dict(identity), column, what))
    recorded_in = (Environment & {"env_id": (instance & whole).fetch1("env_id")}).fetch1()
    here = (Environment & {"env_hash": environment_hash()}).fetch1()
    return Recomputed(
        key=whole,
        differences=differences,
        n_values=n_values,
        same_environment=recorded_in["env_hash"] == here["env_hash"],
        other_numerics=differing_numerics(recorded_in, here),
        seconds=time.perf_counter() - started,
    )


class _Rows:
    """Takes the rows that would go into one table."""

    def __init__(self, name: str, table: Any) -> None:
        self.name = name
        self.table = table
        self.rows: list[dict[str, Any]] = []

    def insert1(self, row: Mapping[str, Any], **options: Any) -> None:
        self.rows.append(dict(row))

    def insert(self, rows: Iterable[Mapping[str, Any]], **options: Any) -> None:
        self.rows += [dict(row) for row in rows]


class _Recorded(_Rows):
    """Stands for a computed table in its ``make_insert``, and keeps what it and its parts would insert."""

    def __init__(self, instance: Any) -> None:
        super().__init__(type(instance).__name__, instance)
        self._parts = {
            name: _Rows(f"{self.name}.{name}", part())
            for name, part in vars(type(instance)).items()
            if isinstance(part, type) and issubclass(part, dj.Part)
        }

    def __getattr__(self, name: str) -> Any:
        return self._parts[name] if name in self._parts else getattr(self.table, name)

    def parts(self) -> list[_Rows]:
        """The table's rows and those of its parts."""
        return [self, *self._parts.values()]


def _identity(table: Any, row: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    return tuple((name, _plain(row[name])) for name in table.primary_key)


def _plain(value: Any) -> Any:
    return value.item() if isinstance(value, np.generic) else value


def _difference(stored: Any, again: Any) -> str:
    """Say how two values differ; nothing if they do not."""
    stored, again = _read(stored), _read(again)
    if isinstance(stored, Mapping) and isinstance(again, Mapping):
        if stored.keys() != again.keys():
            return f"{sorted(map(str, stored))} is now {sorted(map(str, again))}"
        found = [(name, _difference(stored[name], again[name])) for name in stored]
        return "; ".join(f"{name}: {what}" for name, what in found if what)
    if isinstance(stored, np.ndarray) or isinstance(again, np.ndarray):
        return _array_difference(np.asarray(stored), np.asarray(again))
    if isinstance(stored, bytes):
        return "" if stored == again else "the bytes differ"
    if stored == again or (_is_undefined(stored) and _is_undefined(again)):
        return ""
    return f"{stored!r} is now {again!r}"


def _array_difference(stored: np.ndarray[Any, Any], again: np.ndarray[Any, Any]) -> str:
    if (stored.shape, stored.dtype) != (again.shape, again.dtype):
        return f"{stored.dtype}{stored.shape} is now {again.dtype}{again.shape}"
    if stored.tobytes() == again.tobytes():
        return ""
    if stored.dtype.kind not in "iuf":
        return "the values differ"
    n = int(np.count_nonzero(~((stored == again) | (np.isnan(stored) & np.isnan(again)))))
    if not n:
        return ""  # zeros of other sign, undefined values of other bits
    return f"{n} of {stored.size} values differ, by at most {np.nanmax(np.abs(stored - again)):.3g}"


def _read(value: Any) -> Any:
    if hasattr(value, "load"):
        value = value.load()
    if isinstance(value, tuple):
        return list(value)
    return _plain(value)


def _is_undefined(value: Any) -> bool:
    """NULL in the table stands for NaN."""
    return value is None or (isinstance(value, float) and bool(np.isnan(value)))
