"""Figures that take rows of several questions: a study in one figure, and the stimuli of a partition's clusters."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pandas as pd

from decortex import figures as draw
from decortex.errors import ConfigError
from decortex_schemas import queries
from decortex_schemas.queries.answering import MARKS

Row = dict[str, Any]


def summary_parts(study: str, partition: Row) -> dict[str, Any]:
    """What `decortex.figures.study_summary` draws of a study, with one of its partitions.

    Parameters
    ----------
    study : str
        A frozen study.
    partition : dict
        A row of `queries.partitions`.
    """
    names = ("dataset", "model", "embedding")
    own = {name: partition[name] for name in names}
    neurons = pd.DataFrame(queries.figure_neurons(partition["key"])).drop(columns=["x", "y"], errors="ignore")
    points = _view(study, partition)
    agreement = [
        {name: row[name] for name in ("method", "k", "ari_seeds", "ari_null")}
        for row in queries.agreement(study)["partitions"]
        if row["finetune"] == "none" and all(row[name] == value for name, value in own.items())
    ]
    changes = [
        {
            "finetune": row["finetune"]
            if row["k"] == partition["k"]
            else f"{row['finetune']}, K = {row['k']}",
            "change": row["ari_networks_change"],
            "low": row["ari_networks_low"],
            "high": row["ari_networks_high"],
        }
        for row in queries.improvement(study)["summary"]
        if row["method"] == partition["method"] and all(row[name] == value for name, value in own.items())
    ]
    return {
        "answers": queries.answers(study),
        "neurons": neurons.assign(x=points[:, 0], y=points[:, 1]),
        "agreement": pd.DataFrame(agreement, columns=["method", "k", "ari_seeds", "ari_null"]),
        "changes": pd.DataFrame(changes, columns=["finetune", "change", "low", "high"]),
        "marks": MARKS,
    }


def speaking_partition(study: str, where: Mapping[str, str]) -> dict[str, str]:
    """The partition that speaks for a study, first network and start, where a choice does not name another."""
    found = queries.reference(study)
    if found is None:
        return dict(where)
    usual = next(
        (
            row
            for row in queries.partitions(study)
            if all(row["key"][name] == found[name] for name in found if name in row["key"])
        ),
        None,
    )
    if usual is None or where:
        return {"finetune": "none", **where}
    return {name: str(usual[name]) for name in queries.CHOICE}


def stimuli_figure(partition: Row, title: str, *, width: float | None = None) -> Any:
    """The most exciting stimuli of a partition's clusters.

    Raises
    ------
    ConfigError
        If they are not optimised.
    """
    found = queries.cluster_stimuli(partition["key"])
    if found is None:
        raise ConfigError(
            "the stimuli of this partition are not optimised; `decortex clusters STUDY --ask` asks for those of one "
            "method and K as it was found, without fine-tuning."
        )
    return draw.cluster_stimuli(
        found["exciting"], found["shown"], found["clusters"], title=title, width=width
    )


def clusters_parts(study: str, picture: Callable[[str, str, Row, str], Any]) -> dict[str, Any]:
    """What the report says of clusters: their tuning as rows, their stimuli as a picture; empty where nobody asked."""
    found = queries.reference(study)
    nothing: dict[str, Any] = {"profiles": [], "profile_columns": [], "stimuli": []}
    if found is None:
        return nothing
    own = next(
        (
            row
            for row in queries.partitions(study)
            if all(row["key"][name] == value for name, value in found.items() if name in row["key"])
        ),
        None,
    )
    if own is None:
        return nothing
    names = ("dataset", "model", "embedding")
    try:
        every = queries.cluster_profiles(study, method=own["method"], k=int(found["k"]))
    except ConfigError:  # nobody asked
        return nothing
    rows = [row for row in every if all(row[name] == own[name] for name in names)]
    columns = ("cluster", "n_neurons", "n_networks", "matched", *queries.PROFILE)
    where = {name: own[name] for name in queries.CHOICE}
    caption = (
        "What each cluster's neurons answer to most. On top optimised by gradient ascent on their mean response, all "
        "read at the middle of the image, at a bounded contrast; below the best of the test stimuli."
    )
    drawn = queries.cluster_stimuli(own["key"]) is not None
    return {
        "profiles": rows,
        "profile_columns": [name for name in columns if any(row[name] is not None for row in rows)],
        "stimuli": [picture("stimuli", study, where, caption)] if drawn else [],
    }


def _view(study: str, partition: Row) -> Any:
    """Points of a view of the partition's embedding, a t-SNE or UMAP before principal components; NaN without one."""
    ids = ("dataset", "model_spec_id", "model_seed", "embedding_spec_id")
    drawn = [
        view
        for view in queries.views(study)
        if view["done"] and all(view[name] == partition["key"][name] for name in ids)
    ]
    drawn.sort(key=lambda view: (view["kind"] == "pca", view["view"], view["view_seed"]))
    if drawn:
        return queries.view_points(drawn[0])
    return np.full((len(queries.figure_neurons(partition["key"])), 2), np.nan)
