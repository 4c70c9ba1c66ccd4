"""Map, Cluster and Performance without a database: which neurons are drawn, listed and counted."""

from __future__ import annotations

import io
from typing import Any

import dashboard_lab
import numpy as np
import pandas as pd
import pytest
from dashboard_lab import CHOICES, LABELS, N_NEURONS, SCORES, VIEW, Lab, points, text_of

from decortex_ops.dashboard import OKABE_ITO, SYMBOLS, cluster_colour, cluster_symbol, router
from decortex_ops.dashboard.pages import cluster, map_view, performance

SQUARE = "lasso=-0.5,-0.5;9.5,-0.5;9.5,9.5;-0.5,9.5"


def figure_of(path: str, search: str, lab: Lab, panel: str) -> Any:
    page = router.BY_PATH[path]
    view = router.view_of(page, search, lab)
    return next(one for one in view.panels if getattr(one, "name", "") == panel).figure


def test_the_map_draws_every_placed_neuron_once() -> None:
    figure = figure_of("/map", "", Lab(), "map")
    assert {trace.type for trace in figure.data} == {"scattergl"}
    drawn = np.concatenate([np.asarray(trace.customdata)[:, 0] for trace in figure.data])
    assert sorted(drawn) == list(range(N_NEURONS - 1))
    assert [trace.name for trace in figure.data] == ["0", "1", "2"]


def test_a_lasso_in_the_link_lists_its_neurons() -> None:
    lab = Lab()
    text = text_of(router.detail("/map", f"?{SQUARE}", lab))
    assert "n = 10 neurons" in text
    assert "10 in cluster 0" in text
    table = pd.read_csv(io.StringIO(router.csv_of("map", "selection", f"?{SQUARE}", lab)))
    assert list(table["neuron_idx"]) == list(range(10))
    assert np.isnan(table["test_correlation"][5])
    np.testing.assert_allclose(table["test_correlation"][:5], SCORES[:5])
    assert router.detail("/map", "", lab) == []


def test_a_lasso_leaves_the_page_on_the_screen() -> None:
    url = router.show("/map", "", Lab()).url
    search = url.partition("?")[2]
    assert router.is_shown("/map", f"?{search}&{SQUARE}", {"url": url})
    assert not router.is_shown("/map", f"?{search}&colour=session", {"url": url})


def test_what_nobody_knows_is_said() -> None:
    lab = Lab()
    for colour in ("depth", "area", "type"):
        assert "Nobody knows" in text_of(router.show("/map", f"?colour={colour}", lab).main)
    figure = figure_of("/map", "?colour=performance", lab, "map")
    assert [len(trace.x) for trace in figure.data] == [1, N_NEURONS - 2]  # one has no score, one no place


def test_a_map_that_is_not_drawn_names_the_command() -> None:
    for views in ([], [{**VIEW, "done": False}]):
        assert "decortex view add sweep tsne" in text_of(router.show("/map", "", Lab(views=views)).main)


def test_many_neurons_are_few_bytes() -> None:
    n = 54_000
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 20, n).astype(np.int16)
    scene = map_view.Scene(
        rng.normal(size=(n, 2)).astype(np.float32),
        labels,
        labels,
        rng.random(n),
        {"z": np.full(n, np.nan)},
        VIEW,
    )
    sent = map_view.map_figure(scene, "cluster").to_json()
    assert len(sent) < 2_000_000
    assert len(map_view.selected(scene, ((-9, -9), (9, -9), (9, 9), (-9, 9)))) == n
    assert len(map_view.selected(scene, ((0, 0), (1, 1)))) == 0


def test_clusters_differ_in_colour_or_marker() -> None:
    looks = {(cluster_colour(c), cluster_symbol(c)) for c in range(len(OKABE_ITO) * len(SYMBOLS))}
    assert len(looks) == len(OKABE_ITO) * len(SYMBOLS)
    assert cluster_colour(3) == OKABE_ITO[3]


def test_a_cluster_lists_its_members_and_animals() -> None:
    text = text_of(router.show("/cluster", "?cluster=1", Lab()).main)
    assert "n = 20 neurons; test correlation" in text
    assert "n = 20 neurons of 2 animals" in text
    table = pd.read_csv(io.StringIO(router.csv_of("cluster", "groups", "?cluster=1", Lab())))
    assert list(table["in_cluster"]) == [10, 10]
    assert list(table["neurons"]) == [30, 29]
    members = pd.read_csv(io.StringIO(router.csv_of("cluster", "members", "?cluster=1", Lab())))
    assert list(members["neuron_idx"]) == list(np.flatnonzero(LABELS == 1))


def test_a_cluster_that_does_not_exist_falls_back_and_says_so() -> None:
    screen = router.show("/cluster", "?cluster=77", Lab())
    assert "this study has no cluster cluster=77" in text_of(screen.main)
    assert screen.url.endswith("cluster=0")


@pytest.mark.parametrize(
    ("count", "n", "low", "high"), [(5, 10, 0.2366, 0.7634), (0, 20, 0.0, 0.1611), (0, 0, 0, 0)]
)
def test_the_interval_of_a_share_is_wilsons(count: int, n: int, low: float, high: float) -> None:
    assert cluster.wilson(count, n) == pytest.approx((low, high), abs=1e-4)


def test_the_readout_is_the_stored_centre() -> None:
    figure = figure_of("/cluster", "?cluster=2", Lab(), "readout")
    assert list(figure.data[-1].y) == [2, -2, 0.5]


