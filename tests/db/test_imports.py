"""Published checkpoints through the tables: rebuilt, built, mapped, against themselves; and nothing half-registered."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from small_lab import SMALL, TESTS, fill, plan_for
from torch import nn

import decortex_schemas as schemas
from decortex.data.simulation import SimulationConfig
from decortex.errors import CheckpointError, ConfigError, DatasetError, InputError
from decortex.models import OwnResponsesConfig
from decortex.models.checkpoints import RebuildConfig, config_md5, read_row
from decortex_ops.reports import draw_figure, report
from decortex_ops.workers import retry_failed, sweep, work
from decortex_schemas import queries
from decortex_schemas.register import declare_plan, register_checkpoint
from decortex_schemas.tables import (
    freeze_study,
    load_network,
    load_recordings,
    register_simulation,
    scored_against,
)

FROZEN = Path(__file__).resolve().parents[1] / "unit" / "models" / "frozen" / "published_networks.pt"
OWN = OwnResponsesConfig(n_train=32, n_validation=10, n_test=12)


def case(name: str) -> dict[str, Any]:
    found: dict[str, Any] = torch.load(FROZEN, weights_only=True)[name]
    return found


def rebuild(name: str, **changed: Any) -> RebuildConfig:
    found = case(name)
    options = {"core": found["core"], "image_shape": [1, 14, 17], **changed}
    return RebuildConfig.from_params(options)


def saved(folder: Path, name: str, file: str = "weights.pt") -> Path:
    torch.save(case(name)["state"], folder / file)
    return folder / file


@pytest.fixture(scope="module")
def recorded(lab: str) -> str:
    """The small lab's recordings under a name of this module's own: other tests count the networks on theirs."""
    register_simulation("recorded", SimulationConfig.from_params(SMALL), seed=3)
    return "recorded"


def counts() -> dict[str, int]:
    tables = (schemas.Dataset, schemas.Dataset.Neuron, schemas.ModelTask, schemas.ModelSpec)
    return {table.__name__: len(table()) for table in tables}


def test_a_network_without_recordings_is_scored_and_fine_tuned_against_itself(
    database: dict[str, str], tmp_path: Path
) -> None:
    path = saved(tmp_path, "many_sessions")
    key = register_checkpoint(path, name="itself", rebuild=rebuild("many_sessions"), own_responses=OWN)
    assert (
        register_checkpoint(path, name="itself", rebuild=rebuild("many_sessions"), own_responses=OWN) == key
    )
    assert scored_against("itself") == "the original model"
    schedule = {
        "max_epochs": 1,
        "batch_size": 16,
        "learning_rate": 1e-3,
        "schedule": "constant",
        "keep": "last",
    }
    start = {"schedule": schedule, "counts": [2], "seeds": [0], "methods": ["kmeans"]}
    plan = plan_for(
        "itself",
        networks=[{"dataset": "itself", "imported": "itself"}],
        counts=[2],
        seeds=[0],
        finetunings=[{"name": "dec_joint", "params": {"kind": "dec_joint", "beta": 0.1}, **start}],
    )
    declare_plan("itself-study", plan)
    fill(few=TESTS)
    freeze_study("itself-study")
    fill(few=TESTS)
    assert {row["scored_against"] for row in queries.results("itself-study")} == {"the original model"}
    (offered,) = queries.choices("itself-study")["networks"]
    assert offered.keys() == {"dataset", "model_spec_id", "model_seed", "model", "scored_against"}
    assert offered["scored_against"] == "the original model"
    title = draw_figure("price", "itself-study", {}).figure.get_suptitle()
    assert "scored against the original model" in " ".join(title.split())
    assert "mean test correlation (against the original model)" in report("itself-study")
    network = load_network(schemas.TrainedModel & key)
    found = case("many_sessions")
    for session, expected in found["predicted"].items():
        torch.testing.assert_close(network.eval()(found["images"], session), expected, rtol=1e-5, atol=1e-5)
    recordings = load_recordings("itself")
    assert recordings.neuron_order_sha256 == (schemas.Dataset & key).fetch1("neuron_order_sha256")
    at = {**key, "tier": "test", "metric": "correlation_to_average"}
    before = (schemas.Performance.Score & at).fetch1("score_values")
    np.testing.assert_allclose(before[np.isfinite(before)], 1.0, atol=1e-6)
    tuned = schemas.DECFinetune & key & "checkpoint IS NOT NULL"
    after = (
        schemas.DECFinetune.Score & tuned.proj() & {"tier": "test", "metric": "correlation_to_average"}
    ).fetch1("score_values")
    assert np.isfinite(after).any()
    assert np.nanmin(after) < 1.0 - 1e-6  # it moved, and its score says how far from the original


def test_unmapped_neurons_have_no_score_and_are_not_dropped(recorded: str, tmp_path: Path) -> None:
    path = saved(tmp_path, "many_sessions")
    places = np.full(63, -1)
    places[:40:2] = 35 - np.arange(20)  # every other neuron was recorded, in the opposite order
    how = rebuild("many_sessions", image_shape=None)
    key = register_checkpoint(path, name="mapped", dataset="recorded", rebuild=how, neuron_map=places)
    declare_plan("mapped-study", _clustered("mapped", "mapped"))
    fill(few=TESTS)
    rows = (schemas.Dataset.Neuron & {"dataset": "mapped"}).to_dicts(order_by="neuron_idx")
    recorded = (schemas.Dataset.Neuron & {"dataset": "recorded"}).to_dicts(order_by="neuron_idx")
    assert [row["recorded_idx"] for row in rows] == [None if place < 0 else place for place in places]
    assert rows[0]["animal"] == recorded[35]["animal"]
    score = (schemas.Performance.Score & key & {"tier": "test", "metric": "correlation_to_average"}).fetch1()
    assert score["undefined"] == {"no_recording": 43}
    expected = _literal_score(load_network(schemas.TrainedModel & key), load_recordings("recorded"), places)
    assert np.isfinite(expected).sum() == 20
    np.testing.assert_allclose(score["score_values"], expected, atol=1e-6)
    assert len((schemas.Embedding & key).fetch1("array").load()) == 63
    mapped = (schemas.RecordingSummary & {"dataset": "mapped"}).fetch1()
    for column in ("mean_response", "spearman_brown", "oracle"):
        own = (schemas.RecordingSummary & {"dataset": "small"}).fetch1(column)
        expected = [np.nan if place < 0 else own[place] for place in places]
        np.testing.assert_array_equal(mapped[column], expected)
        assert np.isfinite(mapped[column]).any()
    with pytest.raises(ConfigError, match="all neurons are not recorded"):
        declare_plan("mapped-dec", plan_for("mapped", networks=[{"dataset": "mapped", "imported": "mapped"}]))


def _literal_score(network: Any, recordings: Any, places: np.ndarray) -> list[float]:
    """Correlation to average of each mapped neuron on test images, one neuron after another."""
    values = []
    own = [(name, i) for name, part in network.slices.items() for i in range(part.stop - part.start)]
    for (name, column), place in zip(own, places, strict=True):
        if place < 0:
            values.append(float("nan"))
            continue
        begin = 0
        for session in recordings.sessions:
            if place < begin + session.n_neurons:
                break
            begin += session.n_neurons
        trials = session.trials("test")
        with torch.no_grad():
            images = torch.from_numpy(session.images.read(trials))
            predicted = network.eval()(images, name)[:, column].double().numpy()
        responses = session.responses.read(trials)[:, place - begin].astype(np.float64)
        ids = session.image_ids[trials]
        means = [(predicted[ids == i].mean(), responses[ids == i].mean()) for i in np.unique(ids)]
        values.append(float(np.corrcoef(np.array(means).T)[0, 1]))
    return values


def _clustered(dataset: str, family: str) -> Any:
    return plan_for(
        dataset,
        networks=[{"dataset": dataset, "imported": family}],
        embeddings=[{"name": "raw", "params": {"kind": "raw"}}],
        methods=[{"method": "kmeans"}],
        counts=[2],
        seeds=[0],
        finetunings=[],
    )


class Mixture(nn.Module):
    """What a lab's own code may build: no session, no class that decortex knows."""

    def __init__(self, n_neurons: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 5)
        self.mix = nn.Linear(3, n_neurons)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        predicted: torch.Tensor = self.mix(self.conv(images).relu().mean(dim=(2, 3)))
        return predicted


