"""Whether a frozen study still is what was frozen, what a deletion would take from it, and how it comes back."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import datajoint as dj

from decortex.errors import ConfigError
from decortex_schemas.database import chain_of, schema
from decortex_schemas.tables.studies.frozen import (
    GROUP,
    MEMBERS,
    SELECTION_GROUP,
    SUBSAMPLE_GROUP,
    FrozenStudy,
    digest_groups,
    digest_selection,
    digest_subsamples,
)

_DIGESTS = (
    (FrozenStudy.Group, GROUP, digest_groups),
    (FrozenStudy.SubsampleGroup, SUBSAMPLE_GROUP, digest_subsamples),
    (FrozenStudy.SelectionGroup, SELECTION_GROUP, digest_selection),
)
# So far may a worker's clock be behind the server's; a row that was computed after the freezing is seen all the same.
_CLOCKS_SECONDS = 60
_seen: ContextVar[dict[str, list[dict[str, Any]]] | None] = ContextVar("changes_seen", default=None)


class FrozenStudyChanged(UserWarning):
    """A frozen study whose members are no longer those that were frozen."""


@contextmanager
def looking_once() -> Iterator[None]:
    """Within it `changes_since_freezing` looks once at each study: a report asks many questions of one state."""
    token = _seen.set({} if _seen.get() is None else _seen.get())
    try:
        yield
    finally:
        _seen.reset(token)


def changes_since_freezing(study: str) -> list[dict[str, Any]]:
    """What of a frozen study is missing or other than it was; empty where it is what was frozen.

    Members are counted, and their digests compared only if one was computed after the freezing.

    Returns
    -------
    list of dict
        ``problem`` ('missing', 'changed'), ``table``, and ``key`` of a member, or of the group that it changed.

    Raises
    ------
    ConfigError
        If the study is not frozen.
    """
    seen = _seen.get()
    if seen is None:
        return _changes(study)
    if study not in seen:
        seen[study] = _changes(study)
    return list(seen[study])


def _changes(study: str) -> list[dict[str, Any]]:
    rows = (FrozenStudy & {"study": study}).to_dicts()
    if not rows:
        raise ConfigError(
            f"study {study!r} is not frozen; `decortex study freeze {study}` does when it is complete."
        )
    n_members, late = 0, False
    frozen_at = schema.connection.query(
        "SELECT frozen_at - INTERVAL (TIMESTAMPDIFF(SECOND, UTC_TIMESTAMP(), CURRENT_TIMESTAMP()) + %s) SECOND "
        f"FROM {FrozenStudy().full_table_name} WHERE study = %s",
        args=(_CLOCKS_SECONDS, study),
    ).fetchone()[0]
    for table, asked in MEMBERS:
        members = table & asked(study)
        found = dj.U().aggr(members, n="COUNT(*)", latest="MAX(started_at)").fetch1()
        n_members += int(found["n"])
        late = late or (found["latest"] is not None and found["latest"] > frozen_at)
    if n_members == rows[0]["n_members"] and not late:
        return []
    missing = _missing(study, rows[0]["failed"])
    changed = []
    for part, names, digests in _DIGESTS:
        now = digests(study)
        for row in (part & {"study": study}).to_dicts():
            group = tuple(
                value if isinstance(value, str) else int(value) for value in (row[n] for n in names)
            )
            known = now.pop(group, ("", 0))
            if known[0] != row["members_sha256"] and known[1] >= row["n_members"]:
                changed.append(_problem("changed", part, dict(zip(names, group, strict=True))))
        changed += [_problem("changed", part, dict(zip(names, group, strict=True))) for group in now]
    return missing + changed


def _missing(study: str, failed: list[dict[str, Any]]) -> list[dict[str, Any]]:
    known = [failure["key"] for failure in failed]
    found = []
    for table, asked in MEMBERS:
        for key in (asked(study) - table.proj()).to_dicts():
            own = {n: v if isinstance(v, str) else int(v) for n, v in key.items() if n != "study"}
            if own not in known:
                found.append(_problem("missing", table, own))
    return found


def _problem(problem: str, table: Any, key: dict[str, Any]) -> dict[str, Any]:
    return {"problem": problem, "table": table.__qualname__, "key": key}


def say_changes(study: str, changes: list[dict[str, Any]]) -> str:
    """Put the changes of a frozen study in one sentence; nothing where there are none."""
    if not changes:
        return ""
    missing = [one for one in changes if one["problem"] == "missing"]
    parts = []
    if missing:
        parts.append(
            f"{len(missing)} of its members missing, the first {missing[0]['table']} {missing[0]['key']}"
        )
    if len(changes) > len(missing):
        first = next(one for one in changes if one["problem"] == "changed")
        parts.append(f"{len(changes) - len(missing)} groups of members changed, the first {first['key']}")
    return (
        f"study {study!r} is no longer what was frozen: {'; '.join(parts)}. Comparisons made before are of what was "
        f"frozen; `decortex recompute FrozenStudy study={study}` computes what is missing and says if it is the same."
    )


def warn_of_changes(study: str) -> None:
    """Warn (`FrozenStudyChanged`) if a frozen study is no longer what was frozen."""
    said = say_changes(study, changes_since_freezing(study))
    if said:
        warnings.warn(said, FrozenStudyChanged, stacklevel=1)  # of one place: told once, however many ask


def frozen_members_of(rows: dj.QueryExpression) -> dict[str, int]:
    """Frozen studies that would lose members with these rows and all that rests on them, and how many.

    Parameters
    ----------
    rows : QueryExpression
        Rows of one table.

    Returns
    -------
    dict
        Members that would go, by study. A study that would go itself is among them, with all of its members.
    """
    taken = {table.full_table_name: table for table in dj.Diagram.cascade(rows, part_integrity="cascade")}
    found: dict[str, int] = {}
    for row in FrozenStudy.proj("n_members").to_dicts():
        study, lost = str(row["study"]), 0
        own = taken.get(FrozenStudy().full_table_name)
        if own is not None and len(own & {"study": study}):
            found[study] = int(row["n_members"])
            continue
        for table, asked in MEMBERS:
            gone = taken.get(table().full_table_name)
            if gone is not None:
                lost += len((table & asked(study)).restrict(gone.proj(), semantic_check=False))
        if lost:
            found[study] = lost
    return found


def recompute_frozen(study: str, *, on_table: Callable[[str], None] = lambda name: None) -> dict[str, Any]:
    """Compute again what a frozen study lacks, in this process, and compare it with what was frozen.

    Parameters
    ----------
    study : str
        A frozen study.
    on_table : callable
        Takes the name of every table before its rows are computed.

    Returns
    -------
    dict
        ``before`` and ``after``: see `changes_since_freezing`. An empty ``after`` means: the same keys and labels as
        were frozen, by their digests.
    """
    before = changes_since_freezing(study)
    missing = [one for one in before if one["problem"] == "missing"]
    for table in chain_of(*(table for table, _ in MEMBERS)) if missing else ():
        wanted = _wanted(table, study, missing)
        if wanted:
            on_table(table.__name__)
            table.populate(wanted)
    return {"study": study, "before": before, "after": changes_since_freezing(study)}


def _wanted(table: Any, study: str, missing: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Keys of one table that are missing members, or that missing members rest on."""
    names = table().primary_key
    is_member = any(table is member for member, _ in MEMBERS)
    found: dict[tuple[Any, ...], dict[str, Any]] = {}
    for one in missing:
        key = {**one["key"], "study": study}
        if set(names) <= set(key) and (not is_member or one["table"] == table.__name__):
            own = {name: key[name] for name in names}
            found[tuple(own.values())] = own
    return list(found.values())
