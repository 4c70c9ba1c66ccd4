"""Tuning as tables: what is asked for is measured, and clusters are described over networks whose clusters match."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from small_lab import SMALL, TESTS, fill, plan_for

import decortex
import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex.errors import ConfigError
from decortex.tuning import (
    INDICES,
    TuningConfig,
    discriminative_stimuli,
    exciting_among,
    exciting_stimuli,
    linear_fields,
)
from decortex_ops.cli import main
from decortex_ops.dashboard import router
from decortex_ops.dashboard.source import CachedSource
from decortex_ops.reports import draw_figure, report
from decortex_schemas import queries
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import (
    ClusterStimuli,
    InSilicoTuning,
    TuningRequest,
    freeze_study,
    load_network,
    load_recordings,
    register_simulation,
    request_stimuli,
    request_tuning,
)

pytestmark = pytest.mark.usefixtures("short_ascents")
DATASET = "tuned"
FEW = TuningConfig(n_angles=8, n_periods=3, n_radii=2, n_phases=4)


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as caught:
        main()
    return int(caught.value.code or 0)


@pytest.fixture(scope="module")
def lab(database: dict[str, str]) -> str:
    """A study of its own: what is asked of networks here is asked of no other test's."""
    register_simulation(DATASET, SimulationConfig.from_params(SMALL), seed=3)
    kmeans = [{"method": "kmeans"}]
    declare_plan("tuned-study", plan_for(DATASET, methods=kmeans, seeds=[0], finetunings=[]))
    fill(few=TESTS)
    freeze_study("tuned-study")
    fill(few=TESTS)
    return "tuned-study"


@pytest.fixture(scope="module")
def shown(lab: str, short_ascents: None) -> str:
    """The study, whose networks were shown gratings, and two K of its k-means."""
    with pytest.raises(ConfigError, match="was not asked for"):
        queries.cluster_profiles(lab, method="kmeans", k=2)
    request_tuning(lab, FEW)
    request_stimuli(lab, "kmeans", (3,))
    fill(few=TESTS)
    return lab


def test_every_network_is_shown_the_stimuli(shown: str) -> None:
    rows = (InSilicoTuning & {"dataset": DATASET}).to_dicts()
    assert [row["model_seed"] for row in rows] == [0, 1]
    for row in rows:
        network = load_network(
            schemas.TrainedModel & {name: row[name] for name in schemas.TrainedModel().primary_key}
        )
        found = decortex.measure_tuning(network, FEW, device="cpu").indices
        for name in INDICES:
            np.testing.assert_array_equal(row[name], getattr(found, name), err_msg=name)
        fields = linear_fields(network, device="cpu")
        np.testing.assert_array_equal(row["spatial_fields"], fields.spatial)
        np.testing.assert_array_equal(row["temporal_fields"], fields.temporal)
    request_tuning(shown, FEW)
    assert len(TuningRequest & {"study": shown}) == 1


def test_stimuli_are_those_of_the_partition(shown: str) -> None:
    keys = (ClusterStimuli & {"dataset": DATASET}).keys()
    assert {int(key["k"]) for key in keys} == {3}
    row = (ClusterStimuli & keys[0]).fetch1()
    network = load_network(schemas.TrainedModel & keys[0])
    labels = (schemas.Clustering & keys[0]).fetch1("labels")
    found = discriminative_stimuli(network, labels, seed=int(keys[0]["seed"]), device="cpu")
    np.testing.assert_array_equal(row["stimuli"], found.stimuli)
    np.testing.assert_array_equal(row["confusion"], found.confusion)
    assert row["n_discriminated"] == found.n_discriminated
    best = exciting_stimuli(network, labels, seed=int(keys[0]["seed"]), device="cpu")
    np.testing.assert_array_equal(row["exciting"], best.stimuli)
    np.testing.assert_array_equal(row["exciting_responses"], best.responses)
    among = exciting_among(network, labels, load_recordings(DATASET), device="cpu")
    assert among.stimuli.shape[:2] == (row["n_clusters"], 5)
    np.testing.assert_array_equal(row["shown"], among.stimuli)
    np.testing.assert_array_equal(row["shown_responses"], among.responses)


def test_the_page_draws_what_the_store_holds(shown: str) -> None:
    key = {"dataset": DATASET, "model_seed": 0, "k": 3, "seed": 0}
    partition = dict((ClusterStimuli & key).keys()[0])
    found = queries.cluster_stimuli(partition)
    assert found is not None
    for name in ("stimuli", "exciting", "shown", "confusion"):
        assert isinstance(found[name], np.ndarray), name
    fields = queries.cluster_fields(partition)
    assert fields is not None
    assert all(row["neuron"] is None or row["spatial"].ndim == 2 for row in fields)
    panels = router.view_of(
        router.BY_PATH["/tuning"], f"?study={shown}&net=0&k=3&seed=0", CachedSource()
    ).panels
    drawn = {panel.name: panel for panel in panels}
    assert {"profiles", "exciting", "stimuli", "fields"} <= set(drawn)
    assert len(drawn["exciting"].figure.data) == 3 * (1 + 5)


