"""Answers of a small imaginary lab, so that pages render without a database."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

import numpy as np

HOSTILE = "<img src=x onerror=alert(1)>\"'&"
STUDY = {
    "study": "sweep",
    "description": "",
    "created_by": "me",
    "created_at": datetime(2026, 1, 2),
    "frozen_at": datetime(2026, 1, 3),
    "n_members": 8,
    "n_failed": 0,
    "networks": 2,
    "methods": 2,
    "counts": 2,
    "seeds": 1,
    "nulls": 19,
}
CHOICES = {
    "networks": [
        {
            "dataset": "v4",
            "model_spec_id": 1,
            "model_seed": seed,
            "model": "cnn",
            "scored_against": "the original model",
        }
        for seed in (0, 1)
    ],
    "embeddings": [{"embedding_spec_id": 2, "embedding": "l2"}],
    "methods": [
        {"method_id": 1, "method": "kmeans", "method_name": "kmeans"},
        {"method_id": 7, "method": "gmm", "method_name": "gmm diag"},
    ],
    "counts": [{"k": 4}, {"k": 8}],
    "seeds": [{"seed": 0}],
    "finetunings": [
        *(
            {"finetune_id": 1, "finetune": "none", "kind": "none", "method_id": m, "k": k, "seed": 0}
            for m in (1, 7)
            for k in (4, 8)
        ),
        {"finetune_id": 3, "finetune": "dec", "kind": "dec", "method_id": 1, "k": 8, "seed": 0},
    ],
}
QUEUE = [
    {
        "table": "Clustering",
        "done": 5,
        "running": 1,
        "failed": 1,
        "waiting": 3,
        "set_aside": 0,
        "seconds_mean": 2.0,
        "seconds_left": 8.0,
    }
]
FAILURE = {
    "table": "Clustering",
    "key": {"dataset": HOSTILE, "k": 4},
    "message": f"InputError: {HOSTILE}",
    "traceback": "Traceback ...",
    "when": datetime(2026, 1, 2, 3),
    "user": "ada@box",
    "host_name": "box",
    "process_id": 12,
}


N_NEURONS = 60
LABELS = np.repeat([0, 1, 2, -1], [30, 20, 9, 1]).astype(np.int16)
SCORES = np.where(np.arange(N_NEURONS) == 5, np.nan, np.linspace(0.1, 0.9, N_NEURONS))


def neurons(dataset: str) -> dict[str, Any]:
    """Sixty neurons of two animals."""
    index = np.arange(N_NEURONS)
    names = np.where(index % 2, "mouse-b", "mouse-a")
    return {
        "neuron_idx": index,
        "session": names,
        "unit_id": index + 100,
        "animal": names,
        "scan": index * 0,
        "area": np.full(N_NEURONS, ""),
        "x": np.full(N_NEURONS, np.nan),
        "y": np.full(N_NEURONS, np.nan),
        "z": np.full(N_NEURONS, np.nan),
        "true_type": np.full(N_NEURONS, -1),
    }


def points() -> Any:
    """Neurons on a diagonal; the last has no place."""
    found = np.column_stack([np.arange(N_NEURONS), np.arange(N_NEURONS)]).astype(np.float32)
    found[-1] = np.nan
    return found


VIEW = {
    "dataset": "v4",
    "model_spec_id": 1,
    "model_seed": 0,
    "embedding_spec_id": 2,
    "view_spec_id": 4,
    "view_seed": 0,
    "view": "tsne",
    "kind": "tsne",
    "done": True,
    "neighbours_kept": 0.5,
}


class Lab:
    """A source that answers from what it is given, and notes what was asked."""

    def __init__(self, **answers: Any) -> None:
        self.answers: dict[str, Any] = {
            "study_counts": [STUDY],
            "choices": CHOICES,
            "choosing_study": STUDY["study"],
            "queue_state": QUEUE,
            "workers": [],
            "throughput": [],
            "failures": [FAILURE],
            "frozen_changes": "",
            "agreement": {
                part: []
                for part in (
                    "partitions",
                    "subsamples",
                    "methods",
                    "models",
                    "geometry",
                    "communities",
                    "nulls",
                )
            },
            "shared_labellings": [],
            "study_tables": [],
            "feature_names": None,
            "by_construction": [],
            "exists": True,
            "matched_clusters": {},
            "agreement_by_count": [],
            "label_sets": [],
            "labels": LABELS,
            "scores": SCORES,
            "neurons": neurons,
            "views": [VIEW],
            "view_points": lambda key: points(),
            "clusters": [
                {"cluster": c, "size": n, "share": n / 59, "spread": 1.0, "centre": np.array([c, -c, 0.5])}
                for c, n in enumerate((30, 20, 9))
            ],
            **answers,
        }
        self.asked: list[tuple[str, tuple[Any, ...], dict[str, Any]]] = []

    def __call__(self, question: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        self.asked.append((question.__name__, args, kwargs))
        if question.__module__.startswith("decortex_ops."):
            return question(*args, **kwargs)  # a computation of a page, no question of the database
        answer = self.answers[question.__name__]
        return answer(*args, **kwargs) if callable(answer) else answer


def text_of(component: Any) -> str:
    """Everything that a component shows as text."""
    if component is None or isinstance(component, (int, float, bool)):
        return "" if component is None else str(component)
    if isinstance(component, str):
        return component
    if isinstance(component, (list, tuple)):
        return " ".join(text_of(one) for one in component)
    return text_of(getattr(component, "children", None))


def run_row(**changed: Any) -> dict[str, Any]:
    """One finished variant."""
    return {
        "dataset": "v4",
        "model_spec_id": 1,
        "model_seed": 0,
        "embedding_spec_id": 2,
        "method": "kmeans",
        "method_id": 1,
        "k": 4,
        "seed": 0,
        "finetune_id": 1,
        "model": "cnn",
        "embedding": "l2",
        "method_name": "kmeans",
        "finetune": "none",
        "kind": "none",
        "status": "ok",
        "share_changed": None,
        "n_epochs": 0,
        "started_at": datetime(2026, 1, 2),
        "seconds": 1.0,
        "largest_share": 0.4,
        "objective": 1.0,
        "fit_status": "ok",
        "epsilon2": 0.1,
        "epsilon2_within": 0.1,
        "p": 0.0001,
        "difference": None,
        "fraction_retained": None,
        "silhouette": 0.3,
        "ari_seeds": 0.6,
        "ari_clustering_seeds": None,
        "ari_truth": None,
        **changed,
    }
