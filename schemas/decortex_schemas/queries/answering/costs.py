"""What it would take to ask what a study's plan does not ask: jobs, and hours at the mean time of rows that exist."""

from __future__ import annotations

from typing import Any

import datajoint as dj

from decortex_schemas.database import computed_tables
from decortex_schemas.queries.answering.facts import Cost
from decortex_schemas.tables import (
    Clustering,
    ContinuedTraining,
    CovariateSet,
    DECFinetune,
    FinetuneSpec,
    Study,
    TrainedModel,
)
from decortex_schemas.tables.evaluation import SURROGATES

_HOUR = 3600.0


def of_agreement_null(study: str) -> Cost:
    """Surrogates of all networks together, clustered by every method of a study at every K above 1."""
    of = {"study": study}
    networks, embeddings = len(Study.Model & of), len(Study.Embedding & of)
    counts, starts = len(Study.Count & of & "k > 1"), len(Study.ClusteringSeed & of)
    families = len(dj.U("dataset", "model_spec_id") & (Study.Model & of)) * embeddings
    jobs = families * len(Study.Method & of) * SURROGATES
    fits = SURROGATES * networks * embeddings * len(Study.Method & of) * counts * starts
    one = _mean_seconds(Clustering & (Study.Model & of).proj() & (Study.Method & of).proj())
    return Cost(jobs, None if one is None else fits * one / _HOUR)


def of_another_network(study: str) -> Cost:
    """As much as the study's own networks took on average."""
    networks = Study.Model & {"study": study}
    n = len(networks)
    jobs, seconds = 0, 0.0
    for table in computed_tables():
        names = set(table().primary_key)
        if set(TrainedModel().primary_key) <= names and "study" not in names:
            found = (table & networks.proj()).to_arrays("seconds")
            jobs += len(found)
            seconds += float(found.sum())
    return Cost(max(1, round(jobs / max(n, 1))), seconds / max(n, 1) / _HOUR if jobs else None)


def of_finetuning(study: str) -> Cost:
    """One fine-tuning of one partition of every network, its control, and what judges both."""
    networks = Study.Model & {"study": study}
    n = len(networks) * len(Study.Embedding & {"study": study})
    judges = 0
    for table in computed_tables():
        names = set(table().primary_key)
        if table is not DECFinetune and set(DECFinetune().primary_key) <= names and "study" not in names:
            judges += len(CovariateSet()) if "covariate_set_id" in names else 1
    tuned = _mean_seconds(
        DECFinetune * FinetuneSpec.proj("kind") & "kind != 'none'" & networks.proj("dataset")
    )
    control = _mean_seconds(ContinuedTraining & networks.proj("dataset"))
    hours = None if tuned is None or control is None else n * (tuned + control) / _HOUR
    return Cost(n * (2 + judges), hours)


def _mean_seconds(rows: Any) -> float | None:
    seconds = rows.to_arrays("seconds")
    return float(seconds.mean()) if len(seconds) else None
