"""Which rows of a computed table a study needs, and which only it needs: conditions in SQL."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import datajoint as dj

from decortex_schemas.tables import FinetuneSpec, ModelTask, NetworkState, NullDataset, Study, ViewRequest

# Rows that a declared network or null dataset asks for by itself, whatever study there is.
_BY_NETWORK = ("TrainedModel", "Performance")
_BY_DATASET = ("NullRecordings",)


def asked_by(names: Collection[str], study: str = "%s") -> tuple[str, int]:
    """Condition in SQL that a study asks for a row ``q`` of a computed table or its queue.

    Parameters
    ----------
    names : collection of str
        Columns of the row's primary key.
    study : str
        SQL of the study's name.

    Returns
    -------
    str, int
        The condition, and how often it names the study. It holds for every row that the study asks for, and for
        combinations of its parts that only a few tables do not have (a fine-tuning, which is named whole, is none).
    """
    own = set(names)
    if "study" in own:
        return f"q.`study` = {study}", 1
    # What a study asks for, each of which must hold a key's columns that it has too. Fine-tunings are asked for one by
    # one, and only of a key that names one.
    asking: list[type[dj.Table]] = [*parts_of(Study), ViewRequest]
    parts: list[Any] = [part() for part in asking if part is not Study.Finetuning or "finetune_id" in own]
    conditions = []
    for part in parts:
        shared = [name for name in part.primary_key if name != "study" and name in own]
        if shared:
            same = " AND ".join(f"part.`{name}` = q.`{name}`" for name in shared)
            conditions.append(
                f"EXISTS (SELECT 1 FROM {part.full_table_name} AS part WHERE part.study = {study} AND {same})"
            )
    # The control of a fine-tuning; of its starts, where a key names one.
    if {"schedule_id", "control_seed"} <= own:
        starts = "".join(
            f" AND part.`{name}` = q.`{name}`" for name in ("method_id", "k", "seed") if name in own
        )
        conditions.append(
            f"EXISTS (SELECT 1 FROM {Study.Finetuning().full_table_name} AS part JOIN "
            f"{FinetuneSpec().full_table_name} AS spec USING (finetune_id) WHERE part.study = {study} AND "
            f"spec.schedule_id = q.schedule_id AND spec.control_seed = q.control_seed{starts})"
        )
    if "k" in own and not own & {
        "seed",
        "subsample_seed",
        "null_seed",
    }:  # criteria of K, for studies that choose one
        conditions.append(
            f"EXISTS (SELECT 1 FROM {Study.Null().full_table_name} AS part WHERE part.study = {study})"
        )
    return (" AND ".join(conditions), len(conditions)) if conditions else ("FALSE", 0)


def own_condition(table: type[dj.Computed]) -> tuple[str, int]:
    """Condition in SQL that only one study needs a row ``q``, and how often it names the study.

    Rows of networks that were registered by themselves, and networks whose states another study asks for, are needed
    whatever study there is.
    """
    names = table().primary_key
    mine, n_named = asked_by(names)
    if "study" in names:
        return mine, n_named
    if table.__name__ in _BY_DATASET:
        return "FALSE", 0
    theirs, _ = asked_by(names, study="other.`study`")
    study, task, state, part = _names(Study, ModelTask, NetworkState, Study.Model)
    only = f"{mine} AND NOT EXISTS (SELECT 1 FROM {study} AS other WHERE other.study <> %s AND {theirs})"
    if table.__name__ in _BY_NETWORK:
        same = " AND ".join(f"task.`{name}` = q.`{name}`" for name in ModelTask().primary_key)
        only += (
            f" AND EXISTS (SELECT 1 FROM {task} AS task WHERE {same} AND task.checkpoint_sha256 IS NULL)"
            f" AND NOT EXISTS (SELECT 1 FROM {state} AS state JOIN {part} AS part "
            "ON part.model_spec_id = state.model_spec_id WHERE state.parent_spec_id = q.model_spec_id "
            "AND part.study <> %s)"
        )
        n_named += 1
    return only, n_named + 1


def unused_condition(table: type[dj.Table]) -> str:
    """Condition in SQL that no study needs a row ``q`` of a computed table, or of `ModelTask`.

    Never true of what is there whatever study there is (registered networks and their scores, responses of null
    datasets), nor of anything that rests on a network whose states, or whose null dataset, a study asks for: these are
    taken from it.
    """
    names = table().primary_key
    asked, n_named = asked_by(names, study="other.`study`")
    if "study" in names or not n_named or table.__name__ in _BY_DATASET:
        return "FALSE"
    study, task, state, null, model = _names(Study, ModelTask, NetworkState, NullDataset, Study.Model)
    conditions = [f"NOT EXISTS (SELECT 1 FROM {study} AS other WHERE {asked})"]
    if "model_spec_id" in names:
        conditions.append(
            f"NOT EXISTS (SELECT 1 FROM {state} AS state JOIN {model} AS part USING (model_spec_id) "
            "WHERE state.parent_spec_id = q.model_spec_id)"
        )
        conditions.append(
            f"NOT EXISTS (SELECT 1 FROM {null} AS drawn JOIN {model} AS part USING (dataset) "
            "WHERE drawn.parent_dataset = q.dataset AND drawn.parent_spec_id = q.model_spec_id)"
        )
    if table.__name__ in (*_BY_NETWORK, ModelTask.__name__):
        same = " AND ".join(f"task.`{name}` = q.`{name}`" for name in ModelTask().primary_key)
        conditions.append(
            f"EXISTS (SELECT 1 FROM {task} AS task WHERE {same} AND task.checkpoint_sha256 IS NULL)"
        )
    return " AND ".join(conditions)


def _names(*tables: type[dj.Table]) -> list[str]:
    """Names of tables in SQL."""
    return [str(table().full_table_name) for table in tables]


def parts_of(table: type[dj.Table]) -> list[type[dj.Part]]:
    """Part tables of a table."""
    return [one for one in vars(table).values() if isinstance(one, type) and issubclass(one, dj.Part)]
