"""The page Tuning, from answers that are known."""

from __future__ import annotations

import functools
import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dashboard_lab import Lab, text_of

from decortex.errors import ConfigError
from decortex_ops.dashboard import router
from decortex_schemas.queries import PROFILE


def figure_of(path: str, search: str, source: Lab, panel: str) -> Any:
    panels = router.view_of(router.BY_PATH[path], search, source).panels
    return next(one for one in panels if one.name == panel).figure


def profile(cluster: int, **changed: Any) -> dict[str, Any]:
    """A row of `queries.cluster_profiles` of two networks of images."""
    row: dict[str, Any] = {"dataset": "v4", "model": "cnn", "embedding": "l2", "cluster": cluster}
    row |= {"n_neurons": 20.0, "n_networks": 2, "matched": 0.75, "n_discriminated": 2, "n_stimuli": 2}
    for name in PROFILE:
        row |= {name: 0.25 + cluster, f"{name}_sd": 0.5}
    return {**row, "direction_selectivity": None, "direction_selectivity_sd": None, **changed}


ROWS = [profile(0), profile(1), profile(0, embedding="raw", modulation=99.0)]
STIMULI = {
    "stimuli": np.stack([np.full((1, 4, 5), 2.0), np.eye(4, 5)[None]]).astype(np.float32),
    "exciting": np.stack([np.eye(4, 5)[None], np.full((1, 4, 5), 3.0)]).astype(np.float32),
    "exciting_responses": np.array([[4.0, 0.5], [1.0, 2.0]]),
    "shown": np.arange(2 * 3 * 20, dtype=np.float32).reshape(2, 3, 1, 4, 5),
    "shown_responses": np.array([[2.5, 2.0, 1.0], [3.5, 0.5, 0.25]]),
    "confusion": np.array([[3.0, 0.5], [1.0, 0.25]]),
    "n_discriminated": 1,
    "clusters": [0, 1],
}
FIELDS = [
    {
        "cluster": 0,
        "temporal": np.array([0.1, -0.5, 1.0]),
        "separable": 0.9,
        "neuron": 7,
        "spatial": np.eye(4),
    },
    {"cluster": 1, "temporal": None, "separable": None, "neuron": None, "spatial": None},
]


def test_a_table_is_not_told_to_ask_for_its_tuning() -> None:
    text = text_of(router.show("/tuning", "", lab(study_tables=["cells"], reference=None)).main)
    assert "A table has no network" in text
    assert "--ask" not in text


def lab(**changed: Any) -> Lab:
    answers = {"cluster_profiles": ROWS, "cluster_stimuli": STIMULI, "cluster_fields": FIELDS}
    return Lab(**{**answers, **changed})


@functools.cache
def known(search: str) -> dict[str, Any]:
    """The panels of the page by name, where all answers are those above."""
    return {one.name: one for one in router.view_of(router.BY_PATH["/tuning"], search, lab()).panels}


def test_points_are_the_rows_of_the_chosen_network() -> None:
    made = known("?method=1&k=4")["profiles"].figure
    assert len(made.data) == len(PROFILE) - 1  # no direction: these networks see images
    for trace in made.data:
        assert list(trace.y) == [0.25, 1.25]
        assert list(trace.error_y.array) == [0.5, 0.5]
    text = text_of(router.show("/tuning", "?method=1&k=4", lab()).main)
    assert "n = 2 networks" in text
    assert "0.750 of neurons are in matched clusters" in text


def test_stimuli_and_confusion_are_what_was_stored() -> None:
    made = known("?method=1&k=4")["stimuli"].figure
    np.testing.assert_array_equal(made.data[1].z, np.eye(4, 5)[::-1])
    np.testing.assert_array_equal(made.data[2].z, STIMULI["confusion"])
    assert "n = 2 clusters, 1 of which answer most to their own" in text_of(
        router.show("/tuning", "?k=4", lab()).main
    )


def test_fields_show_space_and_of_movies_time() -> None:
    space = known("?k=4")["fields"].figure
    assert len(space.data) == 1  # the second cluster has no linear field
    lines = max(title.text.count("<br>") + 1 for title in space.layout.annotations)
    assert space.layout.margin.t >= 22 * lines, "room for every line of the titles"
    time = known("?k=4")["time"].figure
    assert list(time.data[0].x) == [-2, -1, 0]
    assert list(time.data[0].y) == [0.1, -0.5, 1.0]
    of_images = [{**FIELDS[0], "temporal": np.array([2.0])}]
    panels = router.view_of(router.BY_PATH["/tuning"], "?k=4", lab(cluster_fields=of_images)).panels
    assert [panel.name for panel in panels] == ["profiles", "exciting", "stimuli", "fields"]


def test_what_was_not_asked_for_says_how_to_ask() -> None:
    def refuse(*_: Any, **__: Any) -> Any:
        raise ConfigError("the tuning of study 'sweep' was not asked for")

    text = text_of(
        router.show("/tuning", "?k=4", lab(cluster_profiles=refuse, cluster_stimuli=lambda key: None)).main
    )
    assert "was not asked for" in text
    assert "decortex clusters sweep --method kmeans -k 4 --ask" in text


@pytest.mark.parametrize("panel", ["profiles", "stimuli", "fields", "time"])
def test_every_panel_has_its_rows(panel: str) -> None:
    assert known("?k=4")[panel].data()


def test_the_most_exciting_stimuli_stand_above_those_that_were_shown() -> None:
    made = known("?method=1&k=4")["exciting"].figure
    assert len(made.data) == 2 * (1 + 3)
    np.testing.assert_array_equal(made.data[0].z, STIMULI["exciting"][0, 0][::-1])
    np.testing.assert_array_equal(made.data[3].z, STIMULI["shown"][0, 2, 0][::-1])
    text = router.csv_of("tuning", "exciting", "?method=1&k=4", lab())
    assert text is not None
    assert "0,0,optimised,4.0" in text
    assert "1,1,test stimulus 1,3.5" in text


def test_networks_without_recordings_show_the_optimised_stimuli_alone() -> None:
    none = {**STIMULI, "shown": np.zeros((2, 0, 1, 4, 5)), "shown_responses": np.zeros((2, 0))}
    made = figure_of("/tuning", "?method=1&k=4", lab(cluster_stimuli=none), "exciting")
    assert len(made.data) == 2
    assert "no test stimuli" in text_of(
        router.show("/tuning", "?method=1&k=4", lab(cluster_stimuli=none)).main
    )


def test_stimuli_stand_in_the_order_of_their_clusters_numbers() -> None:
    source = lab(matched_clusters={0: 1, 1: 0})
    made = figure_of("/tuning", "?method=1&k=4", source, "exciting")
    np.testing.assert_array_equal(made.data[0].z, STIMULI["exciting"][1, 0][::-1])
    matrix = next(t for t in figure_of("/tuning", "?method=1&k=4", source, "stimuli").data if t.x is not None)
    assert list(matrix.x) == ["0", "1"]
    np.testing.assert_array_equal(matrix.z, STIMULI["confusion"][::-1, ::-1])
    for panel, column in (("exciting", "cluster"), ("stimuli", "stimulus_of"), ("profiles", "cluster")):
        rows = pd.read_csv(io.StringIO(router.csv_of("tuning", panel, "?method=1&k=4", source)))
        known = {1: 0, 0: 1}
        assert [known.get(one, one) for one in rows[column]] == list(rows[f"page_{column}"]), panel
