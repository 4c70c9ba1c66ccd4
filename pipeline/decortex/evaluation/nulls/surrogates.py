"""Null models of an embedding: surrogate neurons without types. What is compared with them is elsewhere.

======== ==================================================== ==============================================
kind     keeps exactly                                        what exceeding it says
======== ==================================================== ==============================================
gaussian number, means and covariance                         not one Gaussian cloud; alone it proves nothing
t        number, means and covariance (elliptical, heavy)     not one heavy-tailed cloud
permuted number and every feature's values                    features depend on each other
copula   number and every feature's values; rank correlations more than skewed or sparse features that correlate
======== ==================================================== ==============================================
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri
from scipy.stats import rankdata

from decortex.clustering import check_points, fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import InputError
from decortex.evaluation.nulls.kinds import NULL_KINDS, NullKind

FloatArray = NDArray[np.float64]

# Below this many degrees of freedom a t distribution has no variance to match; above, it is Gaussian.
_DF_BOUNDS = (2.1, 100.0)
_RELATIVE_ZERO = 1e-10
_COPULA_ROUNDS = 12
_COPULA_TOLERANCE = 0.002
_REDRAWS = 100


def surrogate(x: Any, kind: NullKind, rng: np.random.Generator, *, df: float | None = None) -> FloatArray:
    """Draw as many neurons from a null model of these.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Finite features. Constant and sparse ones, ties and fewer neurons than features are all allowed.
    kind : {'gaussian', 't', 'permuted', 'copula'}
        Null model, see the head of this module.
    rng : numpy.random.Generator
        Every random number comes from it.
    df : float, optional
        Degrees of freedom of 't', above 2; estimated from the neurons where left out.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_features)

    Raises
    ------
    InputError
        If x is not a finite matrix of at least two neurons, the kind unknown or df not above 2.

    Notes
    -----
    'gaussian' and 't' match the *sample* covariance exactly, not on average: rows are drawn, their own
    covariance is taken out and the data's put in. 'copula' draws Gaussian scores, and every feature's values
    are put in the order of its scores (Iman & Conover, Commun. Stat. B 11, 1982). The scores' correlations
    are adjusted until the surrogate's rank correlations equal the data's: with ties, such as the zeros of a sparse
    feature, the plain normal scores would lose part of them.

    Examples
    --------
    >>> import numpy as np
    >>> rng = np.random.default_rng(0)
    >>> surrogate(rng.normal(size=(50, 3)), "permuted", rng).shape
    (50, 3)
    """
    values = check_points(x)
    if len(values) < 2:
        raise InputError(f"a surrogate needs at least 2 neurons, got {len(values)}.")
    if kind not in NULL_KINDS:
        raise InputError(f"{kind!r} is not a null model; there are {', '.join(NULL_KINDS)}.")
    if df is not None and not df > 2:
        raise InputError(f"df should be above 2, where a t distribution has a covariance, but is {df}.")
    if kind == "permuted":
        return rng.permuted(values, axis=0)
    if kind == "copula":
        return _copula(values, rng)
    return _elliptical(values, rng, None if kind == "gaussian" else (df or degrees_of_freedom(values)))


def surrogate_embedding(
    raw: Any, config: EmbeddingConfig, kind: NullKind, rng: np.random.Generator
) -> FloatArray:
    """Surrogate of readout features, embedded as the features were: for L2-normalised and other embeddings.

    A surrogate of a normalised embedding would leave the sphere; this one is drawn before the normalisation.

    Parameters
    ----------
    raw : array_like, shape (n_neurons, n_features)
        Readout features of the neurons that the embedding holds.
    config : EmbeddingConfig
        The embedding; its map is fitted to the surrogate as it was to the data.
    kind, rng
        As in `surrogate`.

    Returns
    -------
    ndarray of float64, shape (n_neurons, n_out)

    Raises
    ------
    InputError
        As in `surrogate`, or if no surrogate with enough neurons off zero can be drawn.

    Notes
    -----
    A surrogate neuron of norm zero would have been excluded from the embedding. It is drawn anew, so that null
    and data hold equally many neurons.

    Examples
    --------
    >>> import numpy as np
    >>> from decortex.embeddings import EmbeddingConfig
    >>> rng = np.random.default_rng(0)
    >>> y = surrogate_embedding(rng.normal(size=(50, 3)), EmbeddingConfig(kind="l2"), "gaussian", rng)
    >>> bool(np.allclose(np.linalg.norm(y, axis=1), 1))
    True
    """
    values = check_points(raw, name="raw")
    drawn = off_zero(lambda: surrogate(values, kind, rng), [slice(None)], kind)
    return fit_map(drawn, config).apply(drawn)


def off_zero(draw: Callable[[], FloatArray], blocks: Sequence[slice], kind: str) -> FloatArray:
    """Draw neurons none of which is zero throughout a block of features; those that are, are drawn anew.

    Parameters
    ----------
    draw : callable
        Returns surrogate neurons, (n_neurons, n_features).
    blocks : sequence of slice
        Blocks of features.
    kind : str
        Null model, for the message.

    Raises
    ------
    InputError
        If such neurons remain after a hundred redraws.
    """

    def empty(neurons: FloatArray) -> NDArray[np.bool_]:
        held = np.stack([neurons[:, block].any(axis=1) for block in blocks])
        found: NDArray[np.bool_] = np.logical_not(held.all(axis=0))
        return found

    drawn = draw()
    for _ in range(_REDRAWS):
        missing = np.flatnonzero(empty(drawn))
        if not len(missing):
            return drawn
        spare = draw()
        spare = spare[~empty(spare)][: len(missing)]
        drawn[missing[: len(spare)]] = spare
    raise InputError(
        f"a {kind} surrogate of these features keeps neurons whose features are all zero after {_REDRAWS} redraws: "
        "the features are too sparse for this null model. Leave it out of the study's nulls."
    )


def degrees_of_freedom(x: FloatArray) -> float:
    """Degrees of freedom of one multivariate t fitted to the neurons, within 2.1 and 100.

    Fitted in the principal axes scaled to variance 1; with hardly more neurons than directions, where
    distances say nothing about tails, it is 100.

    Examples
    --------
    >>> import numpy as np
    >>> x = np.random.default_rng(0).standard_t(3, size=(500, 4))
    >>> bool(degrees_of_freedom(x) < 10)
    True
    """
    scores = _unit_scores(x)
    if scores.shape[1] == 0 or len(x) < 2 * scores.shape[1] + 2:
        return _DF_BOUNDS[1]
    params: dict[str, Any] = {"n_init": 1, "n_refined": 1, "max_iter": 200, "tol": 1e-4}
    fitted = fit(scores * np.sqrt(len(x)), "tmixture", n_clusters=1, seed=0, **params)
    return float(np.clip(fitted.parameters["nu"][0], *_DF_BOUNDS))


def _unit_scores(x: FloatArray) -> FloatArray:
    """Orthonormal principal scores of the neurons, (n_neurons, rank)."""
    left, singular, _ = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    rank = int(np.count_nonzero(singular > _RELATIVE_ZERO * max(float(singular[0]), np.finfo(float).tiny)))
    return np.ascontiguousarray(left[:, :rank])


def _elliptical(x: FloatArray, rng: np.random.Generator, df: float | None) -> FloatArray:
    n_neurons = len(x)
    mean = x.mean(axis=0)
    _, singular, right = np.linalg.svd(x - mean, full_matrices=False)
    rank = int(np.count_nonzero(singular > _RELATIVE_ZERO * max(float(singular[0]), np.finfo(float).tiny)))
    drawn = rng.standard_normal((n_neurons, rank))
    if df is not None:
        drawn *= np.sqrt(df / rng.chisquare(df, size=(n_neurons, 1)))
    # Orthonormal columns without a preferred direction: the left factors of the drawn rows' own decomposition.
    left, _, turn = np.linalg.svd(drawn - drawn.mean(axis=0), full_matrices=False)
    placed: FloatArray = mean + (left @ turn * singular[:rank]) @ right[:rank]
    return placed


def _copula(x: FloatArray, rng: np.random.Generator) -> FloatArray:
    varying = np.flatnonzero(np.ptp(x, axis=0) > 0)
    result = x.copy()
    if not len(varying):
        return result
    columns = np.sort(x[:, varying], axis=0)
    wanted = _correlation(rankdata(x[:, varying], axis=0))
    noise = _white(rng.standard_normal((len(x), len(varying))))
    latent = _correlation(ndtri(rankdata(x[:, varying], axis=0) / (len(x) + 1)))
    best, smallest = noise, np.inf
    for _ in range(_COPULA_ROUNDS):
        drawn = np.take_along_axis(columns, _ranks(noise @ _root(latent)), axis=0)
        missing = wanted - _correlation(rankdata(drawn, axis=0))
        worst = float(np.sqrt((missing**2).mean()))
        if worst < smallest:
            best, smallest = drawn, worst
        if worst < _COPULA_TOLERANCE:
            break
        latent = np.clip(latent + missing, -1.0, 1.0)
    result[:, varying] = best
    return result


def _white(drawn: FloatArray) -> FloatArray:
    """Take the drawn rows' own correlations out, where there are enough rows to know them."""
    if len(drawn) <= 2 * drawn.shape[1]:
        return drawn
    left, _, turn = np.linalg.svd(drawn - drawn.mean(axis=0), full_matrices=False)
    white: FloatArray = left @ turn * np.sqrt(len(drawn))
    return white


def _ranks(scores: FloatArray) -> NDArray[np.int64]:
    """Place of every neuron in its column, from 0; the scores do not tie."""
    return np.argsort(np.argsort(scores, axis=0, kind="stable"), axis=0, kind="stable")


def _root(correlation: FloatArray) -> FloatArray:
    """Matrix A with A'A the nearest correlation matrix by its non-negative eigenvalues."""
    values, vectors = np.linalg.eigh(correlation)
    root = vectors * np.sqrt(np.maximum(values, 0.0))
    scaled: FloatArray = (root / np.maximum(np.linalg.norm(root, axis=1, keepdims=True), 1e-12)).T
    return scaled


def _correlation(columns: FloatArray) -> FloatArray:
    centred = columns - columns.mean(axis=0)
    centred /= np.linalg.norm(centred, axis=0)
    product: FloatArray = centred.T @ centred
    return product