def test_the_figure_and_the_report_show_them(shown: str) -> None:
    where = {"method": "kmeans", "k": "3", "model_seed": "0", "seed": "0"}
    figure = draw_figure("stimuli", shown, where).figure
    key = {"dataset": DATASET, "model_seed": 0, "k": 3, "seed": 0}
    row = (ClusterStimuli & key).fetch1()
    np.testing.assert_array_equal(figure.axes[0].images[0].get_array(), np.asarray(row["exciting"])[0, -1])
    assert len(figure.axes) == row["n_clusters"] * (1 + 5)
    with pytest.raises(ConfigError, match="not optimised"):
        draw_figure("stimuli", shown, {**where, "k": "2"})
    page = report(shown)
    assert 'id="clusters"' in page
    assert "What each cluster" in page


def test_profiles_are_means_of_medians_over_matched_clusters(shown: str) -> None:
    rows = queries.cluster_profiles(shown, method="kmeans", k=3)
    assert [row["cluster"] for row in rows] == [0, 1, 2]
    seed = min(int(one) for one in (schemas.Study.ClusteringSeed & {"study": shown}).to_arrays("seed"))
    at = {"dataset": DATASET, "k": 3, "seed": seed, "method": "kmeans"}
    first = (schemas.Clustering & at & {"model_seed": 0}).fetch1("labels")
    tuned = (InSilicoTuning & {"dataset": DATASET, "model_seed": 0}).fetch1("period")
    alone = queries.profile_rows(
        [{"labels": first.astype(int), "indices": dict.fromkeys(queries.PROFILE, tuned), "confusion": None}]
    )
    for row in alone:
        assert row["period"] == pytest.approx(np.median(tuned[first == row["cluster"]]))
        assert (row["matched"], row["period_sd"], row["n_networks"]) == (None, None, 1)
    assert {row["n_networks"] for row in rows} == {2}
    assert all(0 < row["matched"] <= 1 for row in rows)


def test_clusters_keep_their_name_over_networks_that_number_them_otherwise() -> None:
    first = np.repeat([0, 1, 2], [5, 4, 3])
    renamed = np.array([2, 0, 1])[first]
    values = {name: first.astype(float) for name in queries.PROFILE}
    confusion = np.eye(3)
    rows = queries.profile_rows(
        [
            {"labels": first, "indices": values, "confusion": confusion},
            {"labels": renamed, "indices": values, "confusion": confusion[[1, 0, 2]]},
        ]
    )
    assert [row["period"] for row in rows] == [0.0, 1.0, 2.0]
    assert [row["period_sd"] for row in rows] == [0.0, 0.0, 0.0]
    assert {row["matched"] for row in rows} == {1.0}
    # the second network's labels 0 and 1 are driven by each other's stimuli; they are the first's 1 and 2
    assert [(row["n_discriminated"], row["n_stimuli"]) for row in rows] == [(2, 2), (1, 2), (1, 2)]


def test_the_command_prints_a_sentence_a_table_and_json(
    shown: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("decortex_ops.cli.read.partitions.clusters.open_to_read", lambda: None)
    assert run(monkeypatch, "clusters", shown, "--method", "kmeans", "-k", "3") == 0
    text = capsys.readouterr().out
    assert "3 clusters by kmeans at K = 3, 2 networks. In every network their own stimulus drives" in text
    assert run(monkeypatch, "clusters", shown, "--method", "kmeans", "-k", "3", "--json") == 0
    rows: list[dict[str, Any]] = json.loads(capsys.readouterr().out)
    assert len(rows) == 3


@pytest.mark.parametrize(
    ("method", "counts", "message"), [("nothing", (3,), "has no method"), ("kmeans", (17,), "it has K =")]
)
def test_partitions_that_the_study_has_not_are_refused(
    lab: str, method: str, counts: tuple[int, ...], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        request_stimuli(lab, method, counts)


def test_a_plan_asks_for_them(lab: str) -> None:
    from decortex_schemas.register import PlanFile

    plan = PlanFile.from_params(
        {
            "networks": [{"dataset": DATASET, "recipe": "simulated_cortex"}],
            "embeddings": [{"name": "l2", "params": {"kind": "l2"}}],
            "methods": [{"method": "kmeans", "name": "kmeans"}],
            "counts": [3],
            "tuning": {"params": {"n_angles": 8}, "stimuli": [{"method": "kmeans", "counts": [3]}]},
        }
    )
    assert plan.tuning is not None
    with pytest.raises(ConfigError, match="n_angles is even"):
        schemas.register.declare_plan(
            "odd",
            plan.model_copy(update={"tuning": plan.tuning.model_copy(update={"params": {"n_angles": 7}})}),
        )
