"""Scores of movies: which correlation, repeats, undefined neurons; and clips, not frames, as samples."""

from __future__ import annotations

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.performance import clip_means, compare_over_clips, reliability, score_neurons

N_CLIPS, N_REPEATS, N_FRAMES, N_NEURONS = 5, 4, 20, 3


@pytest.fixture
def rows() -> dict[str, np.ndarray]:
    """Repeats of clips whose level differs, so that averagings differ; clip after clip, trial after trial."""
    rng = np.random.default_rng(0)
    drive = rng.normal(size=(N_CLIPS, N_FRAMES, N_NEURONS)) + 2 * rng.normal(size=(N_CLIPS, 1, N_NEURONS))
    shape = (N_CLIPS, N_REPEATS, N_FRAMES, N_NEURONS)
    responses = drive[:, None] + rng.normal(size=shape)
    predicted = (
        drive[:, None]
        + 0.7 * rng.normal(size=(N_CLIPS, 1, N_FRAMES, N_NEURONS))
        + 0.1 * rng.normal(size=shape)
    )
    clip, repeat, frame = (one.ravel() for one in np.indices(shape[:3]))
    return {
        "r": responses,
        "p": predicted,
        "clip_ids": clip,
        "image_ids": clip * 1000 + frame,
        "showings": clip * N_REPEATS + repeat,
    }


def flat(values: np.ndarray) -> np.ndarray:
    return values.reshape(-1, N_NEURONS)


def correlation(r: np.ndarray, p: np.ndarray) -> np.ndarray:
    r, p = r - r.mean(axis=0), p - p.mean(axis=0)
    return (r * p).mean(axis=0) / np.sqrt((r**2).mean(axis=0) * (p**2).mean(axis=0))


# which correlation (trap 6)


def test_each_correlation_is_its_formula(rows: dict[str, np.ndarray]) -> None:
    r, p = rows["r"], rows["p"]
    found = score_neurons(flat(r), flat(p), rows["image_ids"], clip_ids=rows["clip_ids"])
    to_average = correlation(flat(r.mean(axis=1)), flat(p.mean(axis=1)))
    single = correlation(flat(r), flat(p))
    per_clip = np.mean(
        [correlation(r.mean(axis=1)[clip], p.mean(axis=1)[clip]) for clip in range(N_CLIPS)], axis=0
    )
    for name, expected in (
        ("correlation_to_average", to_average),
        ("single_trial_correlation", single),
        ("per_clip_correlation", per_clip),
    ):
        np.testing.assert_allclose(found[name].values, expected, rtol=1e-10)
        assert found[name].metric == name
    assert (per_clip < single).all()  # the same predictions: the name of the averaging belongs to the number
    assert (single < to_average).all()


def test_the_oracle_leaves_the_showing_itself_out(rows: dict[str, np.ndarray]) -> None:
    r = rows["r"]
    others = (r.sum(axis=1, keepdims=True) - r) / (N_REPEATS - 1)
    found = reliability(flat(r), rows["image_ids"], rng=np.random.default_rng(0), showings=rows["showings"])
    np.testing.assert_allclose(found.oracle, correlation(flat(r), flat(others)), rtol=1e-10)


def test_halves_are_of_showings_not_of_frames() -> None:
    """Two clips, two showings each at a level of its own: halves of showings hold one level per clip."""
    level = np.array([[0.0, 1.0], [10.0, 11.0]])
    r = np.broadcast_to(level[:, :, None], (2, 2, 20)).reshape(-1, 1)
    clip, showing, frame = (one.ravel() for one in np.indices((2, 2, 20)))
    ids = clip * 100 + frame
    by_showing = reliability(r, ids, rng=np.random.default_rng(0), showings=2 * clip + showing)
    by_frame = reliability(r, ids, rng=np.random.default_rng(0))
    assert by_showing.spearman_brown[0] == pytest.approx(1.0)
    assert by_frame.spearman_brown[0] < 0.999


def test_undefined_neurons_are_named_and_counted(rows: dict[str, np.ndarray]) -> None:
    r, p = flat(rows["r"]).copy(), flat(rows["p"]).copy()
    r[:, 0] = 2.0
    p[3, 1] = np.nan
    found = score_neurons(r, p, rows["image_ids"], clip_ids=rows["clip_ids"])
    for name in ("correlation_to_average", "single_trial_correlation", "per_clip_correlation"):
        assert found[name].reasons.tolist() == ["constant_response", "not_finite", ""]
        assert np.isnan(found[name].values).tolist() == [True, True, False]
        assert found[name].summary.n_defined == 1


def test_a_clip_in_which_a_neuron_is_silent_is_left_out_of_its_mean(rows: dict[str, np.ndarray]) -> None:
    r, p = rows["r"].copy(), rows["p"]
    r[2, :, :, 1] = 0.0
    found = score_neurons(flat(r), flat(p), rows["image_ids"], clip_ids=rows["clip_ids"])[
        "per_clip_correlation"
    ]
    others = [correlation(r.mean(axis=1)[c], p.mean(axis=1)[c])[1] for c in (0, 1, 3, 4)]
    assert found.values[1] == pytest.approx(np.mean(others))


def test_clip_ids_must_fit(rows: dict[str, np.ndarray]) -> None:
    with pytest.raises(InputError, match=r"name the clip of each of 400 frames, but has shape \(3,\)"):
        score_neurons(flat(rows["r"]), flat(rows["p"]), rows["image_ids"], clip_ids=np.zeros(3))


# frames are not samples (trap 12)


def test_the_test_over_clips_is_nominal_and_one_over_frames_is_not() -> None:
    rng = np.random.default_rng(2)
    n_data, n_clips, n_frames = 300, 20, 34
    over_clips = over_frames = 0
    ids = np.repeat(np.arange(n_clips), n_frames)
    for _ in range(n_data):  # two networks that are equally good, each better on some clips
        frames = np.repeat(rng.normal(size=n_clips), n_frames) + rng.normal(size=n_clips * n_frames)
        zero = np.zeros_like(frames)
        by_clip = compare_over_clips(clip_means(frames, ids), clip_means(zero, ids), rng=rng, n_flips=199)
        by_frame = compare_over_clips(frames, zero, rng=rng, n_flips=199)
        over_clips += by_clip.p <= 0.05
        over_frames += by_frame.p <= 0.05
    assert 0.02 <= over_clips / n_data <= 0.09
    assert over_frames / n_data > 0.4  # the wrong way


def test_a_difference_is_found_and_its_interval_covers_it() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(200):
        found = compare_over_clips(0.5 + rng.normal(size=30), np.zeros(30), rng=rng, n_flips=99)
        covered += found.low <= 0.5 <= found.high
    assert 0.90 <= covered / 200 <= 0.99
    strong = compare_over_clips(2 + rng.normal(size=30), np.zeros(30), rng=rng)
    assert strong.p == pytest.approx(1e-4)
    assert strong.n_clips == 30


def test_comparisons_need_the_same_clips() -> None:
    with pytest.raises(InputError, match=r"got shapes \(3,\) and \(4,\)"):
        compare_over_clips(np.zeros(3), np.zeros(4), rng=np.random.default_rng(0))
    with pytest.raises(InputError, match="got 2 for 3"):
        clip_means(np.zeros(3), np.zeros(2, dtype=int))
