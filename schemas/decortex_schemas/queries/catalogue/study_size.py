"""What a study holds and takes: rows and bytes by table, those that only it needs, and what is still to come."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import datajoint as dj

from decortex_schemas.database import SealedCodec, computed_tables, database_name, queue_of, schema
from decortex_schemas.queries.basis import name_of, rows
from decortex_schemas.queries.catalogue.overview import JOB_STATES, one_at_a_time, progress
from decortex_schemas.queries.operation import Row
from decortex_schemas.register import asked_by, own_condition, parts_of, unused_condition
from decortex_schemas.tables import (
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    ModelSpec,
    Study,
    StudyTag,
    no_such_study,
)


def need(study: str) -> None:
    """Refuse a study that does not exist.

    Raises
    ------
    ConfigError
        If it does not.
    """
    if not rows(f"SELECT 1 FROM {name_of(Study)} WHERE study = %s", (study,)):
        raise no_such_study(study, (row["study"] for row in rows(f"SELECT study FROM {name_of(Study)}")))


@one_at_a_time
def study_progress(studies: Sequence[str]) -> list[Row]:
    """Rows done and jobs by state as `progress` gives them, of what some studies ask for alone.

    Examples
    --------
    >>> [(row["table"], row["done"]) for row in study_progress(["v4-sweep"])]    # doctest: +SKIP
    """
    found: list[Row] = []
    parts, args = [], []
    for i, (table, row) in enumerate(zip(computed_tables(), progress(), strict=True)):
        found.append({"table": table.__name__, "done": 0, **dict.fromkeys(JOB_STATES, 0)})
        if not any(row[name] for name in ("done", *JOB_STATES)):
            continue  # of a table without rows and jobs nothing is to be told apart
        where, n_named = asked_by(table().primary_key)
        asked = " OR ".join([f"({where})"] * len(studies)) or "FALSE"
        parts.append(f"SELECT {i}, 'done', COUNT(*) FROM {name_of(table)} AS q WHERE {asked}")
        queue = queue_of(table).full_table_name
        parts.append(f"SELECT {i}, status, COUNT(*) FROM {queue} AS q WHERE {asked} GROUP BY status")
        args += [study for study in studies for _ in range(n_named)] * 2
    if not parts:
        return found
    # The connection of workers, as `progress`: they have none to read.
    for i, state, n in schema.connection.query(" UNION ALL ".join(parts), args=args):
        if state in ("done", *JOB_STATES):
            found[int(i)][str(state)] = int(n)
    return found


def study_rows(study: str) -> list[Row]:
    """Rows and bytes of every computed table that a study asks for, and of them those that no other study needs.

    Parameters
    ----------
    study : str
        Its name.

    Returns
    -------
    list of dict
        ``table``, ``rows``, ``own_rows``; ``bytes``, ``own_bytes``: in the database, parts and indexes included, by
        the mean of the table's rows; ``file_bytes``, ``own_file_bytes``: in the store, as the rows say. Tables of
        which the study has no row are left out.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [(row["table"], row["rows"]) for row in study_rows("v4-sweep")]    # doctest: +SKIP
    """
    need(study)
    found = []
    for table in computed_tables():
        mine, n_named = asked_by(table().primary_key)
        own, n_own = own_condition(table)
        one = rows(
            f"SELECT COUNT(*) AS n, COALESCE(SUM({own}), 0) AS own FROM {name_of(table)} AS q WHERE {mine}",
            (*[study] * n_own, *[study] * n_named),
        )[0]
        n, n_mine = int(one["n"]), int(one["own"])
        if not n:
            continue
        each = bytes_each(table)
        files = [
            file_bytes(table, where, [study] * times) for where, times in ((mine, n_named), (own, n_own))
        ]
        found.append(
            {
                "table": table.__name__,
                "rows": n,
                "own_rows": n_mine,
                "bytes": round(n * each),
                "own_bytes": round(n_mine * each),
                "file_bytes": files[0],
                "own_file_bytes": files[1] if n_mine else 0,
            }
        )
    return found


def unused_rows() -> list[Row]:
    """Rows and bytes of every computed table that no study needs any more; see `unused_condition` for what is kept.

    Returns
    -------
    list of dict
        ``table``, ``rows``; ``bytes``: in the database, parts and indexes included, by the mean of the table's rows;
        ``files`` and ``file_bytes``: of the store, as the rows say. Tables without such a row are left out.

    Examples
    --------
    >>> unused_rows()    # doctest: +SKIP
    """
    found = []
    for table in computed_tables():
        where = unused_condition(table)
        if where == "FALSE":
            continue
        n = int(rows(f"SELECT COUNT(*) AS n FROM {name_of(table)} AS q WHERE {where}")[0]["n"])
        if not n:
            continue
        files, size = stored_files(table, where, [])
        found.append(
            {
                "table": table.__name__,
                "rows": n,
                "bytes": round(n * bytes_each(table)),
                "files": files,
                "file_bytes": size,
            }
        )
    return found


def bytes_each(table: type[dj.Computed]) -> float:
    """Bytes of one row in the database with its parts and indexes, on average; 0 where there is none."""
    n = int(rows(f"SELECT COUNT(*) AS n FROM {name_of(table)}")[0]["n"])
    if not n:
        return 0.0
    names = [table().table_name, *(part().table_name for part in parts_of(table))]
    marks = ", ".join(["%s"] * len(names))
    size = rows(
        "SELECT /*+ SET_VAR(information_schema_stats_expiry = 0) */ SUM(data_length + index_length) AS bytes "
        f"FROM information_schema.tables WHERE table_schema = %s AND table_name IN ({marks})",
        (database_name(), *names),
    )[0]["bytes"]
    return float(size or 0) / n


def file_bytes(table: type[dj.Computed], where: str, args: list[Any]) -> int:
    """Bytes of the store's files that rows ``q`` of a table, and their parts, refer to."""
    return stored_files(table, where, args)[1]


