"""What a network takes from training data: pixel and response statistics, receptive-field positions."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.errors import DatasetError
from decortex.models import contrast_energy, training_statistics


def replace(recordings: Recordings, **changes) -> Recordings:
    first = dataclasses.replace(recordings.sessions[0], **changes)
    return dataclasses.replace(recordings, sessions=[first, *recordings.sessions[1:]])


def test_statistics_are_those_of_the_training_trials(make_recordings) -> None:
    recordings = make_recordings()
    found = training_statistics(recordings)
    train = [(s, s.trials("train")) for s in recordings.sessions]
    pixels = np.concatenate([s.images.read(t) for s, t in train]).astype(np.float64)
    assert found.pixel_mean[0] == pytest.approx(pixels.mean())
    assert found.pixel_std[0] == pytest.approx(pixels.std())
    for session, trials in train:
        responses = session.responses.read(trials).astype(np.float64)
        np.testing.assert_allclose(found.sessions[session.name].mean, responses.mean(axis=0))
        np.testing.assert_allclose(found.sessions[session.name].std, responses.std(axis=0))


def test_pieces_do_not_matter(make_recordings, monkeypatch) -> None:
    recordings = make_recordings()
    whole = training_statistics(recordings)
    monkeypatch.setattr("decortex.models.initialisation._PIECE", 7)
    pieces = training_statistics(recordings)
    np.testing.assert_allclose(pieces.pixel_std, whole.pixel_std)
    np.testing.assert_array_equal(pieces.sessions["one"].peak, whole.sessions["one"].peak)


def test_positions_of_energy_neurons_are_found(make_recordings) -> None:
    recordings = make_recordings(n_trials=800, neurons=(4,), side=24)
    images = recordings.sessions[0].images.values
    places = np.array([[5, 6], [18, 7], [12, 12], [8, 17]])
    patches = [images[:, 0, y - 2 : y + 3, x - 2 : x + 3] - 100.0 for x, y in places]
    responses = np.stack([np.square(patch).mean(axis=(1, 2)) for patch in patches], axis=1)
    taught = replace(recordings, responses=InMemoryTrials(responses.astype(np.float32)))
    found = training_statistics(taught).sessions["one"]
    assert np.abs(found.peak - places).max() <= 2.0
    assert (found.peak_correlation > 0.5).all()


def test_large_images_are_searched_on_a_coarser_grid() -> None:
    images = np.zeros((1, 1, 80, 200), dtype=np.float32)
    images[0, 0, 40:44, 150:154] = np.random.default_rng(0).normal(size=(4, 4))
    energy = contrast_energy(images)
    assert energy.shape == (1, 64, 64)
    row, column = np.unravel_index(energy[0].argmax(), energy.shape[1:])
    assert ((row + 0.5) * 80 / 64, (column + 0.5) * 200 / 64) == pytest.approx((42, 152), abs=4)


def test_silent_neurons_have_no_correlation(make_recordings) -> None:
    recordings = make_recordings(neurons=(3,))
    responses = recordings.sessions[0].responses.values.copy()
    responses[:, 1] = 0.0
    found = training_statistics(replace(recordings, responses=InMemoryTrials(responses))).sessions["one"]
    assert found.mean[1] == found.std[1] == found.peak_correlation[1] == 0.0
    assert np.isfinite(found.peak).all()


def broken(session: Session, where: str) -> dict[str, InMemoryTrials]:
    values = getattr(session, where).values.copy()
    values.reshape(len(values), -1)[2, 1] = np.nan
    return {where: InMemoryTrials(values)}


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ("responses", r"'one' has responses that are not finite in 1 neurons \(first: 1\)"),
        ("images", "pixels"),
    ],
)
def test_values_that_are_not_finite_are_refused(make_recordings, where: str, message: str) -> None:
    recordings = make_recordings()
    with pytest.raises(DatasetError, match=message):
        training_statistics(replace(recordings, **broken(recordings.sessions[0], where)))


def test_sessions_without_training_trials_are_refused(make_recordings) -> None:
    recordings = make_recordings()
    tiers = np.full(recordings.sessions[0].n_trials, "test")
    with pytest.raises(DatasetError, match="session 'one' has 0 training trials"):
        training_statistics(replace(recordings, tiers=tiers))


def test_constant_images_are_refused(make_recordings) -> None:
    recordings = make_recordings(neurons=(3,))
    flat = InMemoryTrials(np.full_like(recordings.sessions[0].images.values, 7.0))
    with pytest.raises(DatasetError, match="training images do not vary"):
        training_statistics(replace(recordings, images=flat))
