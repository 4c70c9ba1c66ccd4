"""Prediction scores per neuron: correlations, explainable variance, Poisson losses. No network runs here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError

FloatArray = NDArray[np.float64]

METRICS = (
    "correlation_to_average",
    "single_trial_correlation",
    "fev",
    "feve",
    "poisson_deviance",
    "poisson_loss",
)
# Of movies only.
CLIP_METRICS = ("per_clip_correlation",)
REASONS = (
    "not_finite",
    "too_few_images",
    "constant_response",
    "constant_prediction",
    "no_repeats",
    "too_few_repeated_images",
    "low_fev",
    "negative_response",
    "negative_prediction",
    "withheld_responses",
    "no_recording",
)
QUANTILES = (0.05, 0.25, 0.5, 0.75, 0.95)
FEV_THRESHOLD = 0.15
# A correlation of two images is 1 or -1, and the explainable variance of one repeated image 0, whatever was recorded.
SMALLEST_N_IMAGES = 3
POISSON_EPSILON = 1e-12

# 2^22 float64 numbers a working array: 32 MiB, whatever the number of neurons.
_CHUNK_ELEMENTS = 2**22


@dataclass(frozen=True)
class Summary:
    """Mean and quantiles over the neurons where a score is defined.

    Parameters
    ----------
    mean : float or None
        Mean over defined values; None where there is none.
    quantiles : mapping of float to float
        The quantiles of `QUANTILES`; empty where no value is defined.
    n_defined, n : int
        Defined values, and all.
    """

    mean: float | None
    quantiles: Mapping[float, float]
    n_defined: int
    n: int


@dataclass(frozen=True)
class Scores:
    """One score for every neuron; a neuron keeps its index where the score is undefined.

    Parameters
    ----------
    metric : str
        One of `METRICS` or `CLIP_METRICS`.
    values : ndarray of float64, shape (n_neurons,)
        NaN where undefined.
    reasons : ndarray of str, shape (n_neurons,)
        '' where defined, else one of `REASONS`.
    """

    metric: str
    values: FloatArray
    reasons: NDArray[np.str_]

    @property
    def summary(self) -> Summary:
        """Mean, quantiles and count over the defined neurons."""
        return summarise(self.values)


def summarise(values: FloatArray) -> Summary:
    """Mean, quantiles and count of the values that are not NaN.

    Examples
    --------
    >>> import numpy as np
    >>> one = summarise(np.array([0.2, np.nan, 0.4]))
    >>> (one.n_defined, round(one.mean, 2))
    (2, 0.3)
    """
    defined = values[~np.isnan(values)]
    if not len(defined):
        return Summary(mean=None, quantiles={}, n_defined=0, n=len(values))
    found = np.quantile(defined, QUANTILES)
    return Summary(
        mean=float(defined.mean()),
        quantiles={level: float(value) for level, value in zip(QUANTILES, found, strict=True)},
        n_defined=len(defined),
        n=len(values),
    )


def score_neurons(
    responses: NDArray[np.floating[Any]],
    predictions: NDArray[np.floating[Any]],
    image_ids: NDArray[np.integer[Any]],
    *,
    clip_ids: NDArray[np.integer[Any]] | None = None,
) -> dict[str, Scores]:
    r"""Score every neuron of one session by every metric of `METRICS`.

    Parameters
    ----------
    responses, predictions : ndarray of float, shape (n_trials, n_neurons)
        Recorded and predicted responses in one unit (counts for the Poisson scores).
    image_ids : ndarray of int, shape (n_trials,)
        Trials with equal id are repeats of one image. Of movies a row is a frame, and frames with equal id are repeats.
    clip_ids : ndarray of int, shape (n_trials,), optional
        Of movies: the clip that each frame belongs to.

    Returns
    -------
    dict of str to Scores
        ``correlation_to_average``: over images, repeats averaged in responses and predictions.
        ``single_trial_correlation``: over trials. Both with population standard deviations, of at least three images
        or trials. Of movies both run over frames, clips concatenated; ``per_clip_correlation``, only with
        ``clip_ids``, is the mean over clips of the correlation over each clip's frames, repeats averaged in responses
        and predictions: clips in which response or prediction are constant are left out.
        ``fev`` :math:`= (V - N)/V` and ``feve`` :math:`= 1 - (MSE - N)/(V - N)`, over the trials of images
        shown at least twice (three images or more), with V the variance over trials and N the mean over images of
        the variance over repeats, both with ddof 1; ``feve`` is defined where ``fev`` is at least .15.
        ``poisson_loss`` :math:`= \langle\hat r - r\log(\hat r + 10^{-12})\rangle`, and ``poisson_deviance``
        :math:`= 2\langle r\log(r/(\hat r + 10^{-12})) - r + \hat r\rangle`, over trials; neither is defined where
        the responses of several neurons are one value throughout, as competitions ship the tests they keep back.

    Raises
    ------
    InputError
        If the shapes do not belong together or there is no trial.

    Notes
    -----
    Works through the neurons in blocks, so that memory beyond the input does not grow with their number.

    Examples
    --------
    >>> import numpy as np
    >>> responses = np.array([[1.0], [2.0], [4.0]])
    >>> scores = score_neurons(responses, 2 * responses, np.arange(3))
    >>> scores["correlation_to_average"].values.round(3).tolist()
    [1.0]
    """
    _check(responses, predictions, image_ids)
    if clip_ids is not None and clip_ids.shape != image_ids.shape:
        raise InputError(
            f"clip_ids should name the clip of each of {len(image_ids)} frames, but has shape {clip_ids.shape}."
        )
    n_trials, n_neurons = responses.shape
    repeats = _Repeats.of(image_ids)
    block = max(1, _CHUNK_ELEMENTS // n_trials)
    parts = [
        _score_block(
            responses[:, start : start + block].astype(np.float64),
            predictions[:, start : start + block].astype(np.float64),
            repeats,
            None if clip_ids is None else np.asarray(clip_ids),
        )
        for start in range(0, n_neurons, block)
    ]
    if n_neurons > 1 and n_trials > 1 and (responses == responses[0, 0]).all():
        parts = [_without_poisson(part) for part in parts]
    names = METRICS if clip_ids is None else METRICS + CLIP_METRICS
    return concatenate_scores(parts) if parts else {name: _empty(name) for name in names}


def concatenate_scores(parts: Sequence[Mapping[str, Scores]]) -> dict[str, Scores]:
    """Join the scores of several sessions (or blocks) in the order given.

    Raises
    ------
    InputError
        If there is nothing to join.

    Examples
    --------
    >>> import numpy as np
    >>> responses = np.array([[1.0], [2.0], [4.0]])
    >>> part = score_neurons(responses, responses, np.arange(3))
    >>> concatenate_scores([part, part])["single_trial_correlation"].values.shape
    (2,)
    """
    if not parts:
        raise InputError("expected the scores of at least one session, none came; score the sessions first.")
    return {
        name: Scores(
            metric=name,
            values=np.concatenate([part[name].values for part in parts]),
            reasons=np.concatenate([part[name].reasons for part in parts]),
        )
        for name in parts[0]
    }


def _without_poisson(part: Mapping[str, Scores]) -> dict[str, Scores]:
    """Scores of responses that were withheld: a likelihood of the filler is no score of the network."""
    return {
        name: Scores(
            name,
            np.full(len(one.values), np.nan),
            np.where(one.reasons == "not_finite", "not_finite", "withheld_responses"),
        )
        if name.startswith("poisson")
        else one
        for name, one in part.items()
    }


@dataclass(frozen=True)
class _Repeats:
    """Trials sorted by image: where each image begins and how often it was shown."""

    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, image_ids: NDArray[np.integer[Any]]) -> _Repeats:
        order = np.argsort(image_ids, kind="stable").astype(np.int64)
        _, starts, counts = np.unique(image_ids[order], return_index=True, return_counts=True)
        return cls(order, starts.astype(np.int64), counts.astype(np.int64))

    def sums(self, values: FloatArray) -> FloatArray:
        """Sum over the repeats of each image: (n_trials, ...) -> (n_images, ...)."""
        summed: FloatArray = np.add.reduceat(values[self.order], self.starts, axis=0)
        return summed

    def means(self, values: FloatArray) -> FloatArray:
        """Average over the repeats of each image."""
        return self.sums(values) / self.counts[:, None]


def _score_block(
    r: FloatArray, p: FloatArray, repeats: _Repeats, clip_ids: NDArray[Any] | None
) -> dict[str, Scores]:
    broken = ~(np.isfinite(r).all(axis=0) & np.isfinite(p).all(axis=0))
    # A neuron with a broken trial has no score at all; zeros keep its column from raising warnings.
    r = np.where(broken, 0.0, r)
    p = np.where(broken, 0.0, p)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        values: dict[str, tuple[FloatArray, NDArray[np.str_]]] = {
            "correlation_to_average": _correlation(repeats.means(r), repeats.means(p)),
            "single_trial_correlation": _correlation(r, p),
            **_explained(r, p, repeats),
            **_poisson(r, p),
        }
    if clip_ids is not None:
        of_frame = clip_ids[repeats.order][repeats.starts]
        values["per_clip_correlation"] = _per_clip(repeats.means(r), repeats.means(p), of_frame)
    scores = {}
    for name in (name for name in METRICS + CLIP_METRICS if name in values):
        value, reason = values[name]
        reasons = np.where(broken, "not_finite", reason)
        # squares that overflow or vanish leave no score, and no score is without its reason
        reasons = np.where((reasons == "") & ~np.isfinite(value), "not_finite", reasons)
        scores[name] = Scores(name, np.where(reasons == "", value, np.nan), reasons)
    return scores


def _correlation(r: FloatArray, p: FloatArray) -> tuple[FloatArray, NDArray[np.str_]]:
    """Pearson correlation down the columns, with reasons where it is undefined."""
    reason = np.full(r.shape[1], "", dtype="<U24")
    if len(r) < SMALLEST_N_IMAGES:
        return np.full(r.shape[1], np.nan), np.where(reason == "", "too_few_images", reason)
    # The response is named first: where both are constant, the recording is the cause to look at.
    reason[_constant(p)] = "constant_prediction"
    reason[_constant(r)] = "constant_response"
    r = r - r.mean(axis=0)
    p = p - p.mean(axis=0)
    norms = np.sqrt(np.einsum("ij,ij->j", r, r) * np.einsum("ij,ij->j", p, p))
    defined = reason == ""
    products = np.einsum("ij,ij->j", r, p)
    # Squares of subnormal deviations underflow to 0; such a neuron is as good as constant.
    vanished = defined & (norms == 0)
    reason[vanished] = "constant_prediction"
    correlation = np.divide(products, norms, out=np.full(len(norms), np.nan), where=defined & ~vanished)
    return np.clip(correlation, -1.0, 1.0), reason


def _per_clip(r: FloatArray, p: FloatArray, clip_ids: NDArray[Any]) -> tuple[FloatArray, NDArray[np.str_]]:
    """Mean over clips of the correlation over a clip's frames; the last clip's reason where none is defined."""
    found, reason = [], np.empty(0, dtype="<U24")
    for clip in np.unique(clip_ids):
        value, reason = _correlation(r[clip_ids == clip], p[clip_ids == clip])
        found.append(np.where(reason == "", value, np.nan))
    defined = np.isfinite(found)
    n_clips = defined.sum(axis=0)
    total = np.where(defined, found, 0.0).sum(axis=0)
    mean = np.divide(total, n_clips, out=np.full(r.shape[1], np.nan), where=n_clips > 0)
    return mean, np.where(n_clips > 0, "", reason)


def _constant(values: FloatArray) -> NDArray[np.bool_]:
    """Columns without variation beyond the rounding of an average over repeats."""
    spread = values.max(axis=0) - values.min(axis=0)
    constant: NDArray[np.bool_] = spread <= 1e-13 * np.abs(values).max(axis=0)
    return constant


def _explained(
    r: FloatArray, p: FloatArray, repeats: _Repeats
) -> dict[str, tuple[FloatArray, NDArray[np.str_]]]:
    n_neurons = r.shape[1]
    undefined = np.full(n_neurons, np.nan)
    shown_twice = repeats.counts >= 2
    if shown_twice.sum() < SMALLEST_N_IMAGES:
        why = "too_few_repeated_images" if shown_twice.any() else "no_repeats"
        reason = np.full(n_neurons, why, dtype="<U24")
        return {"fev": (undefined, reason), "feve": (undefined, reason)}

    keep = np.repeat(shown_twice, repeats.counts)
    kept = _Repeats.of(np.repeat(np.arange(len(repeats.counts)), repeats.counts)[keep])
    r, p = r[repeats.order][keep], p[repeats.order][keep]
    deviation = r - np.repeat(kept.means(r), kept.counts, axis=0)
    noise = (kept.sums(deviation**2) / (kept.counts - 1)[:, None]).mean(axis=0)
    total = r.var(axis=0, ddof=1)
    mse = ((r - p) ** 2).mean(axis=0)

    reason = np.where(_constant(r), "constant_response", "").astype("<U24")
    fev = np.divide(total - noise, total, out=undefined.copy(), where=reason == "")
    low = (reason == "") & ~(fev >= FEV_THRESHOLD)
    feve_reason = np.where(low, "low_fev", reason).astype("<U24")
    feve = 1 - np.divide(mse - noise, total - noise, out=undefined.copy(), where=feve_reason == "")
    return {"fev": (fev, reason), "feve": (feve, feve_reason)}


def _poisson(r: FloatArray, p: FloatArray) -> dict[str, tuple[FloatArray, NDArray[np.str_]]]:
    reason = np.full(r.shape[1], "", dtype="<U24")
    reason[(p < 0).any(axis=0)] = "negative_prediction"
    reason[(r < 0).any(axis=0)] = "negative_response"
    p = np.maximum(p, 0.0)
    log_p = np.log(p + POISSON_EPSILON)
    loss = (p - r * log_p).mean(axis=0)
    # r log r is 0 at r = 0, its limit.
    r_log_r = r * np.log(np.where(r > 0, r, 1.0))
    deviance = 2 * (r_log_r - r * log_p - r + p).mean(axis=0)
    return {"poisson_loss": (loss, reason), "poisson_deviance": (deviance, reason)}


def _check(
    responses: NDArray[np.floating[Any]],
    predictions: NDArray[np.floating[Any]],
    image_ids: NDArray[np.integer[Any]],
) -> None:
    if responses.ndim != 2 or responses.shape != predictions.shape:
        raise InputError(
            "responses and predictions should both be (n_trials, n_neurons), but are "
            f"{responses.shape} and {predictions.shape}. Predict the trials that are scored, all neurons."
        )
    if image_ids.shape != responses.shape[:1]:
        raise InputError(
            f"image_ids should name the image of each of {len(responses)} trials, but has shape "
            f"{image_ids.shape}."
        )
    if not len(responses):
        raise InputError("expected at least one trial to score, none came; choose a tier that holds trials.")


def _empty(metric: str) -> Scores:
    return Scores(metric, np.empty(0), np.empty(0, dtype="<U24"))
