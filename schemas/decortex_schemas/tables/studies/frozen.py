"""Frozen studies: what compares across partitions reads only members that are complete and unchanged."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any

import datajoint as dj

from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex_schemas.database import schema
from decortex_schemas.tables.evaluation import (
    KCriteria,
    NullFit,
    SeedNullFit,
    asked_criteria,
    asked_nulls,
    asked_seed_nulls,
)
from decortex_schemas.tables.finetuning import DECFinetune
from decortex_schemas.tables.studies.failures import failures
from decortex_schemas.tables.studies.studies import Study, require_study
from decortex_schemas.tables.subsamples import SubsampleClustering, asked_subsamples


@schema
class FrozenStudy(dj.Manual):
    """A study whose members are complete; what compares across rows reads only these."""

    definition = """
    # A study whose members are complete
    -> Study
    ---
    members_sha256 : char(64)            # of every group's digest
    n_members : int32
    n_failed : int32
    failed : json                        # keys that ended in an error, and where
    frozen_by : varchar(96)
    frozen_at = CURRENT_TIMESTAMP : datetime
    """

    class Group(dj.Part):
        """Members that differ in nothing but seeds; plain columns, so that no deletion elsewhere shrinks it."""

        definition = """
        # Members of a frozen study that differ in their seeds alone
        -> master
        dataset : varchar(64)
        model_spec_id : int32
        embedding_spec_id : int32
        method : varchar(24)
        method_id : int32
        k : int16
        finetune_id : int32
        ---
        members_sha256 : char(64)        # of the members' keys and labels
        n_members : int32
        """

    class SubsampleGroup(dj.Part):
        """Partitions of subsamples that differ in nothing but seeds; plain columns like `Group`."""

        definition = """
        # Partitions of subsamples in a frozen study that differ in their seeds alone
        -> master
        dataset : varchar(64)
        model_spec_id : int32
        embedding_spec_id : int32
        method : varchar(24)
        method_id : int32
        k : int16
        ---
        members_sha256 : char(64)        # of the members' keys and labels
        n_members : int32
        """

    class SelectionGroup(dj.Part):
        """Criteria and surrogates behind one choice of K; plain columns like `Group`."""

        definition = """
        # Criteria and surrogates of a frozen study behind one choice of K
        -> master
        dataset : varchar(64)
        model_spec_id : int32
        embedding_spec_id : int32
        method : varchar(24)
        method_id : int32
        ---
        members_sha256 : char(64)        # of the members' keys and figures
        n_members : int32
        """


GROUP: tuple[str, ...] = (
    "dataset",
    "model_spec_id",
    "embedding_spec_id",
    "method",
    "method_id",
    "k",
    "finetune_id",
)
SUBSAMPLE_GROUP: tuple[str, ...] = GROUP[:-1]
SELECTION_GROUP: tuple[str, ...] = GROUP[:-2]
Group = tuple[Any, ...]
Digests = dict[Group, tuple[str, int]]


def members_of(study: str, key: Mapping[str, Any] | None = None) -> Any:
    """`DECFinetune` rows of a study, or those of them that a key picks."""
    picked = _picks(key)
    return DECFinetune & picked & (asked_members(study) & picked)


def subsamples_of(study: str, key: Mapping[str, Any] | None = None) -> Any:
    """`SubsampleClustering` rows of a study, or those of them that a key picks."""
    picked = _picks(key, SUBSAMPLE_GROUP)
    return SubsampleClustering & picked & (_asked_subsamples(study) & picked)


def freeze_study(study: str) -> dict[str, Any]:
    """Freeze a study: every member exists, or ended in an error that is recorded here.

    Returns
    -------
    dict
        The row of `FrozenStudy`.

    Raises
    ------
    ConfigError
        If the study is unknown, members are still missing, or it was frozen with other members.
    """
    require_study(study)
    n_asked = waiting = 0
    failed: list[dict[str, Any]] = []
    for table, asked_of in MEMBERS:
        asked = asked_of(study)
        missing = (asked - table.proj()).to_dicts()
        own = failures(missing, [member for member, _ in MEMBERS])
        failed += own
        n_asked += len(asked)
        waiting += len(missing) - len(own)
    if waiting:
        raise ConfigError(
            f"{waiting} of {n_asked} members of study {study!r} are neither computed nor failed; run workers "
            "until `decortex status` shows none waiting."
        )
    groups, subsamples, selections = digest_groups(study), digest_subsamples(study), digest_selection(study)
    digest = config_hash(
        [
            [[*group, *found] for group, found in sorted(digests.items())]
            for digests in (groups, subsamples, selections)
            if digests or digests is groups
        ]
    )
    known = (FrozenStudy & {"study": study}).to_dicts()
    if known:
        if known[0]["members_sha256"] != digest:
            raise ConfigError(_changed(study))
        return known[0]
    row = {
        "study": study,
        "members_sha256": digest,
        "n_members": sum(n for _, n in [*groups.values(), *subsamples.values(), *selections.values()]),
        "n_failed": len(failed),
        "failed": failed,
        "frozen_by": str(schema.connection.get_user()),
    }
    with schema.connection.transaction:
        FrozenStudy.insert1(row)
        FrozenStudy.Group.insert(_group_rows(study, groups, GROUP))
        FrozenStudy.SubsampleGroup.insert(_group_rows(study, subsamples, SUBSAMPLE_GROUP))
        FrozenStudy.SelectionGroup.insert(_group_rows(study, selections, SELECTION_GROUP))
    return row


def check_frozen(study: str, key: Mapping[str, Any] | None = None) -> None:
    """Refuse a frozen study whose members are no longer those that were frozen.

    Parameters
    ----------
    study : str
        A frozen study.
    key : mapping, optional
        Look at the groups that it picks only, as a comparison of these groups must.

    Raises
    ------
    ConfigError
        If a member was recomputed with other labels, added or removed.
    """
    rows = (FrozenStudy.Group & {"study": study} & _picks(key)).to_dicts()
    frozen = {_group(row): (row["members_sha256"], int(row["n_members"])) for row in rows}
    if digest_groups(study, key) != frozen:
        raise ConfigError(_changed(study))


def check_frozen_subsamples(study: str, key: Mapping[str, Any]) -> None:
    """Refuse subsamples of a frozen study that are no longer those that were frozen; `key` picks the groups.

    Raises
    ------
    ConfigError
        If a partition was recomputed with other labels, added or removed.
    """
    rows = (FrozenStudy.SubsampleGroup & {"study": study} & _picks(key, SUBSAMPLE_GROUP)).to_dicts()
    frozen = {_group(row, SUBSAMPLE_GROUP): (row["members_sha256"], int(row["n_members"])) for row in rows}
    if digest_subsamples(study, key) != frozen:
        raise ConfigError(_changed(study))


def check_frozen_selection(study: str, key: Mapping[str, Any]) -> None:
    """Refuse criteria or surrogates of a frozen study that are no longer those that were frozen.

    Raises
    ------
    ConfigError
        If one was recomputed with other values, added or removed.
    """
    rows = (FrozenStudy.SelectionGroup & {"study": study} & _picks(key, SELECTION_GROUP)).to_dicts()
    frozen = {_group(row, SELECTION_GROUP): (row["members_sha256"], int(row["n_members"])) for row in rows}
    if digest_selection(study, key) != frozen:
        raise ConfigError(_changed(study))


def digest_groups(study: str, key: Mapping[str, Any] | None = None) -> Digests:
    """Digest over the keys and labels of every group's members, and their number."""
    return _digests(members_of(study, key), GROUP)


