"""Student-t mixture by EM, plain and rotation-invariant (shift-EM). Densities and results are in `mixture`.

Peel & McLachlan, Statistics and Computing 10 (2000), with the scale update of PX-EM (Liu, Rubin & Wu 1998):

    E:  tau_ij proportional to pi_j t_D(x_i; mu_j, Sigma_j, nu_j),   u_ij = (nu_j + D) / (nu_j + delta_ij)
    M:  mu_j = sum tau u x / sum tau u,   Sigma_j = sum tau u (x - mu)(x - mu)' / sum tau u,   pi_j = mean tau,
        nu_j: the root of log(nu/2) - psi(nu/2) + 1 + mean_tau(log u - u) + psi((nu'+D)/2) - log((nu'+D)/2).

Rotation-invariant: component j stands for its O rolls (j, o), tied to one mu_j and sigma_j; the E step runs over
all (j, o), the M step turns every neuron's share back by o before it adds it up. O = 1 is the plain mixture.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from sklearn.cluster import KMeans
from sklearn.exceptions import ConvergenceWarning

from decortex.clustering.backend import BackendConfig
from decortex.clustering.inputs import FloatArray, check_n_clusters, generator, sklearn_state
from decortex.clustering.method import Fitter, Method, Points
from decortex.clustering.mixtures.base import (
    Mixture,
    MixtureFit,
    mixture_result,
    mixture_scores,
    n_parameters,
    posterior,
    rolls,
)
from decortex.clustering.mixtures.t_expectation import (
    NU_BOUNDS,
    Expectation,
    NumpyPull,
    Pull,
    degrees_of_freedom,
    expectation_of,
    numpy_expectation,
)
from decortex.clustering.multistart import best_starts, subsample
from decortex.clustering.result import ClusteringResult
from decortex.clustering.rotation import check_orientations, shift_kmeans
from decortex.distances import robust_centre, typical_variance
from decortex.errors import InputError

FIRST_NU = 4.0
CANCELLED = 1e-8  # scale over second moment: below it the difference of moments has lost its digits


class TMixtureConfig(BackendConfig):
    """Parameters of the t mixture."""

    covariance: Literal["diag", "full"] = Field("diag", description="shape of the components' scale matrices")
    nu: float | Literal["estimated"] = Field(
        "estimated",
        description="degrees of freedom: a fixed number of at least 0.5, or estimated per component",
    )
    reg: float = Field(
        1e-6, ge=0, description="added to every variance, as a share of the embedding's typical variance"
    )
    n_init: int = Field(10, ge=1, description="starts (each from its own k-means) of short runs")
    n_short: int = Field(
        20,
        ge=1,
        description="EM iterations of a short run; the worse half of the starts ends after a quarter",
    )
    n_refined: int = Field(2, ge=1, description="best short runs that go on until they converge")
    max_iter: int = Field(1000, ge=1, description="EM iterations")
    tol: float = Field(1e-6, gt=0, description="stop when the mean log-likelihood rises by less (nats)")
    n_screen: int = Field(
        10_000, ge=100, description="above this many neurons, short runs see a subsample of this size"
    )

    def model_post_init(self, _: object) -> None:
        """Check the bound that a union of types cannot carry."""
        if self.nu != "estimated" and not self.nu >= NU_BOUNDS[0]:
            raise ValueError(f"nu should be 'estimated' or at least {NU_BOUNDS[0]}, but is {self.nu}")


class RotationTMixtureConfig(TMixtureConfig):
    """Parameters of the rotation-invariant t mixture."""

    covariance: Literal["diag"] = Field("diag", description="shape of the components' scale matrices")
    n_orientations: int = Field(8, ge=1, description="O; features are ordered o F + f")
    n_init: int = Field(
        20, ge=1, description="starts (each from its own shift-invariant k-means) of short runs"
    )


@dataclass(frozen=True)
class Run:
    """One run of EM.

    Parameters
    ----------
    mixture : Mixture
        Parameters after the last M step.
    log_likelihoods : tuple of float
        Mean log-likelihood (nats per neuron) at every E step.
    converged : bool
        Whether the last rise was below the tolerance.
    """

    mixture: Mixture
    log_likelihoods: tuple[float, ...]
    converged: bool


def run_em(
    x: FloatArray,
    mixture: Mixture,
    config: TMixtureConfig,
    max_iter: int,
    *,
    expectation: Expectation = numpy_expectation,
) -> Run:
    """Iterate E and M steps from these parameters.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Neurons.
    mixture : Mixture
        Where to start.
    config : TMixtureConfig
        nu, regularisation, tolerance.
    max_iter : int
        Iterations at most.
    expectation : Expectation
        What takes the E step.

    Returns
    -------
    Run
    """
    history: list[float] = []
    for _ in range(max_iter):
        mixture, log_likelihood = em_step(x, mixture, config, expectation=expectation)
        history.append(log_likelihood)
        if len(history) > 1 and history[-1] - history[-2] < config.tol:
            return Run(mixture, tuple(history), converged=True)
    return Run(mixture, tuple(history), converged=False)


def em_step(
    x: FloatArray, mixture: Mixture, config: TMixtureConfig, *, expectation: Expectation = numpy_expectation
) -> tuple[Mixture, float]:
    """One E and one M step; also the mean log-likelihood of the parameters that came in."""
    n_features, n_orientations = x.shape[1], mixture.n_orientations
    assert mixture.nu is not None
    rolled = Mixture(
        centres=rolls(mixture.centres, n_orientations),
        scales=rolls(mixture.scales, n_orientations),
        weights=np.repeat(mixture.weights / n_orientations, n_orientations),
        nu=np.repeat(mixture.nu, n_orientations),
    )
    pull, mass, spread, log_likelihood = expectation(x, rolled)
    mass = mass.reshape(-1, n_orientations).sum(axis=1)
    estimated = config.nu == "estimated"
    nu = degrees_of_freedom(mass, spread, mixture.nu, n_features) if estimated else mixture.nu
    new = replace(mixture, weights=mass / len(x), nu=nu)
    return _locate(pull, n_features, new, config), log_likelihood


def _locate(pull: Pull, n_features: int, mixture: Mixture, config: TMixtureConfig) -> Mixture:
    """M step of locations and scales for pull = tau u, (n_neurons, n_clusters * O)."""
    n_clusters, n_orientations = len(mixture.weights), mixture.n_orientations
    tiny = np.finfo(np.float64).tiny
    strength = np.maximum(pull.strength().reshape(n_clusters, n_orientations).sum(axis=1), tiny)[:, None]
    offset = _turned_back(pull.first(), n_orientations) / strength
    if config.covariance == "diag":
        squares = _turned_back(pull.squares(), n_orientations) / strength
        scales = squares - offset**2
        for lost in np.flatnonzero((scales < CANCELLED * squares).any(axis=1)):
            scales[lost] = _squares_around(pull, int(lost), offset[lost], n_orientations) / strength[lost]
        scales = np.maximum(scales, 0) + config.reg
    else:
        scales = np.empty((n_clusters, n_features, n_features))
        for j in range(n_clusters):
            scales[j] = pull.scatter(j, offset[j]) / strength[j]
            scales[j].flat[:: n_features + 1] += config.reg
    empty = mixture.weights <= tiny  # keeps its place, with weight 0
    where = empty.reshape((-1,) + (1,) * (scales.ndim - 1))
    return replace(
        mixture,
        centres=np.where(empty[:, None], mixture.centres, offset),
        scales=np.where(where, mixture.scales, scales),
    )


def _squares_around(pull: Pull, cluster: int, offset: FloatArray, n_orientations: int) -> FloatArray:
    """Sum over neurons and rolls of pull times squared differences from a cluster's location, (n_features,)."""
    total = np.zeros(len(offset))
    for o in range(n_orientations):
        rolled = np.roll(offset.reshape(n_orientations, -1), o, axis=0).ravel()
        sums = pull.squares_around(cluster * n_orientations + o, rolled)
        total += np.roll(sums.reshape(n_orientations, -1), -o, axis=0).ravel()
    return total


