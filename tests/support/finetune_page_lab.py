"""A study that fine-tuned, for the page Fine-tune: epochs, prices and states in a `Lab`, without a database."""

from __future__ import annotations

from typing import Any

from dashboard_lab import Lab, run_row


def epoch(number: int, **values: Any) -> dict[str, Any]:
    return {"epoch": number, "validation_correlation": 0.5 + number / 100, "validation_loss": -0.1, **values}


def tuned(**changed: Any) -> dict[str, Any]:
    return {
        "finetune": "dec",
        "kind": "dec",
        "finetune_status": "ok",
        "stop_reason": "tolerance",
        "n_epochs": 2,
        "kept_epoch": 2,
        "share_changed": 0.05,
        "distance_over_scale": 3.0,
        "epochs": [
            epoch(i, kl=0.2 / i, loss=0.1, train_loss=None, share_changed=0.1, mean_max_q=0.9, n_empty=i - 1)
            for i in (1, 2)
        ],
        "control": [epoch(1), epoch(2)],
        "price": {
            "before": 0.9,
            "after": 0.89,
            "control": 0.9,
            "difference": -0.01,
            "interval_low": -0.02,
            "interval_high": None,
            "margin": 0.005,
            "equivalent": 0,
            "n_neurons": 60,
            "clusters": [
                {"cluster": 0, "n_neurons": 60, "difference_over_sessions": -0.01, "low": -0.03, "high": None}
            ],
        },
        "qualities": [],
        **changed,
    }


def state_row(state: str, method: str, **changed: Any) -> dict[str, Any]:
    """A row of `queries.states`."""
    figures = {"ari_truth": 0.4, "silhouette": 0.21, "silhouette_moved": None, "n_networks": 3}
    ends = {
        "ari_networks_low": 0.1,
        "ari_networks_high": 0.9,
        "correlation_low": None,
        "correlation_high": None,
    }
    null = {"null": "gaussian", "n_null": 19, "ari_networks_p": 0.05, "silhouette_excess": 0.01}
    return {
        "state": state,
        "method": method,
        "share_changed": None,
        "ari_networks": 0.5,
        "correlation_change": -0.0012,
        "ari_networks_excess": 0.123,
        **figures,
        **ends,
        **null,
        **changed,
    }


STATES = [
    state_row("start", "kmeans"),
    state_row("control", "gmm"),
    state_row("control_carried", "kmeans", share_changed=0.08),
    state_row("fine_tuned", "own", ari_networks=0.75),
    state_row("fine_tuned_afresh", "kmeans"),
]


def tuned_lab(states: Any = None, **changed: Any) -> Lab:
    return Lab(
        has_states=states is not None,
        states=states,
        finetuning=tuned(**changed),
        describe=lambda keys, study: [run_row(**key) for key in keys],
        before_and_after={"n_pairs": 3, "ari_seeds_before": 0.724, "ari_seeds_after": 0.727},
    )
