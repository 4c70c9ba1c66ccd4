"""Training on windows of clips, and predictions frame by frame: history, repeats, warm-up, memory, determinism."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from programs import run_program

from decortex.data import Recordings, VideoSimulationConfig, simulate_video
from decortex.errors import ConfigError, DatasetError, InputError
from decortex.evaluation.performance import score_neurons
from decortex.models import Network, NetworkConfig, predict, predictions
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig
from decortex.models.training import ClipBatches, TrainingConfig, fit_network, tier_batches

from .conftest import recordings_of, session_of

CORE = SpaceTimeConfig(
    layers=(
        SpaceTimeLayerConfig(channels=4, kernel=7, stride=4, frames=5),
        SpaceTimeLayerConfig(channels=4, kernel=3, padding=1, frames=4, norm="plain"),
    )
)


def coded(
    lengths: list[int], tier: str = "train", first: int = 0
) -> tuple[list[np.ndarray], list[np.ndarray], list[str]]:
    """Clips whose pixels, and responses, say which clip and frame they are: 1000 clip + frame."""
    codes = [1000.0 * (first + i) + np.arange(n) for i, n in enumerate(lengths)]
    clips = [np.broadcast_to(code[None, :, None, None], (1, len(code), 2, 2)) for code in codes]
    return clips, [code[:, None] for code in codes], [tier] * len(lengths)


def coded_recordings(lengths: list[int]) -> Recordings:
    one, two = coded(lengths), coded(lengths, first=100)
    validation = coded([30], "validation", first=50)
    sessions = [
        session_of(*(a + b for a, b in zip(part, validation, strict=True)), name=name)
        for part, name in ((one, "a"), (two, "b"))
    ]
    return recordings_of(*sessions)


# false history (trap 5)


@pytest.mark.parametrize("window", [12, 20, None])
def test_every_window_is_one_clips_and_every_frame_is_drawn(window: int | None) -> None:
    recordings = coded_recordings([20, 24, 31])
    batches = ClipBatches(recordings, "train", CORE, window=window, batch_size=2, max_cache_bytes=10**6)
    assert batches.window == (window or 20)
    n_frames = [20, 24, 31] * 2
    drawn = [np.zeros(n, dtype=np.bool_) for n in n_frames]
    for epoch in range(150):
        order = batches.order(0, epoch)
        assert sorted(np.concatenate([rows[:, 0] for rows in order]).tolist()) == list(range(6))
        for row, start in np.concatenate(order).tolist():
            assert start + batches.window <= n_frames[row]
            drawn[row][start : start + batches.window] = True
    if window is not None:
        assert all(frames.all() for frames in drawn)  # the last window of every clip too
    for batch in batches.stream(batches.order(0, 0)):
        codes = batch.inputs[:, 0, :, 0, 0]
        assert (torch.diff(codes, dim=1) == 1).all()  # contiguous, inside one clip
        expected = codes[:, CORE.lag :].flatten()
        torch.testing.assert_close(torch.cat(batch.responses)[:, 0], expected)
        assert sum(n for _, n in batch.parts) == len(expected)


def test_windows_depend_on_seed_and_epoch_alone() -> None:
    recordings = coded_recordings([20, 24, 31])
    batches = ClipBatches(recordings, "train", CORE, window=12, batch_size=2, max_cache_bytes=0)
    same = [np.concatenate(batches.order(3, 5)) for _ in range(2)]
    np.testing.assert_array_equal(*same)
    assert not np.array_equal(same[0], np.concatenate(batches.order(3, 6)))
    whole = ClipBatches(recordings, "train", CORE, window=None, batch_size=2, max_cache_bytes=0)
    rows = [np.concatenate(one.order(3, 5))[:, 0] for one in (batches, whole)]
    np.testing.assert_array_equal(*rows)  # the order of clips does not depend on the window


def test_whole_clips_validate_with_their_own_responses() -> None:
    batches = ClipBatches(
        coded_recordings([20]), "validation", CORE, window=None, batch_size=2, max_cache_bytes=0
    )
    found = list(batches.in_order())
    assert [batch.parts for batch in found] == [[("a", 23)], [("b", 23)]]
    for batch, responses in zip(found, batches.responses, strict=True):
        torch.testing.assert_close(batch.responses[0], responses)
        torch.testing.assert_close(responses[:, 0], batch.inputs[0, 0, CORE.lag :, 0, 0])


@pytest.mark.parametrize(
    ("window", "warm_up", "message"),
    [
        (
            25,
            0,
            r"'a', train trial 0: the clip has 20 frames, of which 20 can be shown, fewer than a window of 25",
        ),
        (7, 0, "a window of 7 frames is no longer than the core's lag of 7"),
        (
            None,
            25,
            r"the clip has 20 frames, no more than the network skips at its start \(lag 7, warm-up 25\)",
        ),
    ],
)
def test_windows_and_lags_that_do_not_fit_are_refused(window: int | None, warm_up: int, message: str) -> None:
    core = CORE.model_copy(update={"warm_up": warm_up})
    with pytest.raises(DatasetError, match=message):
        ClipBatches(coded_recordings([20, 40]), "train", core, window=window, batch_size=2, max_cache_bytes=0)


def test_a_clip_that_is_no_longer_than_the_lag_is_refused() -> None:
    recordings = coded_recordings([7, 40])
    with pytest.raises(
        DatasetError,
        match=r"'a', train trial 0: the clip has 7 frames, no more than .* skips .*lag 7, warm-up 0",
    ):
        ClipBatches(recordings, "train", CORE, window=None, batch_size=2, max_cache_bytes=0)
    ClipBatches(coded_recordings([8, 40]), "train", CORE, window=None, batch_size=2, max_cache_bytes=0)


def test_images_have_no_windows(copying: Recordings) -> None:
    network = Network.build(small(), copying, seed=0)
    assert isinstance(tier_batches(network, copying, "train", batch_size=2, max_cache_bytes=0), ClipBatches)


def test_the_cache_keeps_what_it_may_and_changes_nothing() -> None:
    recordings = coded_recordings([20, 20])
    sessions = [
        session_of(
            [session.images.read(np.array([i]))[0] for i in range(3)],
            [session.responses.read(np.array([i]))[0] for i in range(3)],
            session.tiers.tolist(),
            name=session.name,
        )
        for session in recordings.sessions
    ]
    streamed = recordings_of(*(one_on_disk(session) for session in sessions))
    cost = 4 * 20 * (2 * 2 + 1)
    batches = ClipBatches(streamed, "train", CORE, window=12, batch_size=2, max_cache_bytes=3 * cost)
    reference = ClipBatches(recordings, "train", CORE, window=12, batch_size=2, max_cache_bytes=0)
    assert reference.in_memory
    for epoch in range(2):
        for one, other in zip(
            batches.stream(batches.order(0, epoch)), reference.stream(reference.order(0, epoch)), strict=True
        ):
            torch.testing.assert_close(one.inputs, other.inputs)
    assert len(batches._kept) == 3
    assert not batches.in_memory


def one_on_disk(session):  # type: ignore[no-untyped-def]
    """The same session behind a reader that is not known to be in memory."""
    from dataclasses import replace

    class Reader:
        def __init__(self, trials) -> None:  # type: ignore[no-untyped-def]
            self.trials = trials

        def __len__(self) -> int:
            return len(self.trials)

        def read(self, trials):  # type: ignore[no-untyped-def]
            return self.trials.read(trials)

    return replace(session, images=Reader(session.images), responses=Reader(session.responses))


# frame rates (trap 8)


def test_a_network_is_not_shown_movies_of_another_frame_rate(copying: Recordings) -> None:
    network = Network.build(small(), copying, seed=0)
    twice = Recordings(copying.sessions, copying.image_shape, "60 Hz", frame_rate=60.0)
    with pytest.raises(InputError, match=r"frame rate of 30.0 Hz, the recordings are at 60.0 Hz"):
        predict(network, twice, "test", device="cpu")
    with pytest.raises(InputError, match=r"\(1, 2, 3\) at 30 Hz.*\(1, 2, 3\) at 60 Hz"):
        fit_network(network, twice, TrainingConfig(max_epochs=1), seed=0, device="cpu")


# repeats (trap 11), warm-up (trap 13)


def small(warm_up: int = 0) -> NetworkConfig:
    return NetworkConfig(
        space_time=SpaceTimeConfig(
            layers=(SpaceTimeLayerConfig(channels=3, kernel=1, frames=6),), warm_up=warm_up
        ),
        output="elu",
    )


def test_averages_are_over_the_repeats_that_were_shown() -> None:
    rng = np.random.default_rng(1)
    counts = [7, 10, 8]
    ids = np.repeat([50, 60, 70], counts)
    shown = {i: rng.normal(size=(1, 30, 2, 2)) for i in (50, 60, 70)}
    clips = [rng.normal(size=(1, 30, 2, 2)) for _ in range(3)] + [shown[int(i)] for i in ids]
    answers = [rng.poisson(3.0, size=(30, 2)) for _ in clips]
    answers[5] = answers[5][:25]  # one repeat broke off
    clips[5] = clips[5][:, :25]
    tiers = ["train", "train", "validation"] + ["test"] * 25
    recordings = recordings_of(session_of(clips, answers, tiers, [0, 1, 2, *ids.tolist()]))
    network = Network.build(small(), recordings, seed=0)
    found = predict(network, recordings, "test", device="cpu")["s"]
    scores = score_neurons(found.responses, found.predictions, found.image_ids, clip_ids=found.clip_ids)
    literal_r, literal_p = [], []
    network.eval()
    for clip in (50, 60, 70):
        of_clip = [trial for trial in range(3, 28) if ids[trial - 3] == clip]
        for frame in range(5, 30):
            present = [answers[trial][frame] for trial in of_clip if len(answers[trial]) > frame]
            literal_r.append(np.mean(present, axis=0))
        with torch.no_grad():
            literal_p.append(network(torch.from_numpy(shown[clip]).float()[None], "s")[0].numpy())
    r, p = np.array(literal_r), np.concatenate(literal_p)
    expected = [np.corrcoef(r[:, n], p[:, n])[0, 1] for n in range(2)]
    np.testing.assert_allclose(scores["correlation_to_average"].values, expected, rtol=1e-5)


def test_frames_of_the_warm_up_are_neither_trained_on_nor_scored(copying: Recordings) -> None:
    network = Network.build(small(warm_up=10), copying, seed=0)
    core = network.config.space_time
    assert core is not None
    assert (core.lag, core.skipped, core.first_frame) == (5, 10, 5)
    batches = tier_batches(network, copying, "train", batch_size=3, max_cache_bytes=0, window=12)
    starts = np.concatenate([np.concatenate(batches.order(0, epoch))[:, 1] for epoch in range(50)])
    assert starts.min() == 5
    found = predict(network, copying, "test", device="cpu")["s"]
    assert len(found.responses) == 30 + 20 + 20
    session = copying.sessions[0]
    np.testing.assert_array_equal(found.responses[:30], session.responses.read(np.array([5]))[0, 10:])
    full = Network.build(small(), copying, seed=0)
    full.load_state_dict(network.state_dict())
    np.testing.assert_allclose(
        predictions(network, session, np.array([5]), device="cpu"),
        predictions(full, session, np.array([5]), device="cpu")[5:],
        rtol=1e-5,
    )


# training


@pytest.fixture(scope="module")
def flicker() -> Recordings:
    """Full-field flicker; one neuron counts light two frames ago, the other darkness four frames ago."""
    rng = np.random.default_rng(0)
    clips, answers = [], []
    for _ in range(24):
        light = rng.normal(size=34)
        rates = np.stack([np.maximum(1 + light[2:-2], 0.05), np.maximum(1 - light[:-4], 0.05)], axis=1)
        clips.append(np.broadcast_to(light[4:][None, :, None, None], (1, 30, 3, 3)))
        answers.append(rng.poisson(2 * rates))
    return recordings_of(session_of(clips, answers, ["train"] * 20 + ["validation"] * 4))


def trained(recordings: Recordings, window: int | None = None) -> tuple[Network, list[float]]:
    network = Network.build(small(), recordings, seed=0)
    how = TrainingConfig(batch_size=2, max_epochs=4, learning_rate=3e-2, window=window)
    outcome = fit_network(network, recordings, how, seed=0, device="cpu")
    return network, [record.validation_correlation for record in outcome.epochs]


def test_training_learns_and_is_the_same_to_the_bit(flicker: Recordings) -> None:
    network, curve = trained(flicker)
    assert curve[-1] > 0.5
    again, same = trained(flicker)
    assert same == curve
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key])
    assert network.embedding().shape == (2, 3)


def test_windows_train_too(flicker: Recordings) -> None:
    assert trained(flicker, window=15)[1][-1] > 0.5


def test_positions_start_where_a_neuron_answers_to_what_was_shown() -> None:
    video = simulate_video(
        VideoSimulationConfig(n_neurons=16, n_train=60, n_validation=2, n_test=2, n_repeats=2, n_frames=30), 1
    )
    network = Network.build(
        NetworkConfig(
            space_time=SpaceTimeConfig(
                layers=(SpaceTimeLayerConfig(channels=2, kernel=5, padding=2, frames=3),)
            )
        ),
        video.recordings,
        seed=0,
    )
    found = network.positions()
    error = np.hypot(found[:, 0] - video.fields.column, found[:, 1] - video.fields.row)
    assert np.median(error) < 4.0  # drawn at random they would be 6 pixels apart


def test_images_do_not_take_a_window(tmp_path: Path) -> None:
    from decortex.data import SimulationConfig, simulate
    from decortex.models import simulated_cortex_spec

    recordings = simulate(
        SimulationConfig(n_neurons=6, n_train=12, n_validation=4, n_test=2, n_repeats=2, image_size=24), 0
    )
    network = Network.build(simulated_cortex_spec()[0], recordings, seed=0)
    with pytest.raises(
        ConfigError, match="a window of 12 frames was asked for, but the recordings show images"
    ):
        fit_network(network, recordings, TrainingConfig(window=12, max_epochs=1), seed=0, device="cpu")
    with pytest.raises(InputError, match="shows clips of movies, but the network takes images"):
        predictions(network, clip_session(), np.array([0]), name="animal-1", device="cpu")


def clip_session():  # type: ignore[no-untyped-def]
    clips, answers, tiers = coded([20])
    return session_of(clips, answers, tiers)


# memory (trap 10)


def test_sixty_trials_of_four_thousand_neurons_train_within_a_gibibyte() -> None:
    found = run_program("memory_of_clips")
    assert float(found.stdout) < 1.0  # GiB; the responses alone, as float64, would be .54
