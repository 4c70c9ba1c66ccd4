"""What is held fixed when performance is compared between clusters: named covariates of neurons, as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from decortex.config import Config
from decortex.errors import InputError

FloatArray = NDArray[np.float64]
CovariateName = Literal["log_rate", "reliability", "spearman_brown", "oracle", "norm", "x", "y", "z"]
CovariateStatus = Literal["ok", "covariate_missing", "shared_images"]

# A covariate that fewer of the scored neurons have is no covariate of these data.
SMALLEST_SHARE = 0.5
# A session with fewer neurons for each column shares its slopes with the other small ones.
NEURONS_A_SLOPE = 10
# Fisher's z of a perfect correlation is infinite; no correlation over images is known more closely than this.
LARGEST_CORRELATION = 0.9999


class CovariateConfig(Config):
    """Which covariates are held fixed, and what happens where one is not known."""

    names: tuple[CovariateName, ...] = Field(
        default=(),
        description="log_rate: log of the mean response in training; reliability: explainable share of the variance "
        "(fev) on test images; spearman_brown: of averages over their repeats; oracle: a response against the others "
        "to its image; norm: of the readout weights; x, y, z: cortical position",
    )
    degree: int = Field(2, ge=1, le=3, description="Powers of each standardised covariate")
    missing: Literal["refuse", "leave_out"] = Field(
        "refuse",
        description="What to do with a covariate that fewer than half of the scored neurons have",
    )
    slopes: Literal["by_session", "common"] = Field(
        "by_session",
        description="Whether every session has slopes of its own (sessions with fewer than ten neurons per column "
        "share theirs), or all sessions share them",
    )
    score_scale: Literal["fisher_z", "correlation"] = Field(
        "fisher_z",
        description="Scale of the scores: Fisher's z, atanh of the correlation, on which a covariate's effect does not "
        "shrink towards 1, or the correlation itself",
    )


@dataclass(frozen=True)
class CovariateColumns:
    """Columns of the covariates, for the neurons that have them.

    Parameters
    ----------
    status : {'ok', 'covariate_missing'}
        'covariate_missing': one is not known for these data, and the configuration refuses to go on without.
    columns : ndarray of float64, shape (n_neurons, n_columns)
        Powers of the standardised covariates, once for every session with slopes of its own (0 in the others); NaN
        for neurons outside ``defined``.
    defined : ndarray of bool, shape (n_neurons,)
        Neurons with a finite score and all covariates used.
    used, missing : tuple of str
        Covariates that became columns, and those that are not known.
    """

    status: Literal["ok", "covariate_missing"]
    columns: FloatArray
    defined: NDArray[np.bool_]
    used: tuple[str, ...]
    missing: tuple[str, ...]


def covariate_columns(
    config: CovariateConfig,
    values: Mapping[str, FloatArray],
    scores: FloatArray,
    *,
    sessions: NDArray[Any],
) -> CovariateColumns:
    """Build the columns that one configuration asks for.

    Parameters
    ----------
    config : CovariateConfig
        What to hold fixed.
    values : mapping of str to ndarray of float64, each (n_neurons,)
        Covariates by name, NaN where unknown; one that is absent is unknown for every neuron.
    scores : ndarray of float64, shape (n_neurons,)
        The scores to compare, NaN where undefined.
    sessions : ndarray, shape (n_neurons,)
        Session of each neuron, for slopes by session.

    Raises
    ------
    InputError
        If a covariate does not fit the scores.
    """
    if sessions.shape != scores.shape:
        raise InputError(f"expected one session for each of {scores.shape} scores, got {sessions.shape}.")
    scored = np.isfinite(scores)
    used: list[str] = []
    missing: list[str] = []
    for name in config.names:
        if name in values and values[name].shape != scores.shape:
            raise InputError(
                f"covariate {name!r} should have one value for each of {scores.shape} scores, but has "
                f"{values[name].shape}."
            )
        known = np.isfinite(values[name]) & scored if name in values else np.zeros(len(scores), dtype=bool)
        enough = known.sum() >= max(SMALLEST_SHARE * scored.sum(), 1)
        (used if enough else missing).append(name)
    status: Literal["ok", "covariate_missing"] = "ok"
    if missing and config.missing == "refuse":
        status = "covariate_missing"
    defined = scored.copy()
    for kept in used:
        defined &= np.isfinite(values[kept])
    columns = np.full((len(scores), len(used) * config.degree), np.nan)
    for index, kept in enumerate(used):
        own = values[kept][defined]
        spread = own.std() if len(own) else 0.0
        standard = (own - own.mean()) / spread if spread > 0 else np.zeros(len(own))
        for power in range(config.degree):
            columns[defined, index * config.degree + power] = standard ** (power + 1)
    if config.slopes == "by_session":
        columns = _by_session(columns, sessions, defined)
    return CovariateColumns(status, columns, defined, tuple(used), tuple(missing))


def _by_session(columns: FloatArray, sessions: NDArray[Any], defined: NDArray[np.bool_]) -> FloatArray:
    """Columns once for every session that is large enough, and once for all others: 0 outside of them."""
    n, q = columns.shape
    if not q or not defined.any():
        return columns
    dense = np.unique(sessions[defined], return_inverse=True)[1]
    large = np.bincount(dense) >= NEURONS_A_SLOPE * q
    group = np.where(large, np.cumsum(large), 0)[dense]
    kept = np.unique(group, return_inverse=True)[1]
    own = np.zeros((len(dense), int(kept.max()) + 1, q))
    own[np.arange(len(dense)), kept] = columns[defined]
    spread = np.full((n, own.shape[1] * q), np.nan)
    spread[defined] = own.reshape(len(dense), -1)
    return spread


def scaled_scores(config: CovariateConfig, scores: FloatArray) -> FloatArray:
    """Scores on the scale on which they are compared.

    Parameters
    ----------
    config : CovariateConfig
        Its ``score_scale``.
    scores : ndarray of float64, shape (n_neurons,)
        Correlations, NaN where undefined.

    Returns
    -------
    ndarray of float64, shape (n_neurons,)
        Fisher's z, artanh of correlations that are cut to +-`LARGEST_CORRELATION`, or the scores as they came.

    Raises
    ------
    InputError
        If Fisher's z is asked for and a score is no correlation.

    Examples
    --------
    >>> scaled_scores(CovariateConfig(), np.array([0.0, 0.5, np.nan])).round(3)
    array([0.   , 0.549,   nan])
    """
    if config.score_scale == "correlation":
        return scores
    if (np.abs(scores[~np.isnan(scores)]) > 1 + 1e-9).any():
        raise InputError(
            "Fisher's z is defined for correlations, between -1 and 1, but a score is outside; "
            "compare such scores with score_scale='correlation'."
        )
    z: FloatArray = np.arctanh(np.clip(scores, -LARGEST_CORRELATION, LARGEST_CORRELATION))
    return z


def log_rate(mean_responses: FloatArray) -> FloatArray:
    """Natural logarithm of mean responses; NaN where a neuron never responded.

    Examples
    --------
    >>> import numpy as np
    >>> log_rate(np.array([1.0, 0.0])).tolist()
    [0.0, nan]
    """
    positive = mean_responses > 0
    return np.log(mean_responses, out=np.full(len(mean_responses), np.nan), where=positive)


def norms(weights: NDArray[np.floating[Any]]) -> FloatArray:
    """Euclidean norm of every neuron's readout weights: (n_neurons, n_channels) -> (n_neurons,).

    Examples
    --------
    >>> import numpy as np
    >>> norms(np.array([[3.0, 4.0]])).tolist()
    [5.0]
    """
    found: FloatArray = np.linalg.norm(weights.astype(np.float64), axis=1)
    return found
