"""Synthetic rows: types and sizes of real ones, numbers at random, multiplied over seeds by the server itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import datajoint as dj
import numpy as np
from datajoint.blob import pack

from decortex_schemas.database import schema

Row = dict[str, Any]


class RowWriter:
    """Inserts rows, and makes up what they do not say.

    Parameters
    ----------
    networks, seeds : sequence of int
        Model seeds and clustering seeds that base rows are multiplied over.
    stamp : dict
        Columns of provenance.
    rng : Generator
        Of the numbers.
    """

    dec: int  # finetune_id of the fine-tuning that exists for the first clustering seed alone

    def __init__(
        self, networks: Sequence[int], seeds: Sequence[int], stamp: Row, rng: np.random.Generator
    ) -> None:
        self.networks = networks
        self.seeds = seeds
        self.stamp = stamp
        self.rng = rng

    def put(self, table: type[dj.Table], rows: Iterable[Row]) -> None:
        """Insert rows as they are, what they do not say made up."""
        complete = _Maker(table, self.stamp, self.rng)
        batch: list[Row] = []
        for row in rows:
            batch.append(complete(row))
            if len(batch) == 5000:
                table().insert(batch, allow_direct_insert=True)
                batch = []
        table().insert(batch, allow_direct_insert=True)

    def multiply(self, table: type[dj.Table], base: Sequence[Row], over: Sequence[Row] | None = None) -> None:
        """Insert base rows over all seeds, with other numbers; blobs are given packed and shared.

        The rows of one network are one statement, in the order of the table's key as far as the base goes.
        """
        target = table()
        columns = list(target.heading.names)
        seeds = [
            name for name in ("model_seed", "seed") if name in columns and not (base and name in base[0])
        ]
        if over is None:
            over = [
                {name: value for name, value in (("model_seed", m), ("seed", s)) if name in seeds}
                for m in (self.networks if "model_seed" in seeds else [0])
                for s in (self.seeds if "seed" in seeds else [0])
            ]
        over_names = list(over[0])
        complete = _Maker(table, self.stamp, self.rng, packed=True)
        query = schema.connection.query
        query("DROP TEMPORARY TABLE IF EXISTS base_rows, other_keys")
        kept = [name for name in columns if name not in over_names]
        listed = ", ".join(f"`{name}`" for name in kept)
        query(f"CREATE TEMPORARY TABLE base_rows SELECT {listed} FROM {target.full_table_name} LIMIT 0")
        for rows in _chunks(base, 500):
            made = [complete(row) for row in rows]
            values = ", ".join([f"({', '.join(['%s'] * len(kept))})"] * len(made))
            query(f"INSERT INTO base_rows VALUES {values}", args=[row[name] for row in made for name in kept])
        others = ", ".join(f"`{name}`" for name in over_names)
        query(f"CREATE TEMPORARY TABLE other_keys SELECT {others} FROM {target.full_table_name} LIMIT 0")
        for rows in _chunks(over, 2000):
            values = ", ".join([f"({', '.join(['%s'] * len(over_names))})"] * len(rows))
            query(
                f"INSERT INTO other_keys VALUES {values}",
                args=[row[name] for row in rows for name in over_names],
            )
        chosen = []
        for name in columns:
            if name in over_names:
                chosen.append(f"o.`{name}`")
            elif target.heading[name].type == "double" and not target.heading[name].in_key:
                chosen.append(f"LEAST(0.999, b.`{name}` * (0.5 + RAND()))")
            else:
                chosen.append(f"b.`{name}`")
        dec = " OR ".join(["b.finetune_id <> %s", *(["o.seed = 0"] if "seed" in seeds else [])])
        where = f"({dec})" if "finetune_id" in kept and "seed" in seeds else "TRUE"
        args: tuple[Any, ...] = (self.dec,) if "finetune_id" in kept and "seed" in seeds else ()
        parts = self.networks if "model_seed" in seeds else [None]
        for network in parts:
            own = where if network is None else f"{where} AND o.model_seed = {network}"
            query(
                f"INSERT INTO {target.full_table_name} ({', '.join(f'`{name}`' for name in columns)}) "
                f"SELECT STRAIGHT_JOIN {', '.join(chosen)} FROM base_rows AS b JOIN other_keys AS o WHERE {own}",
                args=args,
            )
        query("DROP TEMPORARY TABLE base_rows, other_keys")


class _Maker:
    """Completes a row of one table: stamps, and values of the right type for what it does not say."""

    def __init__(
        self, table: type[dj.Table], stamp: Row, rng: np.random.Generator, *, packed: bool = False
    ) -> None:
        self._heading = table().heading
        self._stamp = stamp
        self._rng = rng
        self._packed = packed

    def __call__(self, row: Row) -> Row:
        return {name: self._value(name, row) for name in self._heading.names}

    def _value(self, name: str, row: Row) -> Any:
        for known in (row, self._stamp):
            if name in known:
                return known[name]
        kind = str(self._heading[name].original_type or self._heading[name].type)
        made: Any = ""
        if kind.startswith(("float", "double")):
            made = float(self._rng.random())
        elif kind.startswith(("int", "tinyint", "smallint", "bool", "bigint")):
            made = 1
        elif kind.startswith("char(64)"):
            made = "0" * 64
        elif kind.startswith("json"):
            made = "{}" if self._packed else {}
        elif kind.startswith("datetime"):
            made = self._stamp["started_at"]
        elif "bytes" in kind:
            made = b"0"
        elif kind.startswith("<"):
            made = pack(np.zeros(1), compress=True) if self._packed else np.zeros(1)
        return made


def _chunks(rows: Sequence[Row], length: int) -> Iterable[Sequence[Row]]:
    return (rows[start : start + length] for start in range(0, len(rows), length))
