"""Every figure by what its artists hold: positions, bands, colours, numbers in titles; equal bytes; refusals."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from decortex import figures
from decortex.errors import InputError
from decortex.figures import TWO_COLUMNS, colours_of

K = [2, 3, 4]


def criteria() -> Figure:
    values = pd.DataFrame(
        {
            "criterion": ["stability"] * 3 + ["own_idea"] * 3 + ["silhouette"] * 3,
            "k": K * 3,
            "value": [0.5, 0.9, None, 1.0, 2.0, 3.0, None, None, None],
            "low": [0.4, 0.8, None, None, None, None, None, None, None],
            "high": [0.6, 1.0, None, None, None, None, None, None, None],
        }
    )
    nulls = pd.DataFrame(
        {
            "criterion": "stability",
            "k": K,
            "null_kind": "permuted",
            "null_low": [0.1, 0.2, 0.3],
            "null_high": [0.3, 0.4, 0.5],
        }
    )
    return figures.k_criteria(values, nulls, decision=3, reason="agreed", title="v4, kmeans")


PAIRS = pd.DataFrame({"a": ["x", "x"], "b": ["y", "z"], "ari": [0.25, None]})


def agreement() -> Figure:
    return figures.agreement_map(PAIRS, ["z", "x", "y"], title="K = 3")


FRONT = pd.DataFrame(
    {
        "method": ["kmeans"] * 3 + ["gmm"],
        "k": [8] * 4,
        "finetune": ["joint 1", "none", "lost", "none"],
        "beta": [1.0, 0.0, 2.0, 0.0],
        "ari_networks": [0.7, 0.5, None, 0.4],
        "difference": [-0.01, 0.0, -0.1, 0.0],
        "on_front": [True, False, None, True],
    }
)


def front() -> Figure:
    return figures.agreement_front(FRONT, title="study a$b")


PRICE = pd.DataFrame(
    {
        "method": "kmeans",
        "k": 8,
        "finetune": ["joint", "dec"],
        "model_seed": [0, 1],
        "seed": 0,
        "difference": [0.03, -0.02],
        "difference_over_sessions": [0.02, None],
        "interval_low": [0.01, None],
        "interval_high": [0.03, None],
        "margin": 0.005,
        "n_neurons": [36, 35],
    }
)


def price() -> Figure:
    return figures.paired_change(PRICE, title="study s")


def scored() -> pd.DataFrame:
    rng = np.random.default_rng(0)
    cluster = np.repeat([0, 1, 8, -1], [20, 12, 3, 2])
    score = rng.normal(0.5, 0.1, len(cluster))
    score[0] = np.nan
    return pd.DataFrame({"cluster": cluster, "score": score})


EFFECT = {
    "epsilon2_corrected": 0.25,
    "epsilon2_low": 0.1,
    "epsilon2_high": 0.4,
    "epsilon2_within": None,
    "p_permutation": 0.0123,
}


def performance() -> Figure:
    return figures.performance_by_cluster(scored(), EFFECT, title="K = 3")


def placed() -> pd.DataFrame:
    rng = np.random.default_rng(1)
    table = pd.DataFrame(rng.normal(size=(20, 2)), columns=["x", "y"])
    table.loc[3, ["x", "y"]] = np.nan
    return table.assign(
        cluster=np.arange(20) % 3, score=np.linspace(0, 1, 20), session=[f"s{i % 2}" for i in range(20)]
    )


def view_map() -> Figure:
    return figures.view_map(placed(), colour="cluster", label="cluster", neighbours_kept=0.28, title="t-SNE")


def surrogates() -> Figure:
    rows = [
        {"null_kind": kind, "null_seed": seed, "k": k, "value": 0.1 * k + 0.01 * seed}
        for kind in ("gaussian", "permuted")
        for seed in range(4)
        for k in K
    ]
    observed = pd.DataFrame({"k": K, "value": [0.21, 0.9, None]})
    return figures.surrogate_values(pd.DataFrame(rows), observed, criterion="stability", title="v4")


NULLS = pd.DataFrame(
    [
        {"measure": "ari_seeds", "state": state, "null_kind": "t", "null_value": v, "observed": o, "p": 0.25}
        for state, o, values in (
            ("before", 0.5, [0.1, 0.2, None]),
            ("after", 0.7, [0.4, 0.3, 0.2]),
            ("change", 0.2, [0.3, 0.1, None]),
        )
        for v in values
    ]
)


def nulls() -> Figure:
    return figures.finetuned_nulls(NULLS, title="joint")


ALL = [criteria, agreement, front, price, performance, view_map, surrogates, nulls]


def title(figure: Figure) -> str:
    return figure.get_suptitle().replace("\u00a0", " ")  # between K and its number


def offsets(axes: Any, which: int) -> np.ndarray:
    return np.asarray(axes.collections[which].get_offsets())


def test_criteria_show_data_bands_and_decision() -> None:
    figure = criteria()
    assert title(figure) == "v4, kmeans: K = 3 (agreed)"
    assert [axes.get_title() for axes in figure.axes] == ["stability", "own idea"]
    axes = figure.axes[0]
    lines = {line.get_label(): line.get_xydata() for line in axes.get_lines()}
    np.testing.assert_array_equal(lines["data"], [[2, 0.5], [3, 0.9], [4, np.nan]])
    assert set(lines["decision"][:, 0]) == {3}
    band, intervals = axes.collections
    np.testing.assert_array_equal(lines["null: permuted"], [[2, 0.3], [3, 0.4], [4, 0.5]])
    corners = {(round(x, 9), round(y, 9)) for x, y in band.get_paths()[0].vertices}
    assert {(2, 0.1), (2, 0.3), (4, 0.3), (4, 0.5)} <= corners
    np.testing.assert_array_equal(intervals.get_segments()[0], [[2, 0.4], [2, 0.6]])
    none = figures.k_criteria(
        pd.DataFrame({"criterion": ["gap"], "k": [2], "value": [1.0], "low": [None], "high": [None]}),
        pd.DataFrame(),
        decision=None,
        reason="as in a continuum",
    )
    assert title(none) == "no K is supported (as in a continuum)"
    assert "decision" not in {line.get_label() for line in none.axes[0].get_lines()}


def test_the_map_of_agreement_is_symmetric() -> None:
    axes = agreement().axes[0]
    cells = np.ma.filled(axes.images[0].get_array(), np.nan)
    np.testing.assert_array_equal(cells, [[1, np.nan, np.nan], [np.nan, 1, 0.25], [np.nan, 0.25, 1]])
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["z", "x", "y"]
    assert sorted(text.get_text() for text in axes.texts) == ["0.25", "0.25", "1.00", "1.00", "1.00"]
    with pytest.raises(InputError, match="name 'z', which is not among the 2"):
        figures.agreement_map(PAIRS, ["x", "y"])


def test_the_front_follows_beta_and_fills_what_is_not_beaten() -> None:
    figure = front()
    assert title(figure) == r"study a\$b (3 variants)"
    axes = figure.axes[0]
    line = next(line for line in axes.get_lines() if line.get_label() == "kmeans, K = 8")
    np.testing.assert_array_equal(line.get_xydata(), [[0, 0.5], [-0.01, 0.7]])
    points = axes.collections[0]
    assert [to_hex(colour) for colour in points.get_facecolors()] == ["#ffffff", line.get_color().lower()]
    assert {text.get_text() for text in axes.texts} == {"not fine-tuned", "joint 1"}


def test_changes_stand_on_zero_and_the_margin() -> None:
    figure = price()
    assert "2 partitions, n >= 35 neurons" in title(figure)
    axes = figure.axes[0]
    figure.canvas.draw()
    box = axes.get_legend().get_window_extent()
    assert box.y0 >= axes.get_window_extent().y1 - 1, "the legend stands above the data"
    assert box.x1 <= figure.bbox.x1
    points = {dots.get_label(): offsets(axes, i) for i, dots in enumerate(axes.collections)}
    np.testing.assert_allclose(points["dec"], [[-0.02, 0]])
    np.testing.assert_allclose(points["joint"], [[0.02, 1]])
    np.testing.assert_allclose(axes.collections[0].get_segments()[1], [[0.01, 1], [0.03, 1]])
    margin = axes.patches[0]
    assert (margin.get_x(), margin.get_x() + margin.get_width()) == (-0.005, 0.005)
    assert axes.get_yticklabels()[0].get_text() == "kmeans K=8, network 1, start 0"


def test_performance_by_cluster_counts_and_colours() -> None:
    figure = performance()
    assert title(figure) == "K = 3 (n = 34 neurons, 3 without a score)"
    axes = figure.axes[0]
    said = axes.get_title().replace("\n", " ").replace("\N{NO-BREAK SPACE}", " ")
    assert said == "epsilon² = 0.250 [0.100 to 0.400]; within sessions -, permutation p .0123"
    assert "\n" in axes.get_title()
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0\nn=19", "1\nn=12", "8\nn=3"]
    table = scored().dropna()
    medians = [offsets(axes, i)[0] for i, dots in enumerate(axes.collections) if len(dots.get_offsets()) == 1]
    expected = [table.loc[table["cluster"] == c, "score"].median() for c in (0, 1, 8)]
    heights = [y for x, y in medians if (x, y) != (0, 0)]
    np.testing.assert_allclose(heights, expected)
    violins = [one for one in axes.collections if one.get_paths() and len(one.get_paths()[0].vertices) > 50]
    assert [to_hex(one.get_facecolor()[0]) for one in violins] == [
        figures.cluster_colour(0).lower(),
        figures.cluster_colour(1).lower(),
    ]


def test_a_map_places_neurons_and_says_what_it_is() -> None:
    figure = view_map()
    axes = figure.axes[0]
    assert title(figure) == "t-SNE (n = 19 neurons)"
    assert axes.get_xlabel() == "keeps 0.280 of nearest neighbours; a picture:\nislands and gaps mean nothing"
    table = placed().dropna()
    for cluster, dots in enumerate(axes.collections):
        own = table[table["cluster"] == cluster]
        np.testing.assert_allclose(dots.get_offsets(), own[["x", "y"]])
        assert to_hex(dots.get_facecolors()[0]) == figures.cluster_colour(cluster).lower()
    scale = figures.view_map(placed(), colour="score", label="correlation").axes[0]
    np.testing.assert_allclose(scale.collections[1].get_array(), table["score"])
    names = (
        figures.view_map(placed(), colour="session", label="session").axes[0].get_legend_handles_labels()[1]
    )
    assert names == ["s0", "s1"]
    with pytest.raises(InputError, match="no neuron has a position"):
        figures.view_map(placed().assign(x=np.nan), colour="cluster", label="")


def test_surrogates_stand_at_their_k() -> None:
    figure = surrogates()
    assert title(figure) == "v4 (4 surrogates per null model)"
    axes = figure.axes[0]
    assert axes.get_title() == "gaussian: above all at 1 of 3 K"
    dots = offsets(axes, 0)
    assert sorted(np.round(dots[:, 1], 3)) == sorted(
        round(0.1 * k + 0.01 * s, 3) for k in K for s in range(4)
    )
    assert np.array_equal(np.unique(np.round(dots[:, 0])), K)


def test_fine_tuning_stands_beside_that_of_surrogates() -> None:
    (axes,) = nulls().axes
    assert axes.get_title() == "ARI between networks: p of the change .2500"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["before", "after", "change"]
    np.testing.assert_array_equal(np.ma.filled(axes.collections[0].get_offsets(), np.nan)[:2, 1], [0.1, 0.2])
    np.testing.assert_allclose(offsets(axes, 3), [[1, 0.7]])
    assert axes.get_legend_handles_labels()[1] == ["surrogates: t", "recordings"]


@pytest.mark.parametrize("draw", ALL)
def test_equal_rows_are_equal_bytes(draw: Callable[[], Figure]) -> None:
    drawn = [draw(), draw()]
    one, other = (figures.figure_bytes(each, "pdf", about={"title": "t", "key": "k"}) for each in drawn)
    assert one == other
    assert drawn[0].get_size_inches()[0] <= TWO_COLUMNS


def test_a_file_says_what_it_shows() -> None:
    about = {"title": "decortex price", "key": '{"k":8,"name":"<b>&"}', "versions": '{"decortex":"0.1.0"}'}
    svg = figures.figure_bytes(price(), "svg", about=about).decode()
    assert "{&quot;k&quot;:8" in svg or '{"k":8' in svg
    assert "<b>&" not in svg
    png = figures.figure_bytes(price(), "png", about=about)
    assert b'Description\x00{"k":8' in png
    assert b"Source\x00" in png
    pdf = figures.figure_bytes(price(), "pdf", about=about)
    assert re.search(rb"/Subject \(\{", pdf)
    assert b"/Keywords" in pdf
    assert b"CreationDate" not in pdf
    assert figures.figure_bytes(price(), "svg") != figures.figure_bytes(price(), "svg", about=about)


def test_tables_without_what_a_figure_needs_are_refused() -> None:
    empty = pd.DataFrame()
    for call in (
        lambda: figures.k_criteria(empty, empty, decision=None, reason=""),
        lambda: figures.agreement_map(PAIRS.drop(columns="a"), ["x"]),
        lambda: figures.agreement_front(FRONT.iloc[2:3]),
        lambda: figures.paired_change(PRICE.iloc[:0]),
        lambda: figures.performance_by_cluster(scored().assign(cluster=-1), EFFECT),
        lambda: figures.view_map(placed(), colour="depth", label=""),
        lambda: figures.finetuned_nulls(NULLS.drop(columns="p")),
        lambda: figures.surrogate_values(empty, empty, criterion="stability"),
    ):
        with pytest.raises(InputError, match="needs rows with"):
            call()


def test_colours_stay_with_their_name_and_cluster() -> None:
    assert colours_of(["b", "a", "b"]) == {"b": figures.cluster_colour(0), "a": figures.cluster_colour(1)}
    assert figures.cluster_colour(7) == figures.cluster_colour(0) != figures.cluster_colour(-1)


LEVELS = pd.DataFrame({"n_groups": [2, 3, 4], "p": [0.0, 0.001, 0.4], "passed": [True, True, False]})
SPLITS = pd.DataFrame(
    [
        {"left_types": [1], "right_types": [0, 2], "n_left": 50, "n_right": 90, "p": 1e-9, "depth": 0.05},
        {"left_types": [0], "right_types": [2], "n_left": 60, "n_right": 30, "p": 0.001, "depth": None},
    ]
)


def tree(splits=SPLITS, sentence=""):
    return figures.types_tree(LEVELS, splits, alpha=0.02, sentence=sentence, title="v4")


def test_a_tree_names_every_split_and_every_type():
    tests, drawn = tree().axes
    assert [text.get_text() for text in drawn.texts] == [
        "1\nn = 50",
        "p < .0001, depth 0.050",
        "0\nn = 60",
        "2\nn = 30",
        "p 0.0010, depth -",
    ]
    filled, empty = tests.collections
    assert filled.get_offsets()[:, 0].tolist() == [2, 3]
    assert empty.get_offsets().tolist() == [[4, 0.4]]
    # Branches do not cross: types from left to right are 1, then 0 and 2 under one split.
    leaves = {dots.get_offsets()[0][0]: text for dots, text in zip(drawn.collections, "102", strict=True)}
    assert [leaves[x] for x in sorted(leaves)] == ["1", "0", "2"]


def test_where_there_are_no_types_the_sentence_stands_in_place_of_a_tree():
    _, drawn = tree(SPLITS[:0], "No two groups stand apart.").axes
    assert [text.get_text() for text in drawn.texts] == ["No two groups stand apart."]


def test_a_tree_without_tested_numbers_is_refused():
    with pytest.raises(InputError, match="n_groups, p, passed"):
        figures.types_tree(LEVELS[:0], SPLITS, alpha=0.02, sentence="")