def performance_row() -> dict[str, Any]:
    names = (
        "epsilon2_corrected epsilon2_low epsilon2_high omega2 omega2_low omega2_high epsilon2_within "
        "p_permutation p_kruskal"
    )
    return {
        **dict.fromkeys(names.split(), 0.25),
        "n_permutations": 99,
        "n_neurons": 58,
        "n_sessions": 2,
        "n_excluded": 1,
        "clusters": [],
        "pairs": [
            {
                "first": 0,
                "second": 1,
                "n_first": 3,
                "n_second": 4,
                "rank_biserial": 0.1,
                "p": 0.2,
                "p_holm": 0.4,
            }
        ],
    }


def test_violins_hold_the_defined_scores_of_placed_neurons() -> None:
    lab = Lab(performance_by_cluster=performance_row())
    text = text_of(router.show("/performance", "", lab).main)
    assert "n = 58 neurons with a score" in text
    assert "0.250 [0.250, 0.250]" in text
    groups = performance.grouped(LABELS, SCORES)
    assert {c: len(v) for c, v in groups.items()} == {0: 29, 1: 20, 2: 9}
    figure = performance.violins_figure(groups)
    medians = [trace.y[0] for trace in figure.data if trace.line.width == 2]
    assert medians == pytest.approx([np.median(v) for v in groups.values()])
    bodies = [trace for trace in figure.data if trace.fill == "toself"]
    for body, values in zip(bodies, groups.values(), strict=True):
        assert values.min() <= min(body.y)
        assert max(body.y) <= values.max()


def test_a_density_is_highest_where_the_values_are() -> None:
    values = np.concatenate([np.full(500, 0.3) + np.linspace(-0.02, 0.02, 500), np.full(20, 0.9)])
    at, height = performance.density(values, 0.0, 1.0)
    assert at[np.argmax(height)] == pytest.approx(0.3, abs=0.03)
    assert height.max() == 1
    assert performance.density(np.full(3, 0.5), 0.0, 1.0)[1].max() == 1  # no spread at all


def test_a_partition_that_is_not_computed_names_the_command() -> None:
    lab = Lab(exists=False, performance_by_cluster=None)
    for path in ("/map", "/cluster", "/performance", "/provenance"):
        assert "decortex work" in text_of(router.show(path, "", lab).main), path


def test_a_network_without_recordings_is_not_told_to_wait() -> None:
    silent = [{**row, "scored_against": "nothing: no recordings"} for row in CHOICES["networks"]]
    lab = Lab(performance_by_cluster=None, choices={**CHOICES, "networks": silent})
    text = text_of(router.show("/performance", "", lab).main)
    assert "This network has no scores, and work will make none." in text
    assert "decortex work" not in text


def test_pages_with_scores_say_what_they_are_scores_against() -> None:
    lab = Lab(performance_by_cluster=performance_row())
    for path in ("/map", "/cluster", "/performance"):
        assert "Scores are against the original model." in text_of(router.show(path, "", lab).main), path


def test_points_of_the_lab_are_what_the_tests_take_them_for() -> None:
    assert np.isnan(points()[-1]).all()
    assert len(points()) == len(LABELS) == len(SCORES) == N_NEURONS


def of_table(dataset: str) -> dict[str, Any]:
    return {**dashboard_lab.neurons(dataset), "id": np.array([f"c{i:03d}" for i in range(N_NEURONS)])}


def test_neurons_and_features_of_a_table_are_called_as_in_the_table() -> None:
    lab = Lab(neurons=of_table, feature_names=("depth", "OSI", "a,b"))
    assert "c030" in text_of(router.show("/cluster", "?cluster=1", lab).main)
    for page, panel, search in (
        ("cluster", "members", "?cluster=1"),
        ("map", "map", ""),
        ("map", "selection", f"?{SQUARE}"),
    ):
        rows = pd.read_csv(io.StringIO(router.csv_of(page, panel, search, lab)))
        assert list(rows["id"]) == [f"c{i:03d}" for i in rows["neuron_idx"]], (page, panel)
        assert "unit_id" not in rows
    readout = pd.read_csv(io.StringIO(router.csv_of("cluster", "readout", "?cluster=1", lab)))
    assert list(readout["feature"][:3]) == ["depth", "OSI", "a,b"]
    figure = figure_of("/cluster", "?cluster=1", lab, "readout")
    assert list(figure.layout.xaxis.ticktext) == ["depth", "OSI", "a,b"]


def test_downloads_hold_the_label_of_files_beside_the_number_of_pages() -> None:
    lab = Lab(matched_clusters={0: 1, 1: 0, 2: 2}, performance_by_cluster=performance_row())
    rows = pd.read_csv(io.StringIO(router.csv_of("map", "map", "", lab)))
    assert list(rows["cluster"]) == list(LABELS)
    assert list(rows["page_cluster"]) == [{0: 1, 1: 0, 2: 2, -1: -1}[one] for one in LABELS]
    for panel in ("readout", "overview"):
        table = pd.read_csv(io.StringIO(router.csv_of("cluster", panel, "?cluster=1", lab)))
        pairs = set(zip(table["page_cluster"], table["cluster"], strict=True))
        assert pairs == {(0, 1), (1, 0), (2, 2)}, panel
    scored = pd.read_csv(io.StringIO(router.csv_of("performance", "violins", "", lab)))
    assert list(scored["cluster"]) == [LABELS[neuron] for neuron in scored["neuron_idx"]]
    assert list(scored["page_cluster"]) == [{0: 1, 1: 0, 2: 2}[one] for one in scored["cluster"]]
    pairs = pd.read_csv(io.StringIO(router.csv_of("performance", "pairs", "", lab)))
    for name in ("first", "second"):
        assert list(pairs[f"page_{name}"]) == [{0: 1, 1: 0, 2: 2}[one] for one in pairs[name]]
