"""Every figure at the widths of print: nothing cut, no legend on data, ticks at computed K, markers and colours."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pytest
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from decortex import figures
from decortex.columns import CRITERIA, NULL_COLOURS
from decortex.errors import InputError

Draw = Callable[..., Figure]
Drawn = Callable[[Draw, int], Figure]
COUNTS = [2, 3, 4, 6, 8, 12, 16, 24, 32]
KINDS = tuple(NULL_COLOURS)
TITLE = "macaque-v4-2022, l2-normalised readout, kmeans K = 8, not fine-tuned, network 0, start 0"
RNG = np.random.default_rng(0)


def criteria(**how: Any) -> Figure:
    values = [
        {"criterion": name, "k": k, "value": 1 / k, "low": 0.9 / k, "high": 1.1 / k}
        for name in CRITERIA
        for k in COUNTS
    ]
    nulls = [
        {
            "criterion": name,
            "k": k,
            "null_kind": kind,
            "null_low": 0.1 * i / k,
            "null_high": 0.3 * (i + 1) / k,
        }
        for name in CRITERIA
        for k in COUNTS
        for i, kind in enumerate(KINDS)
    ]
    reason = "stability and the agreement between networks exceed every surrogate at this K"
    return figures.k_criteria(
        pd.DataFrame(values), pd.DataFrame(nulls), decision=8, reason=reason, title=TITLE, **how
    )


def surrogates(**how: Any) -> Figure:
    rows = [
        {"null_kind": kind, "null_seed": seed, "k": k, "value": RNG.uniform(0.2, 0.6)}
        for kind in KINDS
        for seed in range(19)
        for k in COUNTS
    ]
    observed = pd.DataFrame({"k": COUNTS, "value": np.linspace(0.9, 0.4, len(COUNTS))})
    return figures.surrogate_values(pd.DataFrame(rows), observed, criterion="stability", title=TITLE, **how)


def tree(**how: Any) -> Figure:
    levels = pd.DataFrame(
        {"n_groups": range(2, 10), "p": np.geomspace(1e-10, 0.4, 8), "passed": [True] * 7 + [False]}
    )
    splits = [
        {"left_types": [i], "right_types": list(range(i + 1, 8)), "n_left": 45, "n_right": 45 * (7 - i), "p": 1e-5,
         "depth": 0.1 * i}
        for i in range(7)
    ]  # fmt: skip
    sentence = "8 groups of neurons stand apart"
    return figures.types_tree(
        levels, pd.DataFrame(splits), alpha=0.02, sentence=sentence, title=f"{TITLE}: {sentence}", **how
    )


def agreement(**how: Any) -> Figure:
    names = [f"{m}, network {n}, start {s}" for m in ("kmeans", "gmm") for n in range(3) for s in range(3)]
    pairs = [{"a": a, "b": b, "ari": RNG.uniform()} for i, a in enumerate(names) for b in names[:i]]
    return figures.agreement_map(pd.DataFrame(pairs), names, title=TITLE, **how)


def curves(**how: Any) -> Figure:
    own = pd.DataFrame(
        {
            "epoch": range(1, 9),
            **{
                name: RNG.uniform(size=8)
                for name in ("train_loss", "penalty", "loss", "kl", "validation_correlation")
            },
            **{
                name: RNG.uniform(size=8)
                for name in ("mean_max_q", "entropy_mean_q", "share_changed", "share_clamped")
            },
            "distance_over_scale": RNG.uniform(1, 5, size=8),
        }
    )
    return figures.loss_curves(own, own, title=TITLE, **how)


def front(**how: Any) -> Figure:
    rows = [
        {"method": m, "k": k, "finetune": name, "beta": b, "ari_networks": RNG.uniform(), "on_front": b == 0.1,
         "difference": RNG.uniform(-0.02, 0.01)}
        for m in ("kmeans", "gmm")
        for k in (4, 8)
        for b, name in ((0.0, "none"), (0.1, "dec_joint"), (1.0, "december"))
    ]  # fmt: skip
    return figures.agreement_front(pd.DataFrame(rows), title="study macaque-v4-sweep-2022", **how)


def price(**how: Any) -> Figure:
    rows = [
        {"method": "kmeans", "k": 8, "finetune": name, "model_seed": seed, "seed": 0, "difference": 0.001 * seed,
         "difference_over_sessions": 0.001 * seed, "interval_low": -0.01, "interval_high": 0.01, "margin": 0.005,
         "n_neurons": 360}
        for name in ("dec", "dec_joint", "december")
        for seed in range(3)
    ]  # fmt: skip
    return figures.paired_change(pd.DataFrame(rows), title="study macaque-v4-sweep-2022", **how)


def performance(**how: Any) -> Figure:
    table = pd.DataFrame({"cluster": np.arange(720) % 12, "score": RNG.uniform(0.2, 0.9, 720)})
    effect = {"epsilon2_corrected": 0.29, "epsilon2_low": 0.2, "epsilon2_high": 0.4, "p_permutation": 0.0001}
    return figures.performance_by_cluster(table, effect, title=TITLE, **how)


def neurons() -> pd.DataFrame:
    n = np.arange(720)
    names = np.array([f"2022-{i % 8 + 1:02d}-session-of-animal-{i % 3}" for i in n])
    return pd.DataFrame(RNG.normal(size=(720, 2)), columns=["x", "y"]).assign(
        cluster=n % 12, score=np.linspace(0, 1, 720), session=names
    )


def map_of_clusters(**how: Any) -> Figure:
    return figures.view_map(
        neurons(), colour="cluster", label="cluster", neighbours_kept=0.3, title=TITLE, **how
    )


def map_of_sessions(**how: Any) -> Figure:
    return figures.view_map(neurons(), colour="session", label="session", title=TITLE, **how)


def map_of_scores(**how: Any) -> Figure:
    return figures.view_map(neurons(), colour="score", label="test correlation", title=TITLE, **how)


def nulls(**how: Any) -> Figure:
    rows = [
        {
            "measure": measure,
            "state": state,
            "null_kind": kind,
            "null_value": RNG.uniform(),
            "observed": 0.8,
            "p": 0.05,
        }
        for measure in ("ari_seeds", "silhouette", "epsilon2")
        for state in ("before", "after", "change")
        for kind in KINDS
        for _ in range(19)
    ]
    return figures.finetuned_nulls(pd.DataFrame(rows), title=TITLE, **how)


def stimuli(**how: Any) -> Figure:
    shown = RNG.standard_normal((12, 3, 1, 36, 36))
    return figures.cluster_stimuli(shown[:, 0], shown, range(12), title=TITLE, **how)


def summary(**how: Any) -> Figure:
    questions = (
        "How many types of neurons are there?",
        "Do other networks, seeds and methods find the same clusters?",
        "Is a neuron's predictability tied to its cluster?",
        "Does fine-tuning help, and what does it cost?",
        "What is a cluster?",
    )
    told = [
        {"question": one, "answer": "in these sessions", "effect": 0.737, "low": 0.7, "high": 0.8,
         "compared_with": "surrogates without types, gaussian and copula, of the same networks"}
        for one in questions
    ]  # fmt: skip
    agreed = [
        {"method": m, "k": k, "ari_seeds": 1 / k, "ari_null": 0.5 / k}
        for m in ("kmeans", "gmm diag")
        for k in COUNTS
    ]
    changed = [
        {"finetune": f, "change": 0.01, "low": -0.01, "high": 0.02} for f in ("dec", "dec_joint", "december")
    ]
    return figures.study_summary(
        told,
        neurons(),
        pd.DataFrame(agreed),
        pd.DataFrame(changed),
        marks={"in these sessions": "◐"},
        title=TITLE,
        **how,
    )


ALL: list[Draw] = [
    criteria, surrogates, tree, agreement, curves, front, price, performance, map_of_clusters, map_of_sessions,
    map_of_scores, nulls, stimuli, summary,
]  # fmt: skip


def rendered(figure: Figure) -> Any:
    """The figure's renderer, after its layout is made."""
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    return canvas.get_renderer()


