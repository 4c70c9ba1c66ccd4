"""Removing a study with the rows that only it needs, and rows that no study needs any more."""

from __future__ import annotations

from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import computed_tables, one_transaction, record_deletion, schema
from decortex_schemas.register.needs import own_condition, parts_of, unused_condition
from decortex_schemas.tables import (
    FrozenStudy,
    ModelTask,
    NullStudy,
    StateStudy,
    Study,
    TrainedModel,
    require_study,
)


def resting_on(study: str) -> list[str]:
    """Studies that were made from another one: its null, its states."""
    found = [
        *(NullStudy & {"study": study}).to_arrays("null_study"),
        *(StateStudy & {"study": study}).to_arrays("states_study"),
    ]
    return sorted(str(name) for name in found)


def remove_study(study: str, why: str, *, break_frozen: bool = False) -> dict[str, int]:
    """Delete a study and the computed rows that no other study needs; all or nothing, and recorded.

    Recordings, registered networks and specifications stay. Files are left to
    `decortex_schemas.database.store.collect`.

    Parameters
    ----------
    study : str
        Its name.
    why : str
        The reason, in words; it is kept.
    break_frozen : bool
        Whether a frozen study may be removed.

    Returns
    -------
    dict
        Rows deleted, by table; parts are not counted.

    Raises
    ------
    ConfigError
        If there is no such study or no reason, it is frozen and that is not allowed, or others were made from it.
    """
    require_study(study)
    if not why.strip():
        raise ConfigError("a removal needs a reason, which is kept: none was given. Say it by --why '...'.")
    others = resting_on(study)
    if others:
        raise ConfigError(f"study {study!r} has its null or its states: remove {', '.join(others)} first.")
    if len(FrozenStudy & {"study": study}) and not break_frozen:
        raise ConfigError(
            f"study {study!r} is frozen: what was published from it could not be looked up any more. Nothing was "
            "removed; --break-frozen removes it all the same."
        )
    connection = schema.connection
    counts: dict[str, int] = {}
    connection.query(f"USE `{schema.database}`")  # a deletion by alias looks for its table there
    with one_transaction(connection):
        where, n_named = own_condition(TrainedModel)
        tasks = _tasks(where, [study] * n_named)
        for table in reversed(computed_tables()):
            where, n_named = own_condition(table)
            n = _delete(table, where, [study] * n_named) if n_named else 0
            if n:
                counts[table.__name__] = n
        (Study & {"study": study}).delete(prompt=False, part_integrity="cascade")
        if tasks:  # a network that is declared asks to be trained as long as it is there
            (ModelTask & tasks).delete(prompt=False, part_integrity="cascade")
            counts["ModelTask"] = len(tasks)
        counts["Study"] = 1
        record_deletion("Study", {"study": study}, counts, why)
    return counts


def remove_unused(why: str) -> dict[str, int]:
    """Delete the computed rows that no study needs any more; all or nothing, and recorded.

    Networks that studies declared go with them. What a frozen study holds is asked for by it, and stays; so do
    recordings, registered networks, specifications, and the files, which are left to
    `decortex_schemas.database.store.collect`.

    Parameters
    ----------
    why : str
        The reason, in words; it is kept.

    Returns
    -------
    dict
        Rows deleted, by table; parts are not counted. Empty where every row is needed: nothing is recorded then.

    Raises
    ------
    ConfigError
        If there is no reason.
    """
    if not why.strip():
        raise ConfigError("a removal needs a reason, which is kept: none was given. Say it by --why '...'.")
    connection = schema.connection
    counts: dict[str, int] = {}
    connection.query(f"USE `{schema.database}`")  # a deletion by alias looks for its table there
    with one_transaction(connection):
        tasks = _tasks(unused_condition(ModelTask), [])
        for table in reversed(computed_tables()):
            n = _delete(table, unused_condition(table), [])
            if n:
                counts[table.__name__] = n
        if tasks:
            (ModelTask & tasks).delete(prompt=False, part_integrity="cascade")
            counts["ModelTask"] = len(tasks)
        if counts:
            record_deletion("ModelTask", {"needed_by": "no study"}, counts, why)
    return counts


def _tasks(where: str, args: list[str]) -> list[dict[str, Any]]:
    """Networks that were declared with a study, by a condition on them."""
    keys = ModelTask().primary_key
    listed = ", ".join(f"q.`{name}`" for name in keys)
    found = schema.connection.query(
        f"SELECT {listed} FROM {ModelTask().full_table_name} AS q WHERE {where}", args=args
    )
    return [dict(zip(keys, row, strict=True)) for row in found.fetchall()]


def _delete(table: type[dj.Computed], where: str, args: list[str]) -> int:
    """Delete the rows ``q`` of one table that meet a condition, their parts first."""
    if where == "FALSE":
        return 0
    name = table().full_table_name
    keys = ", ".join(f"`{column}`" for column in table().primary_key)
    for part in reversed(parts_of(table)):
        schema.connection.query(
            f"DELETE part_row FROM {part().full_table_name} AS part_row JOIN {name} AS q USING ({keys}) WHERE {where}",
            args=args,
        )
    return int(schema.connection.query(f"DELETE q FROM {name} AS q WHERE {where}", args=args).rowcount)


def rename_study(study: str, name: str) -> None:
    """Give a study another name; rows that are computed for it by name take it too.

    Parameters
    ----------
    study : str
        Its name until now.
    name : str
        Another one, which no study has.

    Raises
    ------
    ConfigError
        If there is no such study, the name is taken or none, the study is frozen (its digest holds the name, and others
        may refer to it), or a null or states of it are called after it.
    """
    require_study(study)
    if not 0 < len(name) <= 64 or not name.isprintable() or name != name.strip():
        raise ConfigError(f"a study's name has 1 to 64 printable characters, got {name[:80]!r}.")
    if len(Study & {"study": name}):
        raise ConfigError(f"study {name!r} exists; choose another name.")
    if len(FrozenStudy & {"study": study}):
        raise ConfigError(
            f"study {study!r} is frozen: its digest holds its name, and others refer to it. It keeps it."
        )
    made = [*resting_on(study), *_made_from(study)]
    if made:
        raise ConfigError(
            f"study {study!r} belongs to {', '.join(made)}, which is named after it: it keeps its name."
        )
    schema.connection.query(
        f"UPDATE {Study().full_table_name} SET study = %s WHERE study = %s", args=(name, study)
    )


def _made_from(study: str) -> list[str]:
    """Study of which this one is the null or the states."""
    found = [
        *(NullStudy & {"null_study": study}).to_arrays("study"),
        *(StateStudy & {"states_study": study}).to_arrays("study"),
    ]
    return sorted(str(name) for name in found)
