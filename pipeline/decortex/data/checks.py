"""A full pass over the values of recordings, as done once before they are registered. Nothing is changed."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from decortex.data.recordings import TIERS, Recordings, Session, Trials
from decortex.data.video import WITHHELD, DeconvolvedTraces, shared_clips
from decortex.errors import DatasetError

_CHUNK_TRIALS = 256
_CHUNK_CLIPS = 4
# Ranges of pixels that differ by more are not of one unit: 255 times, in practice.
_MOST_TIMES = 20.0
Fault = Callable[[NDArray[np.float32]], NDArray[np.bool_]]


def check_responses(recordings: Recordings) -> tuple[str, ...]:
    """Check tiers, and that every response of a used trial is finite and not negative; reads them in chunks.

    Trials of tiers other than train, validation and test may hold anything: nobody reads them.

    Returns
    -------
    tuple of str
        What the registrant should know: trials that are left out or have no image id, test trials without a
        response; of movies values just below zero that are read as zero, trials whose responses were kept back, clips
        that lie in two tiers.

    Raises
    ------
    DatasetError
        If a session lacks a tier, or the responses of all its test images were kept back (one value throughout); and
        at the first response that is no response, naming session, trial and neuron (of clips: frame and neuron), and
        how many there are in that session's chunk.
    """
    for session in recordings.sessions:
        _check_tiers(session)
    where = "(frame, neuron)" if recordings.is_video else "neuron"
    notes = []
    for session in recordings.sessions:
        notes += [*session.notes, *_left_out(session)]
        just_below, varying = _JustBelowZero(session), _TrainingRange(session)

        def look(
            trials: NDArray[np.int64],
            values: NDArray[np.float32],
            both: tuple[_JustBelowZero, _TrainingRange] = (just_below, varying),
        ) -> None:
            for one in both:
                one.look(trials, values)

        _check(session, session.responses, ("responses", where), _bad_response, look)
        notes += [*just_below.notes(), *varying.notes()]
        if not recordings.is_video:
            notes += _check_withheld(session)
        n_withheld = int((session.tiers == WITHHELD).sum())
        if n_withheld:
            notes.append(
                f"session {session.name!r}: the responses of {n_withheld} test trials are one value throughout; these"
                " trials are left out"
            )
    if recordings.is_video:
        notes += [
            f"{n} different clips are in both {one} and {other} of these sessions: a core that all sessions share"
            " has seen them"
            for (one, other), n in shared_clips(recordings).items()
        ]
    return tuple(notes)


def _check_tiers(session: Session) -> None:
    """Refuse a session that cannot be trained on or scored; of movies all test responses may be withheld."""
    counts = {tier: int((session.tiers == tier).sum()) for tier in TIERS}
    withheld = int((session.tiers == WITHHELD).sum())
    lacking = [tier for tier, n in counts.items() if n == 0 and not (tier == "test" and withheld)]
    if lacking:
        found = ", ".join(f"{n} {tier}" for tier, n in counts.items())
        others = sorted(set(session.tiers.tolist()) - set(TIERS))
        raise DatasetError(
            f"session {session.name!r} has no {' and no '.join(lacking)} trials: networks learn from 'train', are"
            f" chosen by 'validation' and scored on 'test'. Found: {found}"
            f"{f', and the words {others[:8]}' if others else ''}. Give some of its images the missing tier in"
            " meta/trials/tiers.npy (all repeats of an image one tier), or leave the session out."
        )


def _left_out(session: Session) -> list[str]:
    words, counts = np.unique(session.tiers[~np.isin(session.tiers, (*TIERS, WITHHELD))], return_counts=True)
    if not len(words):
        return []
    found = ", ".join(f"{n} of {word!r}" for word, n in zip(words.tolist(), counts.tolist(), strict=True))
    return [f"session {session.name!r}: trials of other tiers are left out: {found}"]


def _check_withheld(session: Session) -> list[str]:
    """Refuse test responses that are one value throughout; name test trials in which no neuron responded."""
    trials = session.trials("test")
    n_silent, values = 0, set()
    for chunk in session.stacks(trials, _CHUNK_TRIALS):
        responses = session.responses.read(chunk)
        n_silent += int((~responses.any(axis=1)).sum())
        values |= {float(responses.min()), float(responses.max())} if responses.size else set()
    if len(trials) and len(values) == 1:
        raise DatasetError(
            f"session {session.name!r}: the responses of all {len(trials)} test trials are {values.pop():g} for every"
            " neuron: they were kept back, as competitions do, and no score of them would mean anything. Give these"
            " trials the tier 'none' in meta/trials/tiers.npy, and the tier 'test' to images whose responses you have"
            " (for example half of those of validation, all repeats of an image together)."
        )
    if not n_silent:
        return []
    return [f"session {session.name!r}: no neuron responded in {n_silent} of {len(trials)} test trials"]


def check_images(recordings: Recordings) -> tuple[str, ...]:
    """Check that every pixel of a used trial is finite, and that images differ; reads them in chunks.

    Returns
    -------
    tuple of str
        What the registrant should know: sessions or tiers whose pixels have ranges of other orders of size, such as
        0 to 255 beside 0 to 1.

    Raises
    ------
    DatasetError
        At the first pixel that is not finite, naming session, trial and pixel; and where all images of a session are
        one grey.
    """
    ranges: dict[str, tuple[float, float]] = {}
    for session in recordings.sessions:
        where = "(channel, frame, row, column)" if recordings.is_video else "(channel, row, column)"
        what = "videos" if recordings.is_video else "images"
        seen = _PixelRange(session)
        _check(session, session.images, (what, where), _bad_pixel, seen.look)
        low = min(one[0] for one in seen.by_tier.values())
        high = max(one[1] for one in seen.by_tier.values())
        if low == high:
            raise DatasetError(
                f"session {session.name!r}: every pixel of all its {what} is {low + 0.0:g}; a network learns nothing"
                " from them. Export them again."
            )
        ranges |= {f"{tier} of {session.name!r}": one for tier, one in seen.by_tier.items()}
    spans = {name: high - low for name, (low, high) in ranges.items() if high > low}
    if len(spans) < 2:
        return ()
    small, large = min(spans, key=lambda name: spans[name]), max(spans, key=lambda name: spans[name])
    if spans[large] <= _MOST_TIMES * spans[small]:
        return ()
    said = [f"{name} from {ranges[name][0]:g} to {ranges[name][1]:g}" for name in (small, large)]
    return (
        f"pixels have ranges of different size, {said[0]}, {said[1]}: are they in one unit? Networks are given all"
        " images by one mean and one standard deviation",
    )


class _PixelRange:
    """Smallest and largest pixel of every tier; of the first channel, behind which there may be behaviour."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.by_tier: dict[str, tuple[float, float]] = {}

    def look(self, trials: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Look at the images of some trials."""
        for trial, image in zip(trials.tolist(), values, strict=True):
            tier = str(self.session.tiers[trial])
            low, high = float(image[0].min()), float(image[0].max())
            before = self.by_tier.get(tier, (low, high))
            self.by_tier[tier] = (min(low, before[0]), max(high, before[1]))


class _TrainingRange:
    """Smallest and largest response of every neuron in training trials: one that never varies teaches nothing."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.low = np.full(session.n_neurons, np.inf)
        self.high = np.full(session.n_neurons, -np.inf)

    def look(self, trials: NDArray[np.int64], values: NDArray[np.float32]) -> None:
        """Look at the responses of some trials, (n_trials, [n_frames,] n_neurons)."""
        own = values[self.session.tiers[trials] == "train"].reshape(-1, self.session.n_neurons)
        self.low = np.minimum(self.low, own.min(axis=0, initial=np.inf))
        self.high = np.maximum(self.high, own.max(axis=0, initial=-np.inf))

    def notes(self) -> list[str]:
        """Name neurons that never vary in training.

        Raises
        ------
        DatasetError
            If no neuron varies.
        """
        same = self.low == self.high
        if same.all():
            raise DatasetError(
                f"session {self.session.name!r}: no neuron's response varies over the training trials (the first is"
                f" {self.low[0] + 0.0:g} throughout): a network learns nothing from them. Export them again."
            )
        if not same.any():
            return []
        return [
            f"session {self.session.name!r}: {int(same.sum())} of {len(same)} neurons have one response in all training"
            f" trials (first: neuron {int(np.argmax(same))}); networks learn nothing of them"
        ]


class _JustBelowZero:
    """Counts the values of a session's deconvolved responses that are read as zero."""

    def __init__(self, session: Session) -> None:
        self.session = session
        self.lowest = 0.0
        self.neurons = np.zeros(session.n_neurons, dtype=np.bool_)

    def look(self, trials: NDArray[np.int64], _: NDArray[np.float32]) -> None:
        """Look at the responses of some trials as they lie in their files."""
        if isinstance(self.session.responses, DeconvolvedTraces):
            values = self.session.responses.traces.read(trials)
            self.neurons |= (values < 0).any(axis=(0, 1))
            self.lowest = min(self.lowest, float(values.min()))

    def notes(self) -> list[str]:
        """Return what was seen, in words."""
        if not self.neurons.any():
            return []
        return [
            f"session {self.session.name!r}: {int(self.neurons.sum())} of {len(self.neurons)} neurons have responses"
            f" just below zero (lowest {self.lowest:.3g}), which are read as zero"
        ]


def _bad_response(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return ~(np.isfinite(values) & (values >= 0))


def _bad_pixel(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    return ~np.isfinite(values)


def _check(
    session: Session,
    trials: Trials,
    names: tuple[str, str],
    fault: Fault,
    look: Callable[[NDArray[np.int64], NDArray[np.float32]], None] | None = None,
) -> None:
    what, place_name = names
    used = np.flatnonzero(np.isin(session.tiers, TIERS)).astype(np.int64)
    for chunk in session.stacks(used, _CHUNK_TRIALS if session.n_frames is None else _CHUNK_CLIPS):
        values = trials.read(chunk)
        bad = fault(values)
        if bad.any():
            first, *place = (int(index) for index in np.argwhere(bad)[0])
            trial = chunk[first]
            n_trials = int(bad.reshape(len(bad), -1).any(axis=1).sum())
            wanted = "finite and not negative" if what == "responses" else "finite"
            where = place[0] if len(place) == 1 else tuple(place)
            raise DatasetError(
                f"session {session.name!r}: {what} should be {wanted}, but trial {trial}"
                f" (tier {str(session.tiers[trial])!r}) has {values[(first, *place)]} at {place_name} {where};"
                f" {n_trials} of {len(chunk)} trials looked at from there are affected. Correct them, or give"
                " these trials the tier 'none'."
            )
        if look is not None:
            look(chunk, values)