@pytest.fixture(scope="module")
def drawn() -> Drawn:
    """Draws a figure at a width once for all tests, which only look at it."""
    return functools.cache(lambda draw, width: draw(width=width))


@pytest.mark.parametrize("width", figures.WIDTHS)
@pytest.mark.parametrize("draw", ALL)
def test_nothing_is_cut_and_no_legend_lies_on_the_data(drawn: Drawn, draw: Draw, width: int) -> None:
    figure = drawn(draw, width)
    renderer = rendered(figure)
    inches = figure.get_size_inches()
    assert inches[0] == pytest.approx(width / 25.4)
    assert inches[1] <= 11, "higher than a page"
    box = figure.get_tightbbox(renderer)
    assert box.x0 >= -0.02
    assert box.y0 >= -0.02
    assert box.x1 <= inches[0] + 0.02, "cut at the right"
    assert box.y1 <= inches[1] + 0.02, "cut at the top"
    for named in figure.legends:
        frame = named.get_window_extent(renderer)
        assert all(not frame.overlaps(axes.get_tightbbox(renderer)) for axes in figure.axes if axes.axison)
        assert frame.x1 <= inches[0] * renderer.dpi + 2, "the legend is cut"
    for axes in figure.axes:
        if axes.get_label() == "<colorbar>":
            continue
        assert axes.get_window_extent().width > 0.35 * renderer.dpi, "nothing is left for the data"
        named = axes.get_legend()
        if named is not None:
            inside, frame = named.get_window_extent(renderer), axes.get_window_extent()
            over = min(inside.x1, frame.x1) - max(inside.x0, frame.x0)
            assert not axes.title.get_text() or not inside.overlaps(axes.title.get_window_extent(renderer))
            beneath = min(inside.y1, frame.y1) - max(inside.y0, frame.y0)
            assert min(over, beneath) <= 3, f"the legend covers {over:.0f} x {beneath:.0f} dots of the data"
        _names_stand_apart(axes, renderer)


