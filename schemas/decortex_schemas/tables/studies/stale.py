"""Rows that another version of their computation made: which, of which studies, and how they are computed again."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Iterator
from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import computed_tables, delete_selected
from decortex_schemas.tables.datasets import Dataset
from decortex_schemas.tables.specs import ClusteringMethod, FinetuneSpec, Fitting
from decortex_schemas.tables.studies.frozen import asked_members
from decortex_schemas.tables.studies.frozen_state import frozen_members_of
from decortex_schemas.tables.studies.studies import Study, no_such_study

Row = dict[str, Any]
# Keys a statement, and rows a deletion.
BATCH = 500


def rows_of_study(table: type[dj.Computed], study: str) -> Any:
    """Rows of one computed table that belong to a study.

    Parameters
    ----------
    table : type of Computed
        Any.
    study : str
        Whose. Rows that name a study are its own; those of networks and partitions are what it asks for; those of
        recordings are of its datasets.
    """
    rows, asked = table(), asked_members(study)
    if "study" in rows.primary_key:
        return rows & {"study": study}
    # Controls of its fine-tunings, and of no other's.
    if {"schedule_id", "control_seed"} <= set(rows.primary_key):
        tied = Study.Finetuning.proj() * FinetuneSpec.proj("schedule_id", "control_seed") & {"study": study}
        return rows & asked & tied
    if set(asked.primary_key) & set(rows.primary_key) - {"dataset"}:
        return rows & asked
    return rows & (Dataset & asked.proj()).proj()


def stale(study: str | None = None) -> list[Row]:
    """Rows of other versions of their computation than this code's.

    Parameters
    ----------
    study : str, optional
        Only this study's; else all.

    Returns
    -------
    list of dict
        ``table``, ``stored``, ``current``, ``rows``, ``kept`` (of them rows whose specification is of a version that
        this code does not compute: nobody could compute them again), ``studies`` (number of rows by study; a row may
        be of several or of none), in the order of the chain.

    Raises
    ------
    ConfigError
        If there is no such study.
    """
    studies = _studies(study)
    found: list[Row] = []
    for table in computed_tables():
        if not has_stale(table):
            continue
        rows = table() if study is None else rows_of_study(table, study)
        versions = version_counts(rows)
        by_study = {name: version_counts(rows_of_study(table, name)) for name in studies}
        found += [
            {
                "table": table.__name__,
                "stored": stored,
                "current": current_version(table),
                "rows": n,
                "kept": len(_of_other_algorithms(table, rows & {"computation_version": stored})),
                "studies": {name: counts[stored] for name, counts in by_study.items() if stored in counts},
            }
            for stored, n in versions.items()
            if stored != current_version(table)
        ]
    return found


def delete_stale(study: str | None, why: str, *, break_frozen: bool = False) -> list[Row]:
    """Delete stale rows with all that rests on them, so that the scheduler queues them again; all is recorded.

    Tables are taken in the order of the chain: what rests on a row that goes is gone before its own turn. Rows that
    this code could not compute again, because a specification is of another version, stay, and so do rows under them.

    Parameters
    ----------
    study : str or None
        Only this study's rows; else all.
    why : str
        The reason, which is kept (`decortex_schemas.database.deletions.Deletion`).
    break_frozen : bool
        Whether members of frozen studies may be among them.

    Returns
    -------
    list of dict
        ``table``, ``rows`` (deleted of it), ``with`` (deleted because they rested on these, by table).

    Raises
    ------
    ConfigError
        If there is no such study or no reason, or a frozen study would lose members and that is not allowed: nothing
        was deleted then.
    """
    if not why.strip():
        raise ConfigError("a deletion needs a reason, which is kept: none was given. Say it by --why '...'.")
    _studies(study)
    if not break_frozen:
        hit: dict[str, int] = {}
        for table in computed_tables():
            for rows in _batches(table, study):
                for name, n in frozen_members_of(rows).items():
                    hit[name] = hit.get(name, 0) + n
        if hit:
            named = ", ".join(f"{name} ({n} members)" for name, n in sorted(hit.items()))
            raise ConfigError(
                f"frozen studies would lose members: {named}. Nothing was deleted; --break-frozen deletes them all "
                "the same, and every answer about these studies says from then on that they are no longer what was "
                "frozen."
            )
    found = []
    for table in computed_tables():
        meant = {
            "computation_version": f"not {current_version(table)}",
            **({"study": study} if study else {}),
        }
        counts: Counter[str] = Counter()
        for rows in _batches(table, study):
            counts.update(delete_selected(table.__name__, rows, meant, why))
        if counts:
            own = counts.pop(table.__name__)
            found.append({"table": table.__name__, "rows": own, "with": dict(counts)})
    return found


def _batches(table: type[dj.Computed], study: str | None) -> Iterator[Any]:
    """Rows of a table that go, by their keys, so many at a time: DataJoint cascades from keys, not from queries."""
    keys = _deletable(table, study).keys()
    for start in range(0, len(keys), BATCH):
        yield table() & keys[start : start + BATCH]


def _deletable(table: type[dj.Computed], study: str | None) -> Any:
    """Stale rows of a table on which nothing rests, and which do not, that could not be computed again."""
    rows = table() if study is None else rows_of_study(table, study)
    rows = rows & f"computation_version <> {current_version(table):d}"
    lost = _of_other_algorithms(table, rows)
    rows = rows - lost.proj() if len(lost) else rows
    for other in computed_tables():
        if other is table or not issubclass(other, Fitting) or not _rests_on(other, table):
            continue
        under = _of_other_algorithms(other, other() & rows.proj())
        if len(under):
            rows = rows - under.proj()
    return rows


def _of_other_algorithms(table: type[dj.Computed], rows: Any) -> Any:
    """Rows whose method's specification is of a version of its algorithm that this code does not compute."""
    if not issubclass(table, Fitting) or not len(rows):
        return rows & "FALSE"
    methods = dj.U("method", "method_id") & rows
    own: Any = table()
    other = [key for key in methods.to_dicts() if own.specification_fault(key)]
    return rows & (ClusteringMethod & other).proj() if other else rows & "FALSE"


def _rests_on(table: type[dj.Computed], other: type[dj.Computed]) -> bool:
    """Whether rows of one table go with rows of another."""
    return other.full_table_name in _ancestors(table)


@functools.cache
def _ancestors(table: type[dj.Computed]) -> frozenset[str]:
    return frozenset(str(name) for name in table().ancestors()) - {table.full_table_name}


def has_stale(table: type[dj.Computed]) -> bool:
    """Whether any row of a table is of another version; a question of milliseconds that mostly spares longer ones."""
    return bool(table() & f"computation_version <> {current_version(table):d}")


def version_counts(rows: Any) -> dict[int, int]:
    """Number of rows of one computed table by the version of the computation that made them."""
    grouped = dj.U("computation_version").aggr(rows, n="COUNT(*)").to_dicts(order_by="computation_version")
    return {int(row["computation_version"]): int(row["n"]) for row in grouped}


def current_version(table: type[dj.Computed]) -> int:
    """Version of a table's computation in this code."""
    return int(getattr(table, "version", 1))


def _studies(study: str | None) -> list[str]:
    names = [str(name) for name in Study.to_arrays("study")]
    if study is not None and study not in names:
        raise no_such_study(study, names)
    return sorted(names) if study is None else [study]