BUILT: list[dict[str, Any]] = []


def build(n_neurons: int, data_info: dict[str, Any], seed: int) -> Mixture:
    BUILT.append({"data_info": data_info, "seed": seed})
    return Mixture(n_neurons)


def test_a_worker_runs_a_builder_only_if_its_own_configuration_allows_it(
    recorded: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    torch.manual_seed(0)
    path = tmp_path / "mixture.pt"
    torch.save(Mixture(36).state_dict(), path)
    builder = f"{__name__}:build"
    key = register_checkpoint(
        path,
        name="mixture",
        dataset="recorded",
        seed=4,
        embedding_key="mix.weight",
        builder=builder,
        builder_config={"n_neurons": 36},
    )
    (info,) = BUILT[-1]["data_info"].values()
    assert (info["input_dimensions"], info["output_dimension"], BUILT[-1]["seed"]) == ((1, 1, 36, 36), 36, 4)
    declare_plan("mixture-study", _clustered("recorded", "mixture"))
    built = len(BUILT)
    sweep()
    work([schemas.TrainedModel], stop_when_idle=0.0)  # reads tensors only
    sweep()
    summary = work([schemas.Performance], stop_when_idle=0.0)
    assert len(BUILT) == built  # nothing was run
    assert len(summary.failed) == 2
    assert all(f"DECORTEX_BUILDERS={__name__}" in line for line in summary.failed)
    monkeypatch.setenv("DECORTEX_BUILDERS", f"somebody.elses, {__name__}")
    assert retry_failed([schemas.Performance]) == 2
    fill(few=TESTS)
    assert len(BUILT) > built
    score = (schemas.Performance.Score & key & {"tier": "test", "metric": "correlation_to_average"}).fetch1()
    assert score["n_defined"] == 36
    embedding = (schemas.Embedding & key).fetch1("array").load()
    np.testing.assert_array_equal(embedding, mixing_weights(path))


def mixing_weights(path: Path) -> np.ndarray:
    return torch.load(path, weights_only=True)["mix.weight"].double().numpy()


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"dataset": "recorded"}, CheckpointError, "holds 4 neurons, dataset 'recorded' 36.*--neuron-map"),
        ({"dataset": "nowhere"}, CheckpointError, "no dataset 'nowhere'"),
        (
            {"dataset": "recorded", "neuron_map": np.array([0, 1, 2])},
            InputError,
            "3 entries for the network's 4",
        ),
        ({"dataset": "recorded", "neuron_map": np.array([0, 1, 2, 36])}, InputError, "there are 0 to 35"),
        (
            {"dataset": "recorded", "neuron_map": np.array([0, 1, 1, -1])},
            InputError,
            "recorded neuron 1 2 times",
        ),
        ({"dataset": "recorded", "neuron_map": np.array([-1] * 4)}, InputError, "maps no neuron"),
        ({"neuron_map": np.array([0, 1, 2, 3])}, ConfigError, "name the dataset"),
        ({"rebuild": "nonesuch"}, ConfigError, "no published network 'nonesuch'; there are sensorium"),
        ({"rebuild": "sensorium"}, CheckpointError, "built with hidden_channels=4, not with 64"),
        ({"builder": "mylab.models:build"}, ConfigError, "name the dataset"),
        ({"builder": "os.system('x')", "dataset": "recorded"}, ConfigError, "'module:function'"),
        (
            {
                "builder": "no_such_module_here:build",
                "dataset": "recorded",
                "neuron_map": np.array([0, 1, 2, 3]),
            },
            ConfigError,
            "cannot be imported here",
        ),
        ({"own_responses": OWN}, ConfigError, "need a network that is rebuilt here"),
        (
            {"own_responses": OwnResponsesConfig(max_scale=8), "rebuild": rebuild("sensorium")},
            InputError,
            "choose a smaller image size or max_scale",
        ),
    ],
)
def test_what_does_not_fit_is_refused_and_nothing_is_registered(
    recorded: str, tmp_path: Path, options: dict[str, Any], error: type[Exception], message: str
) -> None:
    before = counts()
    with pytest.raises(error, match=message):
        register_checkpoint(saved(tmp_path, "sensorium"), name="refused", **options)
    assert counts() == before


