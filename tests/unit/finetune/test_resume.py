"""Runs that were killed and went on: the same bits as without interruption; states that are damaged or stale."""

from __future__ import annotations

import copy
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import run_program

from decortex.errors import OperationError
from decortex.finetune import FinetuneConfig, PeerPartition, RotationStart, continue_training, finetune
from decortex.models.training import StateFile, discard_stale, fit_network
from decortex.models.training import loop as training


class Killed(BaseException):
    """Stands for a signal: nothing catches it."""


class Raw:
    def apply_torch(self, weights):
        return weights.double()


def fine_tuned(kind, **params):
    def run(network, recordings, schedule, state):
        labels = (np.arange(recordings.n_neurons) % 2).astype(np.int16)
        rotating = kind.startswith("rotation")
        shifts = np.arange(recordings.n_neurons) // 2 % 2
        result = finetune(
            network,
            recordings,
            Raw(),
            labels,
            FinetuneConfig(kind=kind, **params),
            schedule,
            n_clusters=2,
            seed=0,
            rotation=RotationStart(2, shifts) if rotating else None,
            peers=[PeerPartition(shifts[:, None] + np.eye(2)[labels], labels)] if kind == "mutual" else [],
            state=state,
            device="cpu",
        )
        curve = [(one.as_floats(), one.sizes.tolist()) for one in result.curve]
        return result, [result.labels, result.points, *result.parameters.values()], [curve, result.beta]

    return run


def continued(network, recordings, schedule, state):
    result = continue_training(network, recordings, schedule, seed=0, state=state, device="cpu")
    return result, list(result.test_scores), [result.best_epoch]


def trained(network, recordings, schedule, state):
    result = fit_network(network, recordings, schedule, seed=0, state=state, device="cpu")
    return result, list(result.state_dict.values()), []


RUNS = {
    "training": trained,
    "continued": continued,
    "dec": fine_tuned("dec", update_interval=2, tolerance=0.0),
    "dec_joint": fine_tuned("dec_joint", update_interval=2, beta_rule="balanced", tolerance=0.0),
    "dec_undetached": fine_tuned("dec_undetached"),
    "december": fine_tuned("december", learn_nu=True, learn_weights=True),
    "restarts": fine_tuned("december", restart_every=2, beta_rise=3),
    "balanced": fine_tuned("dec_joint", target="balanced", update_interval=2, tolerance=0.0),
    "tell": fine_tuned("tell", beta=0.1),
    "sec": fine_tuned("sec", n_neighbors=4),
    "ldmgi": fine_tuned("ldmgi", n_neighbors=4, restart_every=2),
    "mutual": fine_tuned("mutual", peer_seeds=(0, 1), beta_rise=3),
    "rotation_dec": fine_tuned("rotation_dec", update_interval=2, tolerance=0.0),
    "rotation_december": fine_tuned("rotation_december"),
}


def kill_at(monkeypatch, nth):
    """Let the nth optimiser step of the runs to come be the last."""
    steps, whole = iter(range(1, 10_000)), training._Run.step

    def step(run):
        if next(steps) == nth:
            raise Killed
        whole(run)

    monkeypatch.setattr(training._Run, "step", step)


@pytest.fixture
def rich(schedule):
    """A schedule that has everything a state must keep: a cycle of rates, an average, the best epoch."""
    changed = {
        "schedule": "one_cycle",
        "weight_average": 0.9,
        "keep": "best",
        "shift": 1,
        "gradient_clip": 1.0,
        "batch_size": 48,
    }
    return schedule.model_copy(update={**changed, "max_epochs": 4})


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_was_killed_twice_gives_the_bits_of_one_that_was_not(
    name, network, recordings, rich, tmp_path, monkeypatch
):
    twin, third = copy.deepcopy(network), copy.deepcopy(network)
    expected, arrays, values = RUNS[name](network, recordings, rich, None)
    with monkeypatch.context() as patch:
        kill_at(patch, 4 * 2 + 1)  # four steps an epoch: in the third epoch
        with pytest.raises(Killed):
            RUNS[name](third, recordings, rich, StateFile(tmp_path / "s", name))
    assert len(StateFile(tmp_path / "s", name).load()["records"]) == 2
    with monkeypatch.context() as patch:
        kill_at(patch, 4 + 1)  # the next process comes to the fourth
        with pytest.raises(Killed):
            RUNS[name](copy.deepcopy(twin), recordings, rich, StateFile(tmp_path / "s", name))
    assert len(StateFile(tmp_path / "s", name).load()["records"]) == 3
    found, again, same = RUNS[name](twin, recordings, rich, StateFile(tmp_path / "s", name))
    for one, other in zip(arrays, again, strict=True):
        np.testing.assert_array_equal(np.asarray(one), np.asarray(other))
    for key, value in network.state_dict().items():
        assert torch.equal(value, twin.state_dict()[key]), key
    assert values == same
    assert found.stop_reason == expected.stop_reason
    for one, other in zip(expected.epochs, found.epochs, strict=True):
        assert {**one.__dict__, "seconds": 0} == {**other.__dict__, "seconds": 0}


