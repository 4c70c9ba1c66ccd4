"""A training that stops at an epoch and goes on elsewhere is one training, to the bit."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from decortex.errors import CheckpointError, ConfigError
from decortex.finetune import FinetuneConfig, continue_training, finetune
from decortex.models import Network
from decortex.models.training import Handover, StateFile, TrainingConfig, fit_network

SCHEDULES = {
    "one_cycle": {"schedule": "one_cycle"},
    "averaged": {"schedule": "one_cycle", "weight_average": 0.9, "gradient_clip": 1.0, "optimiser": "adamw"},
    "plateau": {"schedule": "plateau"},
    "constant": {"schedule": "constant"},
}


class Raw:
    def apply_torch(self, weights):
        return weights.double()


def schedule_of(name, **changed):
    common = {"learning_rate": 1e-2, "batch_size": 32, "max_epochs": 5, "shift": 1, "keep": "last"}
    return TrainingConfig.from_params({**common, **SCHEDULES[name], **changed})


def cut(network, recordings, schedule, epoch, seed=0):
    """The run after an epoch, through its bytes, and the network as that epoch left it."""
    outcome = fit_network(network, recordings, schedule, seed=seed, until=epoch, device="cpu")
    assert outcome.stop_reason == "handed_over"
    assert outcome.best_epoch == epoch == len(outcome.epochs)
    return Handover.from_bytes(outcome.handover.to_bytes())


def equal(one: Network, other: Network) -> bool:
    pairs = zip(one.state_dict().values(), other.state_dict().values(), strict=True)
    return all(torch.equal(a, b) for a, b in pairs)


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_training_cut_in_two_gives_the_bits_of_one_that_was_not(name, network, recordings):
    schedule = schedule_of(name)
    whole, parts = copy.deepcopy(network), copy.deepcopy(network)
    expected = fit_network(whole, recordings, schedule, seed=1, device="cpu")
    half = cut(parts, recordings, schedule, 2, seed=1)
    # What is handed on is more than the weights: another process has nothing but the checkpoint and these bytes.
    fresh = Network.from_checkpoint(parts.checkpoint())
    found = continue_training(fresh, recordings, schedule, seed=1, after=half, device="cpu")
    assert equal(whole, fresh)
    assert (found.best_epoch, len(found.epochs)) == (3, 3)
    for one, other in zip(found.epochs, expected.epochs[2:], strict=True):
        assert one.validation_correlation == other.validation_correlation
        assert one.train_loss == other.train_loss


def test_without_the_optimiser_the_same_weights_go_elsewhere(network, recordings):
    schedule = schedule_of("one_cycle")
    half = cut(network, recordings, schedule, 2)
    fresh, carried = (Network.from_checkpoint(network.checkpoint()) for _ in range(2))
    continue_training(carried, recordings, schedule, seed=0, after=half, device="cpu")
    shorter = schedule.model_copy(update={"max_epochs": 3})
    continue_training(fresh, recordings, shorter, seed=0, device="cpu")
    assert not equal(fresh, carried)


def test_a_plateau_counts_the_epochs_before_it_was_handed_over(network, recordings):
    schedule = schedule_of("plateau", learning_rate=1e-7, max_epochs=9)
    half = cut(network, recordings, schedule, 6)
    assert half.schedule["num_bad_epochs"] >= 4  # at this rate nothing improves
    outcome = fit_network(network, recordings, schedule, seed=0, after=half, until=8, device="cpu")
    rates = [group["lr"] for group in outcome.handover.optimiser["param_groups"]]
    assert rates == pytest.approx([3e-8] * len(rates))


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("kind", ["dec_joint", "december"])
def test_a_clustering_loss_joins_a_training_and_at_vanishing_beta_leaves_it_alone(
    kind, name, network, recordings
):
    schedule = schedule_of(name)
    whole = copy.deepcopy(network)
    fit_network(whole, recordings, schedule, seed=1, device="cpu")
    half = cut(network, recordings, schedule, 2, seed=1)
    labels = (np.arange(recordings.n_neurons) % 2).astype(np.int16)
    tolerance = {"tolerance": 0.0} if kind == "dec_joint" else {}
    config = FinetuneConfig(kind=kind, beta=1e-14, **tolerance)
    result = finetune(
        network,
        recordings,
        Raw(),
        labels,
        config,
        schedule,
        n_clusters=2,
        seed=1,
        after=half,
        device="cpu",
    )
    assert len(result.epochs) == 3
    torch.testing.assert_close(network.embedding(), whole.embedding(), rtol=1e-4, atol=1e-5)


def test_the_best_epoch_is_kept_with_the_cluster_parameters_of_that_epoch(network, recordings):
    schedule = schedule_of("constant", keep="best", learning_rate=0.2, max_epochs=16)
    half = cut(network, recordings, schedule, 2)
    labels = (np.arange(recordings.n_neurons) % 2).astype(np.int16)
    result = finetune(
        network,
        recordings,
        Raw(),
        labels,
        FinetuneConfig(kind="december", beta=1e-3),
        schedule,
        n_clusters=2,
        seed=0,
        after=half,
        device="cpu",
    )
    scores = [record.validation_correlation for record in result.epochs]
    assert result.best_epoch == int(np.argmax(scores)) + 1
    np.testing.assert_array_equal(result.points, network.embedding().detach().double().numpy())
    np.testing.assert_array_equal(np.sort(result.end.sizes), np.sort(np.bincount(result.labels)))
    assert result.end.kl == pytest.approx(result.curve[result.best_epoch - 1].kl, rel=1e-6)
    assert result.best_epoch < len(result.epochs)  # else the last would do


def test_a_run_that_is_handed_over_can_be_interrupted_and_resumed(network, recordings, tmp_path):
    schedule = schedule_of("averaged")
    half = cut(network, recordings, schedule, 2)
    twin = Network.from_checkpoint(network.checkpoint())
    fit_network(network, recordings, schedule, seed=0, after=half, device="cpu")

    class Killed(BaseException):
        pass

    def kill(record):
        if record.epoch == 2:
            raise Killed

    interrupted = Network.from_checkpoint(twin.checkpoint())
    state = StateFile(tmp_path / "s", "run")
    with pytest.raises(Killed):
        fit_network(
            interrupted, recordings, schedule, seed=0, after=half, state=state, progress=kill, device="cpu"
        )
    fit_network(twin, recordings, schedule, seed=0, after=half, state=state, device="cpu")
    assert equal(network, twin)


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"learning_rate": 2e-2}, "learning_rate"),
        ({"optimiser": "adamw"}, "optimiser"),
        ({"schedule": "constant"}, "schedule"),
        ({"max_epochs": 7}, "max_epochs"),
        ({"trains": "readout"}, "trains"),
    ],
)
def test_another_optimiser_or_schedule_is_refused_by_name(changed, named, network, recordings):
    schedule = schedule_of("one_cycle")
    half = cut(network, recordings, schedule, 2)
    with pytest.raises(ConfigError, match=rf"keeps its optimiser and its rates.*{named}"):
        fit_network(
            network, recordings, schedule.model_copy(update=changed), seed=0, after=half, device="cpu"
        )


def test_a_handover_outside_the_epochs_and_bytes_of_something_else_are_refused(network, recordings):
    schedule = schedule_of("constant")
    with pytest.raises(ConfigError, match="cannot be handed over after epoch 6"):
        fit_network(network, recordings, schedule, seed=0, until=6, device="cpu")
    half = cut(network, recordings, schedule, 5)
    with pytest.raises(ConfigError, match="leave none to go on with"):
        fit_network(network, recordings, schedule, seed=0, after=half, device="cpu")
    with pytest.raises(CheckpointError, match="no run that was handed over"):
        Handover.from_bytes(b"not a run")


def test_a_run_that_ended_before_has_nothing_to_hand_over(network, recordings):
    schedule = schedule_of("constant", patience=1, learning_rate=1e-9)
    outcome = fit_network(network, recordings, schedule, seed=0, until=5, device="cpu")
    assert (outcome.stop_reason, outcome.handover) == ("patience", None)