def test_another_checkpoint_or_reading_under_a_known_name_is_refused(
    database: dict[str, str], tmp_path: Path
) -> None:
    path = saved(tmp_path, "free_masks")
    register_checkpoint(path, name="masks")
    before = counts()
    with pytest.raises(CheckpointError, match="differs in masks"):
        register_checkpoint(path, name="masks", masks="normalised")
    with pytest.raises(DatasetError, match="taken by other recordings"):
        register_checkpoint(saved(tmp_path, "normalised_masks", "other.pt"), name="masks")
    assert counts() == before


def test_sessions_are_found_by_their_names_whatever_the_order(recorded: str, tmp_path: Path) -> None:
    recordings = load_recordings("recorded")
    names = [session.name for session in recordings.sessions]
    state = {}
    for place, session in reversed(list(enumerate(recordings.sessions))):
        features = torch.full((1, 4, 1, session.n_neurons), float(place))
        state[f"readout.{session.name}._features"] = features + torch.arange(session.n_neurons) / 100
        state[f"readout.{session.name}._mu"] = torch.zeros(1, session.n_neurons, 1, 2)
    torch.save(state, tmp_path / "reversed.pt")
    key = register_checkpoint(tmp_path / "reversed.pt", dataset="recorded")
    assert (schemas.ModelTask & key).fetch1("sessions") == {name: name for name in names}
    declare_plan("reversed-study", _clustered("recorded", "reversed"))
    fill(few=TESTS)
    array = (schemas.Embedding & key).fetch1("array").load()
    owner = np.repeat(np.arange(len(names)), [session.n_neurons for session in recordings.sessions])
    np.testing.assert_array_equal(np.floor(array[:, 0]), owner)
    torch.save({k.replace(names[0], "elsewhere"): v for k, v in state.items()}, tmp_path / "other.pt")
    with pytest.raises(CheckpointError, match="must be named in one of the other"):
        register_checkpoint(tmp_path / "other.pt", dataset="recorded")


