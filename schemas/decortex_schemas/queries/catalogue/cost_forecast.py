"""What a declared study will take: jobs, hours and bytes by table, and whether the disks hold it.

Counted is what is computed before a study is frozen. The comparisons over the frozen study are few and small.
"""

from __future__ import annotations

import shutil
from collections.abc import Collection
from pathlib import Path
from typing import TYPE_CHECKING, Any

import datajoint as dj

from decortex_schemas import register
from decortex_schemas.database import (
    computed_tables,
    connection_info,
    object_store,
    schema,
    store_folder,
    tried_only,
)
from decortex_schemas.queries.basis import name_of
from decortex_schemas.queries.catalogue.overview import one_at_a_time
from decortex_schemas.queries.catalogue.study_size import bytes_each, file_bytes
from decortex_schemas.register import asked_by
from decortex_schemas.tables import (
    SCORED_TIERS,
    CovariateSet,
    Dataset,
    FinetuneSpec,
    LabelSet,
    ModelTask,
    SplitSpec,
    Study,
    ViewRequest,
)
from decortex_schemas.tables.evaluation import (
    OWN_START,
    AgreementNullRequest,
    AxesSpec,
    SharedLabellingRequest,
    TableScore,
)
from decortex_schemas.tables.studies import SELECTION_MEMBERS

if TYPE_CHECKING:
    from decortex_schemas.register import PlanFile

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


def asked_rows(study: str) -> dict[str, int]:
    """Rows of every table that a study asks for before it is frozen, computed or not.

    Parameters
    ----------
    study : str
        A declared study.

    Returns
    -------
    dict of str to int
        By table, in the order of the chain. Of networks whose test responses nobody has, the scores are counted all
        the same.

    Examples
    --------
    >>> asked_rows("v4-sweep")["Clustering"]    # doctest: +SKIP
    """
    of = {"study": study}
    models = (Study.Model & of).proj()
    tasks = ModelTask & models
    predicting = tasks & "checkpoint_sha256 IS NULL OR rebuild IS NOT NULL"
    recorded = (Dataset & "kind <> 'neurons_only'").proj()
    scored = len(predicting & recorded)
    n, e = len(models), len(Study.Embedding & of)
    methods, counts, seeds = (len(part & of) for part in (Study.Method, Study.Count, Study.ClusteringSeed))
    several, nulls = len(Study.Count & of & "k > 1"), len(Study.Null & of)
    finetunings = Study.Finetuning & of
    trained = finetunings & (FinetuneSpec & "kind <> 'none'").proj()
    controls = {
        (row["schedule_id"], row["control_seed"])
        for row in (FinetuneSpec & trained.proj()).proj("schedule_id", "control_seed").to_dicts()
    }
    carried = {
        tuple(row[name] for name in ("method", "method_id", "k", "seed", "schedule_id", "control_seed"))
        for row in (
            trained.proj() * (FinetuneSpec & OWN_START).proj("schedule_id", "control_seed")
        ).to_dicts()
        if not str(row["method"]).startswith("rotation")
    }
    families: dict[tuple[str, int], int] = {}
    for row in models.to_dicts():
        family = (str(row["dataset"]), int(row["model_spec_id"]))
        families[family] = families.get(family, 0) + 1
    groups = sum(size > 1 for size in families.values())
    partitions = e * len(finetunings)
    n_labelled = len(models * LabelSet.proj())
    n_table_scores = len(models * TableScore.proj())
    found = {
        "TrainedModel": n,
        "Performance": scored * len(SCORED_TIERS),
        "ContinuedTraining": n * len(controls),
        "Embedding": n * e,
        "EmbeddingView": n * e * len(ViewRequest & of),
        "Clustering": n * e * methods * counts * seeds,
        "SubsampleClustering": n * e * methods * counts * len(Study.Subsample & of),
        "DECFinetune": n * partitions,
        "RecordingSummary": len((Dataset & recorded) & models),
        "CarriedPartition": n * e * len(carried),
        "ClusterQuality": n * partitions,
        "ClusterConfound": n * partitions,
        "ClusterPerformance": scored * partitions,
        "ClusterAssociation": scored * partitions * len(CovariateSet()),
        "RetainedPerformance": scored * e * len(trained),
        "TypeCount": n * e * len(SplitSpec()),
        "TypesOrAxes": e * _axes_targets(models, predicting & recorded),
        "LabelAgreement": partitions * n_labelled,
        "LabelDecoding": e * n_labelled,
        "TableScoreAssociation": partitions * n_table_scores,
        "KCriteria": n * e * methods * several if nulls else 0,
        "NullFit": n * e * methods * several * nulls,
        "SeedNullFit": groups * e * (methods * nulls + len(AgreementNullRequest & of)) if several else 0,
        "SharedLabelling": groups * e * several * len(SharedLabellingRequest & of),
    }
    return {name: number for name, number in found.items() if number}


def _axes_targets(models: Any, scored: Any) -> int:
    """Targets of types or axes over the networks of a study: scores, other networks, label sets; per embedding."""
    total = 0
    for spec in AxesSpec.to_dicts():
        if spec["target_kind"] == "scores":
            total += len(scored)
        elif spec["target_kind"] == "labels":
            total += len(models * (LabelSet & {"label_set": spec["target_labels"]}).proj())
        else:
            seed = int(spec["target_seed"])
            there = ModelTask.proj(other="model_seed") & {"other": seed}
            total += len(models & there.proj() & f"model_seed <> {seed}") if len(there) else 0
    return total


