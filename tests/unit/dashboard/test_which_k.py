"""Which K without a database: the decision, bands of the null models, and that no K is supported."""

from __future__ import annotations

from typing import Any

from dashboard_lab import STUDY, Lab, text_of

from decortex.columns import NULL_COLOURS
from decortex_ops.dashboard import criteria_figure, router


def value(number: float, *, low: float, high: float) -> dict[str, Any]:
    return {"value": number, "low": low, "high": high, "n_used": 360, "status": "ok"}


def null(mean: float) -> dict[str, Any]:
    return {
        "observed": 0.8,
        "null_mean": mean,
        "null_low": mean - 0.1,
        "null_high": mean + 0.1,
        "z": 2.5,
        "p": 0.05,
        "n_surrogates": 19,
        "n_used": 360,
        "status": "ok",
    }


def selection(decision: int | None) -> dict[str, Any]:
    return {
        "decision": decision,
        "reason": "supported" if decision else "no_valleys",
        "n_networks": 2,
        "n_surrogates": 19,
        "single": {"stability": 4, "silhouette": 8, "bic": None},
        "networks": [{"model_seed": 0, "decision": None, "reason": "no_valleys"}],
        "persons": [],
        "baseline": {},
        "counts": [
            {
                "k": k,
                "supported": k == decision,
                "reasons": [] if k == decision else ["not_above_nulls"],
                "values": {
                    "stability": value(0.8, low=0.7, high=0.95),
                    "silhouette": value(0.3, low=0.2, high=0.4),
                },
                "excess": {"stability": {"gaussian": null(0.5), "copula": null(0.6)}},
            }
            for k in (4, 8)
        ],
    }


def lab(decision: int | None, **answers: Any) -> Lab:
    return Lab(best_k=lambda study, key: [selection(decision)], **answers)


def test_the_decision_and_its_reasons_are_shown() -> None:
    text = text_of(router.show("/which-k", "?method=7", lab(8)).main)
    assert "K = 8" in text
    assert "not above nulls" in text
    assert "n = 360 neurons, 2 networks" in text


def test_no_supported_count_is_an_answer() -> None:
    text = text_of(router.show("/which-k", "", lab(None)).main)
    assert "no K is supported" in text
    assert "no K has density valleys" in text


def test_the_query_asks_for_what_was_chosen() -> None:
    asked = lab(8)
    router.show("/which-k", "?study=sweep&method=7", asked)
    key = next(args[1] for name, args, _ in asked.asked if name == "best_k")
    assert key == {"dataset": "v4", "model_spec_id": 1, "embedding_spec_id": 2, "method_id": 7}


def test_bands_and_intervals_are_the_rows() -> None:
    figure = criteria_figure(selection(8), ["stability", "silhouette"])
    data = [trace for trace in figure.data if trace.name == "data"]
    assert list(data[0].y) == [0.8, 0.8]
    assert [round(x, 9) for x in data[0].error_y.array] == [0.15, 0.15]
    assert [round(x, 9) for x in data[0].error_y.arrayminus] == [0.1, 0.1]
    upper = [trace for trace in figure.data if trace.fill == "tonexty"]
    assert [list(trace.y) for trace in upper] == [[0.6, 0.6], [0.7, 0.7]]
    assert [trace.name for trace in figure.data if trace.showlegend] == ["null: gaussian", "null: copula"]
    marks = [trace for trace in figure.data if "alone" in str(trace.hovertemplate)]
    assert [mark.x[0] for mark in marks] == [4, 8]


def test_ticks_stand_at_computed_counts_and_nulls_look_as_in_print() -> None:
    figure = criteria_figure(selection(8), ["stability", "silhouette"])
    assert list(figure.layout.xaxis.tickvals) == [4, 8]
    assert list(figure.layout.xaxis2.tickvals) == [4, 8]
    means = {trace.name: trace.line for trace in figure.data if (trace.name or "").startswith("null: ")}
    assert {name: line.color for name, line in means.items()} == {
        f"null: {kind}": NULL_COLOURS[kind] for kind in ("gaussian", "copula")
    }
    assert len({line.dash for line in means.values()}) == 2, "told apart in grey too"


def test_the_csv_has_a_row_for_every_count_criterion_and_null() -> None:
    lines = router.csv_of("which-k", "criteria", "", lab(8)).splitlines()
    assert len(lines) == 1 + 2 * (2 + 1)


def test_what_is_missing_is_named_with_its_command() -> None:
    own = {**STUDY, "study": "sweep-selection", "frozen_at": None}
    for study, choosing, command in (
        (STUDY, None, "selection"),
        ({**STUDY, "frozen_at": None}, "sweep", "decortex study freeze sweep"),
        (STUDY, "sweep-selection", "decortex study freeze sweep-selection"),
    ):
        found = Lab(study_counts=[study, own], choosing_study=choosing)
        assert command in text_of(router.show("/which-k", "study=sweep", found).main)
    empty = Lab(best_k=[])
    assert "decortex work" in text_of(router.show("/which-k", "", empty).main)