def test_a_row_of_nnfabrik_registers_with_its_configuration_and_hashes(
    database: dict[str, str], tmp_path: Path
) -> None:
    from typer.testing import CliRunner

    from decortex_ops.cli import app

    found = case("sensorium")
    core = {"pad_input": False, "stack": -1, "depth_separable": True}
    config = {
        **core,
        "layers": 3,
        "gamma_input": 6.3,
        "grid_mean_predictor": {"type": "cortex", "final_tanh": True},
    }
    row = {
        "model_fn": "sensorium.models.stacked_core_full_gauss_readout",
        "model_config": config,
        "model_hash": config_md5(config),
        "seed": 42,
        "trainedmodel_ts": "2022-06-01 12:00:00",
    }
    torch.save(found["state"], tmp_path / "state.pth.tar")
    (tmp_path / "row.json").write_text(json.dumps(row))
    words = ["register", "nnfabrik", str(tmp_path / "state.pth.tar"), str(tmp_path / "row.json")]
    answer = CliRunner().invoke(
        app, [*words, "--name", "fabrik", "--image-shape", "1,14,17"], catch_exceptions=False
    )
    assert answer.exit_code == 0, answer.output
    task = (schemas.ModelTask & {"dataset": "fabrik"}).proj("family", "rebuild").fetch1()
    assert task["model_seed"] == 42
    assert task["family"]["model_hash"] == row["model_hash"]
    assert task["rebuild"]["core"] == {**core, "layers": 3, "hidden_padding": None, "momentum": 0.9}
    with pytest.raises(ConfigError, match=r"model_hash of the exported row is 0123.*hashes to"):
        read_row({**row, "model_hash": "0123"})
    with pytest.raises(ConfigError, match="lacks model_config"):
        read_row({"model_fn": "a.b", "seed": 1})