@one_at_a_time
def forecast(study: str, *, only: Collection[str] | None = None) -> dict[str, Any]:
    """What a declared study still takes, by the rows that exist.

    Parameters
    ----------
    study : str
        Its name.
    only : collection of str, optional
        Names of the tables that are looked at; default: all.

    Returns
    -------
    dict
        ``tables``: one row per table with ``table``, ``asked``, ``exist``, ``jobs`` (the rest), ``seconds_each``,
        ``bytes_each``, ``file_bytes_each`` (means over rows of the study's datasets, else over all; None where there
        is no row yet) and ``seconds``, ``bytes``, ``file_bytes`` of all jobs. ``jobs``; ``seconds`` of one worker,
        ``bytes`` and ``file_bytes`` of the tables that are known; ``unknown``: the others. ``server_free``,
        ``store_free``: bytes left on the disks, None where this machine does not see them. ``holds``: whether both
        hold it; None where that is not known.

    Examples
    --------
    >>> forecast("v4-sweep")    # doctest: +SKIP
    """
    datasets = [
        {"dataset": name} for name in {str(d) for d in (Study.Model & {"study": study}).to_arrays("dataset")}
    ]
    asked = asked_rows(study)
    tables: list[dict[str, Any]] = []
    for table in computed_tables():
        if table.__name__ not in asked or (only is not None and table.__name__ not in only):
            continue
        exist = min(_existing(table, study), asked[table.__name__])
        jobs = asked[table.__name__] - exist
        each = _each(table, datasets)
        tables.append(
            {
                "table": table.__name__,
                "asked": asked[table.__name__],
                "exist": exist,
                "jobs": jobs,
                **{f"{name}_each": value for name, value in each.items()},
                **{name: None if value is None else value * jobs for name, value in each.items()},
            }
        )
    known = [row for row in tables if row["seconds"] is not None]
    total: dict[str, float] = {
        name: sum(row[name] for row in known) for name in ("seconds", "bytes", "file_bytes")
    }
    unknown = [row["table"] for row in tables if row["seconds"] is None and row["jobs"]]
    free = disks_free()
    return {
        "study": study,
        "tables": tables,
        "jobs": sum(row["jobs"] for row in tables),
        **total,
        "unknown": unknown,
        **free,
        "holds": _holds(total, free, unknown),
    }


def forecast_plan(name: str, plan: PlanFile) -> list[dict[str, Any]]:
    """What a plan would take, see `forecast`; nothing of it is left in the database.

    Parameters
    ----------
    name : str
        Of the study.
    plan : PlanFile
        Its plan.

    Returns
    -------
    list of dict
        One for the study, and one for its null, its states and its limited choice of K where it asks for these; the
        last with what it adds.

    Raises
    ------
    ConfigError
        If the plan would be refused.
    """
    with tried_only(schema.connection):
        known = {str(study) for study in Study().to_arrays("study")}
        register.declare_plan(name, plan)
        new = {str(study) for study in Study().to_arrays("study")} - known
        # What a choice of K adds to the partitions that the study holds anyway.
        choice = tuple(table.__name__ for table, _ in SELECTION_MEMBERS)
        added = {register.selection_study_of(name): choice}
        return [forecast(study, only=added.get(study)) for study in (name, *sorted(new - {name}))]


def disks_free() -> dict[str, int | None]:
    """Bytes left for the database and for the store; None where this machine does not see the disk."""
    info = connection_info()
    folder = Path(str(schema.connection.query("SELECT @@datadir").fetchone()[0]))
    seen = info["host"] in _LOOPBACK and folder.is_dir()
    store = None if object_store() else store_folder()
    while store is not None and not store.is_dir():
        store = store.parent
    return {
        "server_free": shutil.disk_usage(folder).free if seen else None,
        "store_free": None if store is None else shutil.disk_usage(store).free,
    }


def _holds(total: dict[str, float], free: dict[str, int | None], unknown: list[str]) -> bool | None:
    pairs = [(total["bytes"], free["server_free"]), (total["file_bytes"], free["store_free"])]
    if any(size > left for size, left in pairs if left is not None):
        return False
    return None if unknown or free["server_free"] is None else True


def _existing(table: type[dj.Computed], study: str) -> int:
    where, n_named = asked_by(table().primary_key)
    found = table.connection.query(
        f"SELECT COUNT(*) FROM {name_of(table)} AS q WHERE {where}", args=[study] * n_named
    )
    return int(found.fetchone()[0])


def _each(table: type[dj.Computed], datasets: list[dict[str, str]]) -> dict[str, float | None]:
    """Mean seconds, bytes and bytes of files of one row."""
    own = table & datasets if "dataset" in table().primary_key else table()
    like = own if len(own) else table()
    n = len(like)
    if not n:
        return {"seconds": None, "bytes": None, "file_bytes": None}
    where, args = "TRUE", []
    if like is own and "dataset" in table().primary_key:
        where = f"q.dataset IN ({', '.join(['%s'] * len(datasets))})"
        args = [row["dataset"] for row in datasets]
    return {
        "seconds": float(like.to_arrays("seconds").mean()),
        "bytes": bytes_each(table),
        "file_bytes": file_bytes(table, where, args) / n,
    }
