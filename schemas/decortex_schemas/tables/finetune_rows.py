"""Rows of a fine-tuning: its result as columns of `DECFinetune` and its parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from decortex import finetune as finetuning
from decortex_schemas.tables.embeddings import array_sha256

# What a clustering loss reports of an epoch, as columns.
EPOCH_TERMS = (
    "loss",
    "kl",
    "mean_max_q",
    "entropy_mean_q",
    "n_empty",
    "n_alive",
    "distance_over_scale",
    "share_clamped",
    "share_changed",
    "gradient_norm_prediction",
    "gradient_norm_term",
)


def moved_row(result: finetuning.FinetuneResult, k: int) -> dict[str, Any]:
    """Columns of a fine-tuned partition whose start was asked for at K."""
    found = result.n_clusters if result.n_clusters < k else None
    return {
        "labels": result.labels,
        "labels_sha256": array_sha256(result.labels),
        "finetune_status": result.status,
        "stop_reason": result.stop_reason,
        "n_epochs": len(result.epochs),
        "kept_epoch": result.best_epoch,
        "share_changed": result.share_changed,
        "embedding": result.points,
        "embedding_sha256": array_sha256(result.points),
        "parameters": dict(result.parameters),
        "beta": result.beta,
        "mean_max_q_start": result.start.mean_max_q,
        "kl_start": result.start.kl,
        "mean_max_q": result.end.mean_max_q,
        "entropy_mean_q": result.end.entropy_mean_q,
        "distance_over_scale": finite_or_none(result.end.distance_over_scale),
        "n_alive": found if result.end.n_alive is None else result.end.n_alive,
    }


def curve_rows(result: finetuning.FinetuneResult) -> list[dict[str, Any]]:
    """Rows of the Epoch part, without the master's key."""
    return [
        {
            "epoch": record.epoch,
            "train_loss": record.train_loss,
            "validation_loss": record.validation_loss,
            "validation_correlation": record.validation_correlation,
            "penalty": record.penalty,
            "epoch_seconds": record.seconds,
            "sizes": state.sizes.tolist(),
            **{name: finite_or_none(record.term.get(name)) for name in EPOCH_TERMS},
        }
        for record, state in zip(result.epochs, result.curve, strict=True)
    ]


def head_rows(result: finetuning.FinetuneResult) -> list[dict[str, Any]]:
    """Rows of the Head part, without the master's key."""
    kept = ("kl", "mean_max_q", "entropy_mean_q", "n_empty")
    return [
        {
            "head_k": head.n_clusters,
            "labels": head.labels,
            "kl_start": finite_or_none(head.start.kl),
            "mean_max_q_start": finite_or_none(head.start.mean_max_q),
            **{name: finite_or_none(getattr(head.end, name)) for name in kept},
            "n_empty": head.end.n_empty,
            "curve": [{name: finite_or_none(getattr(state, name)) for name in kept} for state in head.curve],
        }
        for head in result.heads
    ]


def finite_or_none(value: float | None) -> float | None:
    """The value, or None where it is undefined or not finite."""
    return None if value is None or not np.isfinite(value) else float(value)