def test_a_run_that_ended_is_not_trained_again(network, recordings, schedule, tmp_path, monkeypatch):
    twin, file = copy.deepcopy(network), StateFile(tmp_path / "s", "run")
    first = fit_network(network, recordings, schedule, seed=0, state=file, device="cpu")
    kill_at(monkeypatch, 1)
    second = fit_network(twin, recordings, schedule, seed=0, state=file, device="cpu")
    assert second.epochs == first.epochs
    for key, value in first.state_dict.items():
        assert torch.equal(value, second.state_dict[key])


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty"])
def test_a_damaged_state_is_reported_and_the_run_starts_anew(damage, network, recordings, schedule, tmp_path):
    twin, file = copy.deepcopy(network), StateFile(tmp_path / "s", "run")
    expected = fit_network(network, recordings, schedule, seed=0, state=file, device="cpu")
    data = file.path.read_bytes()
    flipped = data[:5000] + bytes([data[5000] ^ 1]) + data[5001:]
    file.path.write_bytes(
        {"cut": data[:-100], "flipped": flipped, "foreign": b"x" * 900, "empty": b""}[damage]
    )
    with pytest.warns(UserWarning, match=r"run\.state is damaged .* starts anew"):
        found = fit_network(twin, recordings, schedule, seed=0, state=file, device="cpu")
    for key, value in expected.state_dict.items():
        assert torch.equal(value, found.state_dict[key])
    assert len(file.load()["records"]) == 3


def test_a_diverged_run_diverges_again(network, recordings, schedule, tmp_path):
    hot = schedule.model_copy(update={"learning_rate": 1.0, "position_rate": 1.0, "max_epochs": 30})
    twin, file = copy.deepcopy(network), StateFile(tmp_path / "s", "run")
    config = FinetuneConfig(kind="dec_joint", beta=1e40, tolerance=0.0)
    arguments = (recordings, Raw(), (np.arange(24) % 2).astype(np.int16), config, hot)
    one, two = (
        finetune(each, *arguments, n_clusters=2, seed=0, state=file, device="cpu") for each in (network, twin)
    )
    assert (one.status, two.status) == ("diverged", "diverged")
    np.testing.assert_array_equal(one.points, two.points)


def test_states_are_private_and_leave_no_traces(tmp_path):
    file = StateFile(tmp_path / "deep" / "s", "a")
    assert file.load() is None
    file.save({"x": torch.arange(3), "y": [1.5, None, "text"]})
    state = file.load()
    assert torch.equal(state.pop("x"), torch.arange(3))
    assert state == {"y": [1.5, None, "text"]}
    assert file.path.parent.stat().st_mode & 0o777 == 0o700
    assert [path.name for path in file.path.parent.iterdir()] == ["a.state"]
    file.discard()
    file.discard()
    assert list(file.path.parent.iterdir()) == []
    os.chmod(tmp_path / "deep" / "s", 0o755)
    with pytest.raises(OperationError, match=r"the state folder .* should be private"):
        StateFile(tmp_path / "deep" / "s", "a")


def test_stale_states_go_by_age(tmp_path):
    old, new = StateFile(tmp_path / "s", "old"), StateFile(tmp_path / "s", "new")
    for file in (old, new):
        file.save({"x": 1})
    torn, other = old.path.parent / ".writing-abc.state", old.path.parent / "notes.txt"
    for path in (torn, other):
        path.write_bytes(b"half")
    for path in (old.path, torn, other):
        os.utime(path, (0, 0))
    assert discard_stale(tmp_path / "s", max_age_days=30) == 2
    assert sorted(path.name for path in new.path.parent.iterdir()) == ["new.state", "notes.txt"]
    assert discard_stale(tmp_path / "absent", max_age_days=30) == 0


def test_a_killed_process_leaves_a_state_that_the_next_one_takes_up(
    network, recordings, rich, tmp_path: Path
):
    torch.save((network, recordings, rich), tmp_path / "inputs.pt")
    expected = fit_network(copy.deepcopy(network), recordings, rich, seed=0, device="cpu")
    done = run_program("killed_training", str(tmp_path / "inputs.pt"), str(tmp_path / "s"), check=False)
    assert done.returncode == -signal.SIGKILL
    seen = []
    found = fit_network(
        network,
        recordings,
        rich,
        seed=0,
        progress=lambda record: seen.append(record.epoch),
        state=StateFile(tmp_path / "s", "run"),
        device="cpu",
    )
    assert seen == [3, 4]
    for key, value in expected.state_dict.items():
        assert torch.equal(value, found.state_dict[key])