def _orientation_centre(x: FloatArray, n_orientations: int) -> FloatArray:
    """Median of every feature, the same for every roll, (n_features,)."""
    if n_orientations == 1:
        return robust_centre(x)
    features = robust_centre(x.reshape(len(x) * n_orientations, -1))
    return np.tile(features, n_orientations)


def _turned_back(sums: FloatArray, n_orientations: int) -> FloatArray:
    """Roll the sums of (j, o) by -o and add them over o, (n_clusters, n_features)."""
    if n_orientations == 1:
        return sums
    folded = sums.reshape(-1, n_orientations, n_orientations, sums.shape[1] // n_orientations)
    back = sum(np.roll(folded[:, o], -o, axis=1) for o in range(n_orientations))
    turned: FloatArray = np.asarray(back).reshape(len(folded), -1)
    return turned


def first_mixture(
    x: FloatArray, labels: NDArray[np.int64], n_clusters: int, config: TMixtureConfig
) -> Mixture:
    """Mixture of a partition of aligned neurons: means, variances (plus reg), proportions."""
    nu = FIRST_NU if config.nu == "estimated" else float(config.nu)
    share = np.eye(n_clusters)[labels]
    seed = Mixture(
        centres=np.zeros((n_clusters, x.shape[1])),
        scales=np.ones((n_clusters, x.shape[1]))
        if config.covariance == "diag"
        else np.repeat(np.eye(x.shape[1])[None], n_clusters, axis=0),
        weights=share.mean(axis=0),
        nu=np.full(n_clusters, nu),
    )
    located = _locate(NumpyPull(x, share), x.shape[1], seed, config)
    floor = max(typical_variance(x) * 1e-3, config.reg)  # a cluster of one neuron has no variance
    if config.covariance == "diag":
        return replace(located, scales=np.maximum(located.scales, floor))
    return replace(located, scales=located.scales + floor * np.eye(x.shape[1]))


def fit_tmixture(
    x: FloatArray, config: TMixtureConfig, n_clusters: int, seed: int, *, device: str | None = None
) -> ClusteringResult:
    """Maximise the mean log-likelihood of a t mixture.

    All starts run a quarter of `n_short` EM iterations and the better half of them the rest (on a subsample of many
    neurons); the best go on until they converge (Biernacki, Celeux & Govaert 2003). Every second start leaves far
    neurons out of its k-means. Which start is best is judged by likelihood alone.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Finite.
    config : TMixtureConfig or RotationTMixtureConfig
        Scale matrices, degrees of freedom, starts.
    n_clusters, seed : int
        Together they determine every random number.
    device : str, optional
        Torch device, where the configuration asks for torch.

    Returns
    -------
    ClusteringResult
        ``objective`` is minus the mean log-likelihood; parameters: ``centres``, ``scales``, ``weights``, ``nu``,
        and for the rotation-invariant mixture ``n_orientations`` and ``shifts``.
    """
    n_clusters = check_n_clusters(n_clusters, len(x))
    rng = generator(seed, n_clusters)
    expectation = expectation_of(config, device)
    rotating = isinstance(config, RotationTMixtureConfig)
    n_orientations = config.n_orientations if isinstance(config, RotationTMixtureConfig) else 1
    middle = _orientation_centre(x, n_orientations)
    near = x - middle
    config = config.model_copy(update={"reg": config.reg * typical_variance(x)})
    sample = subsample(near, n_clusters, config.n_screen, rng)
    seen = near if sample is None else sample
    starts = []
    for start in range(config.n_init):
        if rotating:
            labels, aligned = shift_kmeans(seen, n_clusters, n_orientations, rng)
        else:
            labels, aligned = _kmeans_labels(seen, n_clusters, rng, trimmed=bool(start % 2)), seen
        first = replace(first_mixture(aligned, labels, n_clusters, config), n_orientations=n_orientations)
        starts.append(first)
    starts = _short_runs(seen, starts, config, expectation)
    chosen = best_starts(
        starts, lambda start: -em_step(near, start, config, expectation=expectation)[1], config.n_refined
    )
    runs = [run_em(near, start, config, config.max_iter, expectation=expectation) for start in chosen]
    best = max(runs, key=lambda run: run.log_likelihoods[-1])
    count = n_parameters(n_clusters, x.shape[1], config.covariance)
    return mixture_result(
        MixtureFit(
            method="rotation_tmixture" if rotating else "tmixture",
            seed=seed,
            mixture=replace(best.mixture, centres=best.mixture.centres + middle),
            n_iterations=len(best.log_likelihoods),
            converged=best.converged,
            n_parameters=count + (n_clusters if config.nu == "estimated" else 0),
        ),
        x,
    )


def _short_runs(
    x: FloatArray, starts: list[Mixture], config: TMixtureConfig, expectation: Expectation
) -> list[Mixture]:
    """Every start runs a quarter of the short run, the better half the rest; returned are the mixtures of that half.

    Raises
    ------
    InputError
        If every start ends in a singular scale matrix.
    """
    runs, singular = [], None
    n_first = max(1, config.n_short // 4)
    for start in starts:
        try:
            runs.append(run_em(x, start, config, n_first, expectation=expectation))
        except InputError as error:  # a far neuron in the wrong cluster: this start has lost, others may not
            singular = error
    if not runs and singular is not None:
        raise singular
    runs.sort(key=lambda run: -run.log_likelihoods[-1])
    better = runs[: max(config.n_refined, -(-len(runs) // 2))]
    n_rest = config.n_short - n_first
    if not n_rest:
        return [run.mixture for run in better]
    return [run_em(x, run.mixture, config, n_rest, expectation=expectation).mixture for run in better]


def _kmeans_labels(
    x: FloatArray, n_clusters: int, rng: np.random.Generator, *, trimmed: bool
) -> NDArray[np.int64]:
    """Labels of one k-means; trimmed: its centres come from the neurons nearest to the median, 90 % of them.

    Otherwise a few far neurons, which a t mixture should not mind, take whole clusters of every start.
    """
    core = x
    if trimmed:
        away = np.linalg.norm(x - np.median(x, axis=0), axis=1)
        core = x[np.argsort(away, kind="stable")[: max(n_clusters, round(0.9 * len(x)))]]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct neurons than K: see status
        fitted = KMeans(n_clusters, n_init=1, random_state=sklearn_state(rng)).fit(core)
    found: NDArray[np.int64] = fitted.predict(x).astype(np.int64)
    return found


def prepare(points: Points, config: TMixtureConfig) -> Fitter:
    """Return the fitter of these neurons."""
    if isinstance(config, RotationTMixtureConfig):
        check_orientations(points.values, config.n_orientations)
    return partial(fit_tmixture, points.values, config, device=points.device)


TMIXTURE = Method(
    name="tmixture",
    summary="Student-t mixture by EM, robust to outlying neurons",
    cited="a mixture of Student t distributions (Peel & McLachlan 2000)",
    config=TMixtureConfig,
    algorithm_version=2,
    prepare=prepare,
    scores=mixture_scores,
    posterior=posterior,
    presets={"tmixture": {}, "tmixture nu 2.1": {"nu": 2.1}},
)

ROTATION_TMIXTURE = Method(
    name="rotation_tmixture",
    summary="t mixture whose components are defined up to a roll of orientation (shift-EM)",
    cited="a rotation-invariant mixture of Student t distributions",
    config=RotationTMixtureConfig,
    algorithm_version=2,
    prepare=prepare,
    scores=mixture_scores,
    posterior=posterior,
    presets={"rotation tmixture": {}},
)