def digest_subsamples(study: str, key: Mapping[str, Any] | None = None) -> Digests:
    """Digest over the keys and labels of every group's subsamples, and their number."""
    return _digests(subsamples_of(study, key), SUBSAMPLE_GROUP)


def digest_selection(study: str, key: Mapping[str, Any] | None = None) -> Digests:
    """Digest over the keys and values of every choice's criteria and surrogates, and their number."""
    picked = _picks(key, SELECTION_GROUP)
    rows: dict[Group, list[dict[str, Any]]] = defaultdict(list)
    for table, asked in SELECTION_MEMBERS:
        chosen = (table & picked & (asked(study) & picked)).proj("values_sha256")
        for row in chosen.to_dicts(order_by="KEY"):
            # Digests of frozen studies keep the name that the column had when the first were frozen.
            row["figures_sha256"] = row.pop("values_sha256")
            rows[_group(row, SELECTION_GROUP)].append({name: _plain(value) for name, value in row.items()})
    return {group: (config_hash(members), len(members)) for group, members in rows.items()}


def _digests(members: Any, names: tuple[str, ...]) -> Digests:
    groups: dict[Group, list[dict[str, Any]]] = defaultdict(list)
    for row in members.proj("labels_sha256").to_dicts(order_by="KEY"):
        groups[_group(row, names)].append({name: _plain(value) for name, value in row.items()})
    return {group: (config_hash(rows), len(rows)) for group, rows in groups.items()}


def _group_rows(study: str, digests: Digests, names: tuple[str, ...]) -> list[dict[str, Any]]:
    return [
        {
            "study": study,
            **dict(zip(names, group, strict=True)),
            "members_sha256": digest,
            "n_members": n_members,
        }
        for group, (digest, n_members) in digests.items()
    ]


def asked_members(study: str) -> Any:
    """Keys of `DECFinetune` that a study asks for, computed or not; computed rows are restricted by it at once."""
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    return asked.proj()


def _asked_subsamples(study: str) -> Any:
    """Keys of `SubsampleClustering` that a study asks for, computed or not."""
    return (asked_subsamples() & {"study": study}).proj()


# Tables whose rows are members, and the keys of each that a study asks for: of choices of K, and all.
SELECTION_MEMBERS: tuple[tuple[Any, Callable[[str], Any]], ...] = (
    (KCriteria, asked_criteria),
    (NullFit, asked_nulls),
    (SeedNullFit, asked_seed_nulls),
)
MEMBERS: tuple[tuple[Any, Callable[[str], Any]], ...] = (
    (DECFinetune, asked_members),
    (SubsampleClustering, _asked_subsamples),
    *SELECTION_MEMBERS,
)


def _picks(key: Mapping[str, Any] | None, names: tuple[str, ...] = GROUP) -> dict[str, Any]:
    return {name: value for name, value in (key or {}).items() if name in names}


def _group(row: Mapping[str, Any], names: tuple[str, ...] = GROUP) -> Group:
    return tuple(_plain(row[name]) for name in names)


def _plain(value: Any) -> str | int:
    return value if isinstance(value, str) else int(value)


def _changed(study: str) -> str:
    return (
        f"the members of study {study!r} are not those that were frozen: comparisons over it would mix two "
        f"studies. `decortex recompute FrozenStudy study={study}` computes again what is missing; where that is not "
        "the same, declare and freeze a new study."
    )
