"""Loss curves: what is drawn, gaps, refusals, and bytes that do not change."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from decortex.errors import InputError
from decortex.figures import figure_bytes, loss_curves


def epochs() -> pd.DataFrame:
    n = 5
    return pd.DataFrame(
        {
            "epoch": np.arange(n, 0, -1),
            "train_loss": np.linspace(0.5, 1.0, n),
            "penalty": 0.1,
            "loss": np.linspace(0.1, 0.3, n),
            "kl": np.linspace(0.2, 0.6, n),
            "validation_correlation": [0.5, 0.6, np.nan, 0.55, 0.5],
            "mean_max_q": 0.5,
            "entropy_mean_q": 0.9,
            "share_changed": [0.0, 0.1, 0.1, 0.2, 0.4],
            "distance_over_scale": [None, 2.0, 2.5, 3.0, 3.5],
        }
    )


def lines(figure) -> dict[str, np.ndarray]:
    return {line.get_label(): line.get_xydata() for axes in figure.axes for line in axes.get_lines()}


def test_every_quantity_is_drawn_over_the_epochs_in_order():
    control = pd.DataFrame({"epoch": [1, 2, 3], "validation_correlation": [0.5, 0.52, 0.53]})
    drawn = lines(loss_curves(epochs(), control, title="december, K = 8"))
    assert set(drawn) == {
        "prediction loss",
        "L1 penalty",
        "β KL",
        "KL",
        "fine-tuned",
        "control",
        "mean max q",
        "entropy of mean q / log K",
        "labels changed (share)",
        "centre distance / scale",
    }
    np.testing.assert_array_equal(drawn["KL"][:, 0], [1, 2, 3, 4, 5])
    np.testing.assert_allclose(drawn["KL"][:, 1], np.linspace(0.6, 0.2, 5))
    assert np.isnan(drawn["fine-tuned"][2, 1])
    assert len(drawn["control"]) == 3


def test_what_no_epoch_has_is_left_out():
    alone = epochs().assign(train_loss=None).drop(columns=["penalty", "distance_over_scale"])
    assert not {"prediction loss", "L1 penalty", "centre distance / scale"} & set(lines(loss_curves(alone)))


@pytest.mark.parametrize(("kind", "head"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_equal_figures_are_equal_bytes(kind, head):
    one, other = (figure_bytes(loss_curves(epochs(), title="a"), kind) for _ in range(2))
    assert one == other
    assert one.startswith(head)
    assert figure_bytes(loss_curves(epochs(), title="b"), kind) != one


def test_rows_that_are_not_epochs_are_refused():
    with pytest.raises(InputError, match="no column kl"):
        loss_curves(epochs().drop(columns="kl"))
    with pytest.raises(InputError, match="no epoch"):
        loss_curves(epochs().iloc[:0])