def stored_files(table: type[dj.Computed], where: str, args: list[Any]) -> tuple[int, int]:
    """Number and bytes of the store's files that rows ``q`` of a table, and their parts, refer to."""
    n_files = total = 0
    for one in (table, *parts_of(table)):
        columns = [
            name
            for name in one().heading.names
            if isinstance(one().heading.attributes[name].codec, SealedCodec)
        ]
        for column in columns:
            keys = ", ".join(f"`{name}`" for name in table().primary_key)
            joined = "" if one is table else f" JOIN {name_of(table)} AS q USING ({keys})"
            alias = "q" if one is table else "part_row"
            size = f"CAST(JSON_EXTRACT({alias}.`{column}`, '$.size') AS UNSIGNED)"
            found = rows(
                f"SELECT COUNT({alias}.`{column}`) AS files, COALESCE(SUM({size}), 0) AS bytes "
                f"FROM {name_of(one)} AS {alias}{joined} WHERE {where}",
                args,
            )[0]
            n_files, total = n_files + int(found["files"]), total + int(found["bytes"])
    return n_files, total


def about_declared(study: str) -> Row:
    """What a study asks for, in words, frozen or not.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> about_declared("v4-sweep")    # doctest: +SKIP
    """
    need(study)
    of = {"study": study}
    row = rows(f"SELECT * FROM {name_of(Study)} WHERE study = %s", (study,))[0]

    def distinct(part: Any, column: str, names: Any = None) -> list[Any]:
        joined = "" if names is None else f" NATURAL JOIN {name_of(names)}"
        found = rows(
            f"SELECT DISTINCT {column} AS value FROM {name_of(part)}{joined} WHERE study = %s ORDER BY value",
            (study,),
        )
        return [one["value"] for one in found]

    nulls = rows(
        f"SELECT null_kind, COUNT(*) AS n FROM {name_of(Study.Null)} WHERE study = %s GROUP BY null_kind",
        (study,),
    )
    networks = "CONCAT(dataset, ': ', model_name, ' seed ', model_seed)"
    return {
        **of,
        "description": row["description"],
        "tags": distinct(StudyTag, "tag"),
        "priority": int(row["priority"]),
        "created": f"{row['created_at']} by {row['created_by']}",
        "frozen_at": next(
            (
                one["frozen_at"]
                for one in rows(f"SELECT frozen_at FROM {name_of(FrozenStudy)} WHERE study = %s", (study,))
            ),
            None,
        ),
        "networks": distinct(Study.Model, networks, ModelSpec),
        "embeddings": distinct(Study.Embedding, "embedding_name", EmbeddingSpec),
        "methods": distinct(Study.Method, "method_name", ClusteringMethod),
        "counts": distinct(Study.Count, "k"),
        "seeds": distinct(Study.ClusteringSeed, "seed"),
        "subsamples": len(distinct(Study.Subsample, "subsample_seed")),
        "surrogates": [f"{one['n']} {one['null_kind']}" for one in nulls],
        "finetunings": distinct(Study.Finetuning, "finetune", FinetuneSpec),
    }