def _names_stand_apart(axes: Axes, renderer: Any) -> None:
    """Names of ticks do not run into each other."""
    boxes = [
        text.get_window_extent(renderer)
        for text in axes.get_xticklabels()
        if text.get_text() and text.get_visible() and text.get_rotation() == 0
    ]
    boxes = sorted((box for box in boxes if box.width), key=lambda box: box.x0)
    for one, after in itertools.pairwise(boxes):
        assert one.x1 <= after.x0 + 1, "names of ticks run into each other"


@pytest.mark.parametrize("width", figures.WIDTHS)
def test_ticks_stand_at_computed_counts_alone(drawn: Drawn, width: int) -> None:
    panels = [*drawn(criteria, width).axes, *drawn(surrogates, width).axes]
    with_counts = [axes for axes in panels if axes.axison and axes.get_xlabel() == "number of clusters K"]
    assert len(with_counts) == len(CRITERIA) + len(KINDS)
    for axes in with_counts:
        assert axes.get_xticks().tolist() == COUNTS
        named = [text.get_text() for text in axes.get_xticklabels() if text.get_text()]
        assert named[0] == "2"
        assert {int(one) for one in named} <= set(COUNTS)


def test_a_null_model_has_one_colour_marker_and_dash_wherever_it_is_drawn(drawn: Drawn) -> None:
    from matplotlib.colors import to_hex

    for axes, kind in zip(drawn(surrogates, 183).axes, sorted(KINDS), strict=True):
        assert to_hex(axes.collections[0].get_facecolor()[0]).upper() == NULL_COLOURS[kind].upper()
    lines = {line.get_label(): line for line in drawn(criteria, 183).axes[0].get_lines()}
    for kind in KINDS:
        assert lines[f"null: {kind}"].get_color() == NULL_COLOURS[kind]
    dashes = {lines[f"null: {kind}"].get_linestyle() for kind in KINDS}
    assert len(dashes) == len(KINDS), "told apart in grey too"


@pytest.mark.parametrize("draw", [curves, front])
def test_lines_of_a_panel_differ_in_their_markers(drawn: Drawn, draw: Draw) -> None:
    for axes in drawn(draw, 183).axes:
        marks = [
            line.get_marker() for line in axes.get_lines() if line.get_marker() not in ("None", None, "")
        ]
        assert len(set(marks)) == len(marks)


@pytest.mark.parametrize("draw", [criteria, surrogates, front, price, performance, curves, nulls, tree])
def test_every_axis_is_named(drawn: Drawn, draw: Draw) -> None:
    for axes in drawn(draw, 89).axes:
        if axes.axison and axes.get_lines() and axes.spines["left"].get_visible():
            assert (
                axes.get_ylabel()
                or axes.get_title()
                or axes.get_yticklabels()[0].get_text().startswith("kmeans")
            )


def test_a_width_on_which_nothing_can_be_read_is_refused() -> None:
    with pytest.raises(InputError, match="40 to 400 millimetres wide, got 8"):
        performance(width=8)
