"""Fine-tune without a database: curves, agreement before and after, states, and what is missing."""

from __future__ import annotations

import io

import pandas as pd
import pytest
from dashboard_lab import Lab, text_of
from support.finetune_page_lab import STATES, tuned, tuned_lab

from decortex_ops.dashboard import router
from decortex_ops.dashboard.pages import finetune


def test_dying_clusters_and_further_heads_are_said_where_there_are_any() -> None:
    alive = "2 clusters are left; the others died or were empty at the start."
    asked = tuned_lab()
    assert alive not in text_of(router.show("/fine-tune", "", asked).main)
    heads = [{"head_k": 4, "mean_max_q": 0.91, "n_empty": 1}]
    asked.answers |= {"finetuning": tuned(n_alive=2, heads=heads)}
    text = text_of(router.show("/fine-tune", "", asked).main)
    assert alive in text
    assert "Trained beside it, with equal weight: K = 4: mean max q 0.910, 1 empty." in text


def test_a_fine_tuning_is_found_without_naming_it() -> None:
    screen = router.show("/fine-tune", "", tuned_lab())
    assert "k=8&seed=0&ft=3" in screen.url
    text = text_of(screen.main)
    assert "Scores are against the original model." in text
    assert "-0.0100" in text
    assert "not shown, margin 0.005" in text
    assert "Empty clusters at worst: 1" in text


def test_curves_are_the_epochs_and_undefined_terms_are_left_out() -> None:
    view = router.view_of(finetune, "", tuned_lab())
    losses = next(panel for panel in view.panels if getattr(panel, "name", "") == "losses").figure
    names = [trace.name for trace in losses.data]
    assert "prediction loss" not in names  # DEC alone shows no image
    kl = next(trace for trace in losses.data if trace.name.startswith("KL"))
    assert list(kl.y) == [0.2, 0.1]
    table = pd.read_csv(io.StringIO(router.csv_of("fine-tune", "losses", "", tuned_lab())))
    assert list(table["run"]) == ["dec", "dec", "control", "control"]


def test_agreement_before_and_after_is_of_the_same_pairs() -> None:
    text = text_of(router.show("/fine-tune", "", tuned_lab()).main)
    assert "ARI between networks, mean of 3 pairs" in text
    row = pd.read_csv(io.StringIO(router.csv_of("fine-tune", "compared", "", tuned_lab()))).iloc[0]
    assert (row["before"], row["after"]) == (0.724, 0.727)


def test_states_are_beside_each_other_with_their_null() -> None:
    asked = []
    lab_of_states = tuned_lab(
        states=lambda study, key: asked.append((study, key["finetune_id"], key["k"])) or STATES
    )
    text = text_of(router.show("/fine-tune", "", lab_of_states).main)
    assert asked == [("sweep", 3, 8)]  # of the fine-tuning that is shown
    for words in (
        "control, clustered afresh",
        "control, start's labels carried",
        "fine-tuned, own labels",
        "0.750 [0.100, 0.900]",
        "-0.0012",
        "0.123",
    ):
        assert words in text, words
    assert "n = 3 networks, 19 surrogates per null model" in text
    table = pd.read_csv(io.StringIO(router.csv_of("fine-tune", "states", "", lab_of_states)))
    assert list(table["state"]) == [row["state"] for row in STATES]
    without = [{**row, "null": None, "n_null": 0} for row in STATES]
    assert "above the null" not in text_of(router.show("/fine-tune", "", tuned_lab(states=without)).main)


def test_a_study_without_states_is_told_how_to_ask_for_them() -> None:
    text = text_of(router.show("/fine-tune", "", tuned_lab()).main)
    assert '"states": "all"' in text
    assert "decortex study freeze sweep-states" in text


def test_an_undefined_interval_is_no_bar() -> None:
    clusters = tuned()["price"]["clusters"]
    figure = finetune.price_figure(clusters, tuned()["price"])
    assert list(figure.data[0].error_y.array) == [0]
    assert figure.data[0].error_y.arrayminus[0] == pytest.approx(0.02)


def test_what_is_not_computed_or_not_asked_is_told_apart() -> None:
    assert "not computed yet" in text_of(router.show("/fine-tune", "", Lab(finetuning=None)).main)
    assert "Nothing is fine-tuned" in text_of(router.show("/fine-tune", "?k=4", tuned_lab()).main)
    assert "Its price is not computed yet." in text_of(
        router.show("/fine-tune", "", tuned_lab(price=None)).main
    )
