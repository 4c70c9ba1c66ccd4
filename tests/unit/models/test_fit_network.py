"""The training loop: recovery of a teacher, determinism, best state, terms, early ends."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from decortex.data import InMemoryTrials
from decortex.errors import ConfigError, DatasetError, InputError
from decortex.models import Network, predict
from decortex.models.training import (
    AuxiliaryTerm,
    TrainingConfig,
    fit_network,
    mean_correlation,
)


class Pull(nn.Module):
    """Pulls features to a learned centre; writes down what it was called with."""

    def __init__(self, n_features: int = 3, *, prediction_weight: float = 1.0, factor: float = 1.0) -> None:
        super().__init__()
        self.centre = nn.Parameter(torch.full((n_features,), 2.0))
        self.register_buffer("steps", torch.zeros(()))
        self.prediction_weight = prediction_weight
        self.factor = factor
        self.calls: list[tuple[str, int]] = []
        self.stop_at = 10**6

    def loss(self, embedding: Tensor) -> Tensor:
        return self.factor * (embedding - self.centre).square().mean()

    def start_epoch(self, embedding: Tensor, epoch: int) -> None:
        assert not embedding.requires_grad
        self.calls.append(("start", epoch))

    def after_step(self, embedding: Tensor) -> None:
        assert not embedding.requires_grad
        self.steps += 1

    def end_epoch(self, embedding: Tensor) -> dict[str, float]:
        self.calls.append(("end", int(self.steps)))
        return {"distance": (embedding - self.centre).norm().item()}

    def stop(self) -> str | None:
        return "settled" if len(self.calls) >= 2 * self.stop_at else None

    def memory(self) -> dict[str, object]:
        return {"calls": self.calls}

    def recall(self, memory: dict[str, object]) -> None:
        self.calls = memory["calls"]


def changed(config: TrainingConfig, **values) -> TrainingConfig:
    return TrainingConfig.from_params(config.resolved() | values)


def states_equal(one: dict[str, Tensor], other: dict[str, Tensor]) -> bool:
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)


@pytest.fixture
def network(make_recordings, tiny_config) -> Network:
    return Network.build(tiny_config, make_recordings(), seed=0)


@pytest.mark.parametrize(("loss", "scale"), [("poisson", "mean"), ("mse", "std")])
def test_a_teacher_of_the_same_family_is_recovered(taught_recordings, loss: str, scale: str) -> None:
    recordings, teacher = taught_recordings
    student = Network.build(teacher.config.model_copy(update={"response_scale": scale}), recordings, seed=1)
    training = TrainingConfig(loss=loss, learning_rate=3e-2, batch_size=50, max_epochs=8)
    outcome = fit_network(student, recordings, training, seed=0, device="cpu")
    found = predict(student, recordings, "test", device="cpu")
    correlation = mean_correlation(
        [torch.from_numpy(one.predictions) for one in found.values()],
        [torch.from_numpy(one.responses) for one in found.values()],
    )
    assert correlation > 0.97
    assert outcome.epochs[-1].train_loss < outcome.epochs[0].train_loss
    assert outcome.stop_reason == "max_epochs"


@pytest.mark.parametrize("trains", ["both", "readout"])
@pytest.mark.parametrize("with_term", [False, True])
def test_equal_seeds_give_equal_bits(make_recordings, tiny_config, tiny_training, trains, with_term) -> None:
    config = changed(tiny_training, trains=trains, shift=0 if trains == "readout" else 1, weight_average=0.9)

    def run(seed: int) -> dict[str, Tensor]:
        network = Network.build(tiny_config, make_recordings(), seed=0)
        term = Pull() if with_term else None
        return fit_network(network, make_recordings(), config, seed=seed, term=term, device="cpu").state_dict

    torch.manual_seed(1)
    first = run(3)
    torch.manual_seed(2)
    assert states_equal(first, run(3))
    assert not states_equal(first, run(4))


def test_a_term_that_weighs_nothing_leaves_training_as_it_is(
    make_recordings, tiny_config, tiny_training
) -> None:
    recordings = make_recordings()
    plain, with_term = (Network.build(tiny_config, recordings, seed=0) for _ in range(2))
    config = changed(tiny_training, shift=1)
    one = fit_network(plain, recordings, config, seed=0, device="cpu")
    other = fit_network(with_term, recordings, config, seed=0, term=Pull(factor=0.0), device="cpu")
    assert states_equal(one.state_dict, other.state_dict)


def test_streamed_images_train_the_same_network(make_recordings, tiny_config, tiny_training) -> None:
    recordings = make_recordings()
    outcomes = [
        fit_network(
            Network.build(tiny_config, recordings, seed=0),
            recordings,
            changed(tiny_training, max_cache_bytes=size),
            seed=0,
            device="cpu",
        )
        for size in (0, 2**30)
    ]
    assert states_equal(outcomes[0].state_dict, outcomes[1].state_dict)


def test_readout_training_on_kept_maps_equals_training_on_images(
    make_recordings, tiny_config, tiny_training
) -> None:
    recordings = make_recordings()
    results = []
    for size in (0, 2**30):  # maps are kept only where they fit
        network = Network.build(tiny_config, recordings, seed=0)
        config = changed(tiny_training, trains="readout", max_cache_bytes=size)
        results.append(fit_network(network, recordings, config, seed=0, device="cpu"))
    for key, value in results[0].state_dict.items():
        torch.testing.assert_close(value, results[1].state_dict[key])
    assert results[0].epochs[-1].validation_loss == pytest.approx(results[1].epochs[-1].validation_loss)


@pytest.mark.parametrize(("trains", "still"), [("readout", "core."), ("core", "readouts.")])
def test_what_is_not_trained_keeps_its_state(network, make_recordings, tiny_training, trains, still) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    outcome = fit_network(
        network, make_recordings(), changed(tiny_training, trains=trains), seed=0, device="cpu"
    )
    same = {key for key in before if torch.equal(before[key], outcome.state_dict[key])}
    assert {key for key in before if key.startswith(still)} <= same
    assert not {key for key, _ in network.named_parameters() if not key.startswith(still)} & same
    assert all(p.requires_grad for p in network.parameters())


def test_best_and_last(network, make_recordings, tiny_training) -> None:
    recordings = make_recordings()
    start = {key: value.clone() for key, value in network.state_dict().items()}
    config = changed(tiny_training, learning_rate=0.05, max_epochs=6)
    best = fit_network(network, recordings, config, seed=0, device="cpu")
    correlations = [record.validation_correlation for record in best.epochs]
    assert best.best_epoch == 1 + int(np.argmax(correlations))
    assert states_equal(best.state_dict, dict(network.state_dict()))
    found = predict(network, recordings, "validation", device="cpu").values()
    again = mean_correlation(
        [torch.from_numpy(one.predictions) for one in found],
        [torch.from_numpy(one.responses) for one in found],
    )
    assert again == pytest.approx(max(correlations), abs=1e-5)
    network.load_state_dict(start)
    last = fit_network(network, recordings, changed(config, keep="last"), seed=0, device="cpu")
    assert last.best_epoch == 6
    assert [record.validation_correlation for record in last.epochs] == correlations


def test_patience_ends_training(network, make_recordings, tiny_training) -> None:
    config = changed(tiny_training, learning_rate=1e-9, max_epochs=50, patience=2, schedule="constant")
    outcome = fit_network(network, make_recordings(), config, seed=0, device="cpu")
    assert outcome.stop_reason == "patience"
    assert len(outcome.epochs) == outcome.best_epoch + 2 < 50


def test_hooks_of_a_term_and_its_state(network, make_recordings, tiny_training) -> None:
    term, seen = Pull(), []
    assert isinstance(term, AuxiliaryTerm)
    outcome = fit_network(
        network,
        make_recordings(),
        changed(tiny_training, keep="last"),
        seed=0,
        term=term,
        progress=seen.append,
        device="cpu",
    )
    n_steps = math.ceil(80 / 16)  # 2 sessions of 40 training trials
    assert term.calls == [
        (name, value) for epoch in (1, 2, 3) for name, value in (("start", epoch), ("end", n_steps * epoch))
    ]
    assert seen == outcome.epochs
    assert set(seen[0].term) == {"loss", "distance", "gradient_norm_term", "gradient_norm_prediction"}
    assert seen[0].term["gradient_norm_prediction"] > 0
    distance = (network.embedding() - term.centre).norm().item()
    assert seen[-1].term["distance"] == pytest.approx(distance, rel=1e-5)
    assert outcome.term_state_dict is not None
    assert torch.equal(outcome.term_state_dict["centre"], term.centre)
    assert outcome.term_state_dict["steps"] == 3 * n_steps


def test_gradient_norm_of_a_term_is_its_own(network, make_recordings, tiny_training) -> None:
    with torch.no_grad():
        expected = (2 * (network.embedding() - 2.0) / network.embedding().numel()).norm().item()
    outcome = fit_network(network, make_recordings(), tiny_training, seed=0, term=Pull(), device="cpu")
    assert outcome.epochs[0].term["gradient_norm_term"] == pytest.approx(expected, rel=1e-4)


def test_term_state_is_restored_with_the_best_network(network, make_recordings, tiny_training) -> None:
    term = Pull(factor=100.0)
    config = changed(tiny_training, learning_rate=0.1, max_epochs=6, schedule="constant")
    outcome = fit_network(network, make_recordings(), config, seed=0, term=term, device="cpu")
    assert outcome.best_epoch < 6, "the test needs a best epoch before the last"
    assert int(term.steps) == 5 * outcome.best_epoch
    record = outcome.epochs[outcome.best_epoch - 1]
    assert record.term["distance"] == pytest.approx(
        (network.embedding() - term.centre).norm().item(), rel=1e-5
    )


def test_a_term_alone_shows_no_images_and_moves_the_features_only(
    network, make_recordings, tiny_training, monkeypatch
) -> None:
    before = {key: value.clone() for key, value in network.state_dict().items()}
    term = Pull(prediction_weight=0.0)
    shown: list[bool] = []
    whole = Network.maps

    def watched(self: Network, images: Tensor) -> Tensor:
        shown.append(self.training)
        return whole(self, images)

    monkeypatch.setattr(Network, "maps", watched)
    outcome = fit_network(
        network, make_recordings(), changed(tiny_training, keep="last"), seed=0, term=term, device="cpu"
    )
    assert shown
    assert not any(shown), "images are for validation only"
    moved = {key for key in before if not torch.equal(before[key], outcome.state_dict[key])}
    assert moved == {"readouts.0.features", "readouts.1.features"}
    assert all(record.train_loss is None for record in outcome.epochs)
    assert outcome.epochs[-1].term["loss"] < outcome.epochs[0].term["loss"]


def test_a_term_alone_reads_no_training_images(make_recordings, tiny_config, tiny_training) -> None:
    @dataclasses.dataclass(frozen=True)
    class Watched(InMemoryTrials):
        seen: list[int] = dataclasses.field(default_factory=list)

        def read(self, trials: np.ndarray) -> np.ndarray:
            self.seen.extend(trials.tolist())
            return super().read(trials)

    recordings = make_recordings()
    network = Network.build(tiny_config, recordings, seed=0)
    sessions = [dataclasses.replace(one, images=Watched(one.images.values)) for one in recordings.sessions]
    watched = dataclasses.replace(recordings, sessions=sessions)
    fit_network(network, watched, tiny_training, seed=0, term=Pull(prediction_weight=0.0), device="cpu")
    for session in sessions:
        assert session.images.seen == session.trials("validation").tolist()


def test_watchers_see_the_state_that_would_be_kept(network, make_recordings, tiny_training) -> None:
    outcome = fit_network(
        network,
        make_recordings(),
        changed(tiny_training, weight_average=0.9, keep="last"),
        seed=0,
        watch=lambda now: now.embedding().detach().numpy().copy(),
        device="cpu",
    )
    assert len(outcome.watched) == 3
    assert (outcome.watched[-1] == network.embedding().detach().numpy()).all()


def test_a_term_can_stop_training(network, make_recordings, tiny_training) -> None:
    term = Pull()
    term.stop_at = 2
    outcome = fit_network(network, make_recordings(), tiny_training, seed=0, term=term, device="cpu")
    assert outcome.stop_reason == "settled"
    assert len(outcome.epochs) == 2


class Explodes(Pull):
    """Is not finite from its given step on."""

    def __init__(self, step: int) -> None:
        super().__init__()
        self.step = step

    def loss(self, embedding: Tensor) -> Tensor:
        return super().loss(embedding) * (float("nan") if self.steps >= self.step else 1.0)


@pytest.mark.parametrize("end", [(0, 0), (7, 1), (10, 2)], ids="step {0[0]}".format)
@pytest.mark.parametrize("keep", ["best", "last"])
def test_divergence_keeps_the_last_finite_state(
    network, make_recordings, tiny_training, end: tuple[int, int], keep: str
) -> None:
    (step, epoch), config = end, changed(tiny_training, keep=keep)
    outcome = fit_network(network, make_recordings(), config, seed=0, term=Explodes(step), device="cpu")
    assert outcome.stop_reason == "diverged"
    assert len(outcome.epochs) == epoch
    assert outcome.best_epoch == epoch if keep == "last" else outcome.best_epoch <= epoch
    assert all(torch.isfinite(value).all() for value in network.state_dict().values())


def test_weights_that_run_away_are_not_kept(network, make_recordings, tiny_training) -> None:
    with torch.no_grad():
        network.response_scale[0] = float("nan")
    outcome = fit_network(network, make_recordings(), tiny_training, seed=0, device="cpu")
    assert outcome.stop_reason == "diverged"
    assert outcome.best_epoch == 0


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
def test_an_interrupt_passes_and_leaves_the_network_usable(
    network, make_recordings, tiny_training, interrupt
) -> None:
    def stop(record: object) -> None:
        raise interrupt

    network.eval()
    config = changed(tiny_training, trains="readout")
    with pytest.raises(interrupt):
        fit_network(network, make_recordings(), config, seed=0, progress=stop, device="cpu")
    assert not network.training
    assert all(p.requires_grad for p in network.parameters())


def test_l1_brings_features_to_zero(network, make_recordings, tiny_training) -> None:
    config = changed(tiny_training, feature_l1=100.0, keep="last", max_epochs=20)
    fit_network(network, make_recordings(), config, seed=0, device="cpu")
    assert network.embedding().abs().max() < 0.02


def test_recordings_of_another_network_are_refused(network, make_recordings, tiny_training) -> None:
    with pytest.raises(InputError, match=r"was built for sessions one \(5 neurons\), two\.b \(3 neurons\)"):
        fit_network(network, make_recordings(neurons=(5, 4)), tiny_training, seed=0, device="cpu")


def test_a_term_needs_a_trained_readout(network, make_recordings, tiny_training) -> None:
    config = changed(tiny_training, trains="core")
    with pytest.raises(ConfigError, match="trains='core' keeps the readout"):
        fit_network(network, make_recordings(), config, seed=0, term=Pull(), device="cpu")


def test_a_term_must_be_a_module(network, make_recordings, tiny_training) -> None:
    class Loose:
        prediction_weight = 1.0

    with pytest.raises(InputError, match=r"a Loose, it must be a torch\.nn\.Module"):
        fit_network(network, make_recordings(), tiny_training, seed=0, term=Loose(), device="cpu")


def test_validation_trials_that_do_not_vary_are_refused(network, make_recordings, tiny_training) -> None:
    recordings = make_recordings()
    for session in recordings.sessions:
        session.responses.values[session.trials("validation")] = 1.0
    with pytest.raises(DatasetError, match="no neuron's responses vary over the validation trials"):
        fit_network(network, recordings, tiny_training, seed=0, device="cpu")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"max_epochs": 0}, "max_epochs: should be at least 1"),
        ({"learning_rate": 0.0}, "learning_rate"),
        ({"loss": "huber"}, "loss: .*'poisson' or 'mse'"),
        ({"epochs": 3}, "It has trains, loss"),
    ],
)
def test_parameters_out_of_range_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        TrainingConfig.from_params(values)
