"""Scores of a network on recordings, session by session; of those whose responses were kept back, none."""

from __future__ import annotations

import numpy as np

from decortex.data import Recordings, Session
from decortex.data.video import WITHHELD
from decortex.evaluation.performance import CLIP_METRICS, METRICS, Scores, concatenate_scores, score_neurons
from decortex.models.network import Network
from decortex.models.predict import predict


def score_recordings(
    network: Network, recordings: Recordings, tier: str, *, device: str = "auto"
) -> tuple[dict[str, Scores], int]:
    """Score every neuron of every session on one tier.

    Parameters
    ----------
    network : Network
        Runs in evaluation mode; it is not changed.
    recordings : Recordings
        Those it was built for.
    tier : str
        'train', 'validation' or 'test'.
    device : str
        See `resolve_device`.

    Returns
    -------
    scores : dict of str to Scores
        By metric, in the order of the neurons. Neurons of a session whose test responses were all kept back, as those
        of five recordings of Sensorium 2023, keep their place: NaN, with the reason 'withheld_responses'.
    n_trials : int
        Trials that were scored.

    Raises
    ------
    DatasetError
        If a session has no trial in the tier, and none that was kept back.

    Examples
    --------
    >>> scores, n_trials = score_recordings(network, recordings, "test")  # doctest: +SKIP
    >>> scores["correlation_to_average"].summary.mean  # doctest: +SKIP
    """
    metrics = METRICS + (CLIP_METRICS if recordings.is_video else ())
    known = [session for session in recordings.sessions if not _is_withheld(session, tier)]
    found = {}
    if known:
        alone = Recordings(
            known, recordings.image_shape, "sessions that can be scored", frame_rate=recordings.frame_rate
        )
        found = predict(network, alone, tier, device=device)
    parts = [
        score_neurons(one.responses, one.predictions, one.image_ids, clip_ids=one.clip_ids)
        if (one := found.get(session.name)) is not None
        else {name: _undefined(name, session.n_neurons) for name in metrics}
        for session in recordings.sessions
    ]
    return concatenate_scores(parts), sum(len(np.unique(one.trials)) for one in found.values())


def _is_withheld(session: Session, tier: str) -> bool:
    """Whether responses to all test trials of a session were kept back."""
    return tier == "test" and not len(session.trials(tier)) and bool((session.tiers == WITHHELD).any())


def _undefined(metric: str, n_neurons: int) -> Scores:
    return Scores(metric, np.full(n_neurons, np.nan), np.full(n_neurons, "withheld_responses"))
