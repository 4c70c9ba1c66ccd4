"""Which software and processors computed some rows, and whether they differ in what decides bits. Read only."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import datajoint as dj

from decortex_schemas.database import NUMERICS, Environment, chain_of, computed_tables
from decortex_schemas.queries.basis import Row
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.tables import (
    ContinuedTraining,
    DECFinetune,
    current_version,
    has_stale,
    members_of,
    rows_of_study,
    version_counts,
)

_COLUMNS = ("git_commit", "dirty", "source_sha256", "decortex_version", *NUMERICS, "cpu")


@one_at_a_time
def environments(env_ids: list[int]) -> list[Row]:
    """What computed some rows: commit, digest of the code, versions and processor, one row per environment.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> environments([one["env_id"] for one in queries.known_environments()])    # doctest: +SKIP
    """
    asked = [{"env_id": env_id} for env_id in sorted(set(env_ids))]
    rows: list[Row] = (Environment & asked).proj(*_COLUMNS).to_dicts(order_by="env_id")
    return rows


@one_at_a_time
def mixed_environments(study: str) -> list[Row]:
    """Where the rows behind one study's partitions were computed under different numerics or by different code.

    Kernels are chosen by library, processor, threads and device; the same code on another of them gives results that
    are equal in substance and need not be equal in bits.

    Returns
    -------
    list of dict
        One per table and column: ``table``, ``column`` (one of `decortex_schemas.database.NUMERICS`, or
        'source_sha256'), ``values`` (number of rows by value). Empty where one environment computed everything, or
        all that did agree.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> mixed_environments("v4-sweep")    # doctest: +SKIP
    """
    require_frozen(study)
    known = {int(row["env_id"]): row for row in Environment.proj(*_COLUMNS).to_dicts()}
    members = members_of(study).proj()
    found: list[Row] = []
    for table in chain_of(DECFinetune, ContinuedTraining):  # what a partition rests on, and its control
        grouped = dj.U("env_id").aggr(table & members, n="COUNT(*)").to_dicts()
        counts = {int(row["env_id"]): int(row["n"]) for row in grouped}
        for column in ("source_sha256", *NUMERICS):
            values: Counter[str] = Counter()
            for env_id, count in counts.items():
                values[str(known[env_id][column])] += count
            if len(values) > 1:
                found.append(
                    {"table": table.__name__, "column": column, "values": dict(sorted(values.items()))}
                )
    return found


@one_at_a_time
def computation_versions(study: str) -> list[Row]:
    """Tables in which a study's rows are of several versions of their computation, or of another than this code's.

    Parameters
    ----------
    study : str
        Frozen or not.

    Returns
    -------
    list of dict
        ``table``, ``current`` (this code's version), ``versions`` (number of rows by stored version), in the order of
        the chain. Empty where every row is of this code's version.

    Examples
    --------
    >>> from decortex_schemas.queries import computation_versions
    >>> computation_versions("v4-sweep")                           # doctest: +SKIP
    [{'table': 'ClusterPerformance', 'current': 1, 'versions': {0: 40, 1: 8}}]
    """
    found: list[Row] = []
    for table in computed_tables():
        versions = version_counts(rows_of_study(table, study)) if has_stale(table) else {}
        if versions.keys() - {current_version(table)}:
            found.append({"table": table.__name__, "current": current_version(table), "versions": versions})
    return found


def differing_numerics(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Columns that decide bits in which two environments differ, with both values."""
    return {name: (one[name], other[name]) for name in NUMERICS if one[name] != other[name]}
