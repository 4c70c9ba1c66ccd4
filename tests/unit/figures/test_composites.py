"""The study in one figure, and the stimuli of clusters: what is drawn is what was given."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from decortex.errors import InputError
from decortex.figures import cluster_stimuli, figure_bytes, study_summary

MARKS = {"in these sessions": "◐", "not asked": "–"}
ANSWERS = [
    {"question": "How many types?", "answer": "in these sessions", "effect": 2.0, "low": 2.0, "high": 3.0,
     "compared_with": "one group fewer"},
    {"question": "What is a cluster?", "answer": "not asked", "effect": None, "low": None, "high": None,
     "compared_with": None},
]  # fmt: skip
NEURONS = pd.DataFrame(
    {
        "x": np.arange(30.0),
        "y": np.arange(30.0) % 7,
        "cluster": np.arange(30) % 3 - 1,
        "score": np.linspace(0, 1, 30),
    }
)
AGREEMENT = pd.DataFrame(
    {
        "method": ["kmeans", "kmeans", "gmm"],
        "k": [8, 4, 4],
        "ari_seeds": [0.7, 0.6, 0.5],
        "ari_null": [0.4, 0.5, None],
    }
)
CHANGES = pd.DataFrame(
    {"finetune": ["dec", "$joint"], "change": [0.01, None], "low": [None, None], "high": [None, None]}
)


def drawn(**changed: object):
    parts = {"neurons": NEURONS, "agreement": AGREEMENT, "changes": CHANGES, **changed}
    return study_summary(ANSWERS, **parts, marks=MARKS, title="a $study$")


def test_every_panel_holds_what_it_was_given() -> None:
    figure = drawn()
    a, b, c, d, e = figure.axes
    said = a.texts[0].get_text()
    assert "◐ in these sessions" in said
    assert "2 [2, 3]" in said
    assert "– not asked" in said
    assert sum(len(dots.get_offsets()) for dots in b.collections) == 30
    lines = {line.get_label(): line.get_xydata() for line in c.get_lines()}
    np.testing.assert_allclose(lines["kmeans"], [[4, 0.6], [8, 0.7]])
    np.testing.assert_allclose(lines["kmeans, surrogates"], [[4, 0.5], [8, 0.4]])
    assert "gmm, surrogates" not in lines
    assert [tick.get_text() for tick in d.get_xticklabels()] == ["0", "1"], (
        "neurons in no cluster have no violin"
    )
    assert [tick.get_text() for tick in e.get_yticklabels()] == ["dec"]
    for one in (c, d, e):
        assert one.get_xlabel()
    assert figure_bytes(figure, "svg", about={"title": "t"}) == figure_bytes(
        drawn(), "svg", about={"title": "t"}
    )


def test_a_panel_without_rows_says_so() -> None:
    figure = drawn(agreement=AGREEMENT[:0], changes=CHANGES[:0], neurons=NEURONS.assign(x=np.nan, score=None))
    said = " ".join(text.get_text() for axes in figure.axes for text in axes.texts)
    for words in ("was not asked", "nothing was fine-tuned", "no neuron has a score", "no view"):
        assert words in said
    with pytest.raises(InputError, match="no row"):
        drawn(neurons=NEURONS[:0])


def test_stimuli_stand_in_columns_by_cluster() -> None:
    best, shown = np.random.default_rng(0).standard_normal((2, 1, 5, 6)), np.ones((2, 3, 1, 5, 6))
    figure = cluster_stimuli(best, shown, [0, 4], title="k-means")
    assert len(figure.axes) == 2 * 4
    np.testing.assert_array_equal(figure.axes[1].images[0].get_array(), best[1, 0])
    assert [axes.get_title() for axes in figure.axes[:2]] == ["cluster 0", "cluster 4"]
    with pytest.raises(InputError, match="stimuli of 3 clusters"):
        cluster_stimuli(best, shown, [0, 1, 2])
