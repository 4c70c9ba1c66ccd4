"""Clips are the unit of everything that follows training on movies; frames never are."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor

from decortex.data import Recordings, Session, summarise_recordings
from decortex.data.video import WITHHELD, InMemoryClips
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import DatasetError
from decortex.evaluation.performance import CLIP_METRICS, METRICS
from decortex.finetune import FinetuneConfig, continue_training, draw_null, finetune, null_recordings
from decortex.models import Network, NetworkConfig, score_recordings
from decortex.models.cores import SpaceTimeConfig, SpaceTimeLayerConfig
from decortex.models.training import TrainingConfig

WINDOW, LAG = 12, 4
LENGTHS = {"train": [20, 24, 31, 20, 22, 20, 25, 21], "validation": [20, 26], "test": [18, 18, 23, 23]}
CLIP_IDS = [*range(10), 100, 100, 101, 101]
SCHEDULE = TrainingConfig(
    batch_size=3, max_epochs=2, window=WINDOW, schedule="constant", learning_rate=1e-3, keep="last"
)


def coded(name: str, seed: int) -> Session:
    """A session whose pixels say which clip and frame they are (1000 clip + frame); five neurons."""
    rng = np.random.default_rng(seed)
    lengths = [n for of_tier in LENGTHS.values() for n in of_tier]
    tiers = np.repeat(list(LENGTHS), [len(of_tier) for of_tier in LENGTHS.values()])
    codes = [1000.0 * i + np.arange(n) for i, n in zip(CLIP_IDS, lengths, strict=True)]
    clips = tuple(
        np.broadcast_to(code[None, :, None, None], (1, len(code), 4, 4)).astype(np.float32) for code in codes
    )
    counts = tuple(rng.poisson(2.0, size=(n, 5)).astype(np.float32) for n in lengths)
    neurons = pd.DataFrame({"session": name, "unit_id": np.arange(5), "animal": "a", "scan": 0, "area": ""})
    return Session(
        name=name,
        images=InMemoryClips(clips),
        responses=InMemoryClips(counts),
        tiers=tiers,
        image_ids=np.array(CLIP_IDS),
        neurons=neurons,
        n_frames=np.array(lengths),
    )


@pytest.fixture
def recordings() -> Recordings:
    return Recordings([coded("a", 0), coded("b", 1)], (1, 4, 4), "coded", frame_rate=30.0)


@pytest.fixture
def network(recordings: Recordings) -> Network:
    core = SpaceTimeConfig(layers=(SpaceTimeLayerConfig(channels=3, kernel=3, frames=LAG + 1),))
    return Network.build(NetworkConfig(space_time=core), recordings, seed=0)


class Shown:
    """What a network is shown, by mode: clips as codes, (batch, n_frames)."""

    def __init__(self, network: Network, patch: pytest.MonkeyPatch) -> None:
        self.trained: list[Tensor] = []
        self.evaluated: list[Tensor] = []
        whole = Network.maps

        def maps(one: Network, images: Tensor) -> Tensor:
            (self.trained if one.core.training else self.evaluated).append(images[:, 0, :, 0, 0].clone())
            return whole(one, images)

        patch.setattr(Network, "maps", maps)


def fine_tuned(network: Network, recordings: Recordings, kind: str) -> None:
    labels = np.arange(10) % 2
    made = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="l2"))
    parameters = {"dec_joint": {"kernel": "scaled", "beta": 0.1}, "december": {"beta_rule": "balanced"}}[kind]
    config = FinetuneConfig.from_params({"kind": kind, **parameters})
    finetune(network, recordings, made, labels, config, SCHEDULE, n_clusters=2, seed=3, device="cpu")


@pytest.mark.parametrize("kind", ["dec_joint", "december", "the control"])
def test_fine_tuning_draws_windows_of_clips(
    network: Network, recordings: Recordings, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    shown = Shown(network, monkeypatch)
    if kind == "the control":
        continue_training(network, recordings, SCHEDULE, seed=3, device="cpu")
    else:
        fine_tuned(network, recordings, kind)
    n_clips = 2 * len(LENGTHS["train"])
    assert len(shown.trained) == 2 * -(-n_clips // 3)  # batches count clips, not frames
    for batch in shown.trained:
        assert batch.shape[1] == WINDOW
        assert (torch.diff(batch, dim=1) == 1).all()  # contiguous, inside one clip
    first_epoch = torch.cat(shown.trained[: len(shown.trained) // 2])[:, 0]
    assert sorted((first_epoch // 1000).int().tolist()) == sorted([*range(8)] * 2)  # each clip once
    whole = [batch for batch in shown.evaluated if batch.shape[1] != WINDOW]
    assert whole
    for batch in whole:
        assert (batch[:, 0] % 1000 == 0).all()  # validated and scored from a clip's first frame on
        assert (torch.diff(batch, dim=1) == 1).all()


def test_the_control_sees_the_windows_of_the_fine_tuning(
    network: Network, recordings: Recordings, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = Shown(network, monkeypatch)
    fine_tuned(Network.from_checkpoint(network.checkpoint()), recordings, "dec_joint")
    tuned, shown.trained = shown.trained, []
    continue_training(network, recordings, SCHEDULE, seed=3, device="cpu")
    for one, other in zip(tuned, shown.trained, strict=True):
        torch.testing.assert_close(one, other)


def test_null_recordings_keep_clips_and_their_repeats(network: Network, recordings: Recordings) -> None:
    draw = draw_null(network, recordings, "permuted", seed=0, noise="poisson", device="cpu")
    null = null_recordings(recordings, draw.responses, "drawn")
    for one, own in zip(null.sessions, recordings.sessions, strict=True):
        np.testing.assert_array_equal(one.n_frames, own.n_frames)
        np.testing.assert_array_equal(one.image_ids, own.image_ids)
        for trial in (0, 10, 13):
            drawn = one.responses.read(np.array([trial]))[0]
            assert drawn.shape == (own.n_frames[trial], 5)
            assert (drawn[:LAG] == 0).all()  # nothing is predicted of them, clip by clip
        # one expectation per clip and frame: its repeats differ by noise alone
        assert not np.array_equal(*(one.responses.read(np.array([trial])) for trial in (10, 11)))


def test_counts_of_test_stimuli_are_counts_of_clips(recordings: Recordings) -> None:
    found = summarise_recordings(recordings)
    assert (found.n_test_images, found.n_shared_images, found.n_repeated_images) == (2, 0, 2)


def test_sessions_whose_test_responses_were_kept_back_have_no_scores_and_stop_nothing(
    network: Network, recordings: Recordings
) -> None:
    one, other = recordings.sessions
    kept_back = replace(other, tiers=np.where(other.tiers == "test", WITHHELD, other.tiers))
    some = Recordings([one, kept_back], recordings.image_shape, "some", frame_rate=30.0)
    scores, n_trials = score_recordings(network, some, "test", device="cpu")
    whole, _ = score_recordings(network, recordings, "test", device="cpu")
    assert set(scores) == {*METRICS, *CLIP_METRICS}
    assert n_trials == 4
    for name, score in scores.items():
        np.testing.assert_array_equal(score.values[:5], whole[name].values[:5])
        assert np.isnan(score.values[5:]).all()
        assert set(score.reasons[5:].tolist()) == {"withheld_responses"}
    result = continue_training(network, some, SCHEDULE, seed=3, device="cpu")
    assert all(np.isnan(epoch[5:]).all() for epoch in result.test_scores)
    assert np.isfinite(result.test_scores[-1][:5]).all()
    none = Recordings([kept_back], recordings.image_shape, "none", frame_rate=30.0)
    assert score_recordings(network, none, "test", device="cpu")[1] == 0
    no_tests = replace(other, tiers=np.where(other.tiers == "test", "none", other.tiers))
    with pytest.raises(DatasetError, match="session 'b' has no 'test' trials"):
        score_recordings(
            network, Recordings([one, no_tests], (1, 4, 4), "x", frame_rate=30.0), "test", device="cpu"
        )
