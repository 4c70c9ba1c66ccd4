"""Assignment of new neurons to a frozen partition: nearest cluster, a conformal p-value, and none of these."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from decortex.clustering import check_orientations, check_points, check_seed
from decortex.errors import InputError
from decortex.evaluation.assignment.config import AssignmentConfig
from decortex.evaluation.assignment.distances import cluster_distances
from decortex.evaluation.assignment.result import Assignment

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]


def assign(
    new: Any,
    reference: Any,
    labels: Any,
    *,
    groups: Any = None,
    seed: int = 0,
    config: AssignmentConfig | None = None,
) -> Assignment:
    """Assign new neurons to the clusters of a frozen partition, or to none of them.

    A neuron's distance to a cluster is the mean over the cluster's nearest reference neurons. Its conformal p-value
    compares that distance with those of the cluster's own reference neurons while their animal is left out, measured to
    the same remaining neurons (cross-conformal prediction, Vovk 2015, Ann. Math. Artif. Intell. 74, 9). A neuron of the
    cluster has p <= alpha in about a share alpha of cases, whatever the shape of the cluster, if animals are alike.

    Parameters
    ----------
    new : array_like, shape (n_new, n_features)
        Embedding of the new neurons, in the space of the reference: a new readout on the same core, mapped alike.
    reference : array_like, shape (n_reference, n_features)
        Embedding of the neurons that were clustered.
    labels : array_like of int, shape (n_reference,)
        Their clusters, by any method; below 0: left out.
    groups : array_like, shape (n_reference,), optional
        Animal (or session) of the reference neurons, left out one by one. New neurons are of another animal, so
        without it the p-values are too sure of themselves.
    seed : int
        Of the folds where there are no groups.
    config : AssignmentConfig, optional

    Returns
    -------
    Assignment
        Label, status, confidence and p-values of every new neuron; coverage and precision that held-out reference
        neurons have.

    Raises
    ------
    InputError
        If arrays do not fit each other, there are fewer than two clusters, or a single group.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> rng = np.random.default_rng(0)
    >>> labels = np.arange(120) % 3
    >>> reference = rng.normal(size=(120, 4)) + 9 * np.eye(3, 4)[labels]
    >>> found = decortex.assign([[9, 0, 0, 0], [40, 40, 0, 0]], reference, labels, groups=np.arange(120) // 30)
    >>> found.labels.tolist()
    [0, -1]
    """
    settings = config or AssignmentConfig()
    check_seed(seed)
    points, old = check_points(new, name="new"), check_points(reference, name="reference")
    if points.shape[1] != old.shape[1]:
        raise InputError(
            f"new neurons have {points.shape[1]} features, the reference has {old.shape[1]}: they are not in one "
            "space. "
            "Fit a readout on the reference network's core, and map it as the reference was mapped."
        )
    check_orientations(old, settings.n_orientations)
    codes, clusters, inside = _codes(labels, len(old))
    folds, n_groups = _folds(groups, inside, settings.n_folds, np.random.default_rng(seed))
    old = old[inside]
    calibrated = calibrate(points, old, codes, folds=folds, n_clusters=len(clusters), settings=settings)
    order, separation = nearest_two(calibrated.new)
    own_order, own_separation = nearest_two(calibrated.held_out)
    right = own_order == codes
    confidence = confidence_of(own_separation, right, separation)
    small = np.bincount(codes[calibrated.measured], minlength=len(clusters)) + 1 < 1 / settings.alpha
    status = statuses(order, separation, calibrated.p, small, settings)
    own_status = statuses(own_order, own_separation, calibrated.held_out_p, small, settings)
    taken = own_status == "assigned"
    return Assignment(
        labels=np.where(status == "assigned", clusters[order], -1),
        status=status,
        nearest=clusters[order],
        confidence=confidence,
        separation=separation,
        p=calibrated.p,
        clusters=clusters,
        small_clusters=tuple(int(k) for k in clusters[small]),
        n_reference=len(old),
        n_groups=n_groups,
        expected_coverage=float(taken.mean()),
        expected_precision=float(right[taken].mean()) if taken.any() else float("nan"),
    )


@dataclass(frozen=True)
class Calibrated:
    """Distances and p-values, of new neurons and of held-out reference neurons.

    Parameters
    ----------
    new : ndarray, shape (n_new, n_clusters)
        Distances to all reference neurons of each cluster.
    p : ndarray, shape (n_new, n_clusters)
    held_out : ndarray, shape (n_reference, n_clusters)
        Distances to the reference neurons of the other folds.
    held_out_p : ndarray, shape (n_reference, n_clusters)
        Compared with the neurons of the other folds, each against the folds other than its own.
    measured : ndarray of bool, shape (n_reference,)
        Neurons whose cluster has neurons in other folds.
    """

    new: FloatArray
    p: FloatArray
    held_out: FloatArray
    held_out_p: FloatArray
    measured: NDArray[np.bool_]


def calibrate(
    new: FloatArray,
    reference: FloatArray,
    codes: IntArray,
    *,
    folds: IntArray,
    n_clusters: int,
    settings: AssignmentConfig,
) -> Calibrated:
    """Leave every fold out: distances of its neurons, and of the new ones, to the remaining neurons.

    The p-value of a new neuron i and cluster k is (1 + sum over folds of the number of neurons j of cluster k in the
    fold with d_j >= d_i) / (1 + n_k), both distances to the neurons of the other folds. A held-out reference neuron is
    compared with the neurons of its cluster in the other folds, as a new one will be.
    """

    def distances(x: FloatArray, to: NDArray[np.bool_]) -> FloatArray:
        return cluster_distances(
            x,
            reference[to],
            codes[to],
            n_clusters,
            n_neighbors=settings.n_neighbors,
            n_orientations=settings.n_orientations,
        )

    held_out = np.full((len(reference), n_clusters), np.inf)
    farther = np.zeros((len(new), n_clusters))
    for fold in np.unique(folds):
        out = folds == fold
        held_out[out] = distances(reference[out], ~out)
        to_rest = distances(new, ~out)
        for k in range(n_clusters):
            members = held_out[out & (codes == k), k]
            members = members[np.isfinite(members)]
            farther[:, k] += (members[None, :] >= to_rest[:, [k]]).sum(axis=1)
    own = held_out[np.arange(len(codes)), codes]
    measured = np.isfinite(own)
    n_measured = np.bincount(codes[measured], minlength=n_clusters)
    held_out_p = np.empty_like(held_out)
    for k in range(n_clusters):
        for fold in np.unique(folds):
            out = folds == fold
            others = own[~out & (codes == k) & measured]
            count = (others[None, :] >= held_out[out][:, [k]]).sum(axis=1)
            held_out_p[out, k] = (1 + count) / (1 + len(others))
    everything = distances(new, np.ones(len(reference), dtype=bool))
    return Calibrated(everything, (1 + farther) / (1 + n_measured), held_out, held_out_p, measured)


def nearest_two(distances: FloatArray) -> tuple[IntArray, FloatArray]:
    """Nearest cluster, and how much farther the second one is as a share of the nearest's distance."""
    order = np.argsort(distances, axis=1, kind="stable")
    rows = np.arange(len(distances))
    first, second = distances[rows, order[:, 0]], distances[rows, order[:, 1]]
    with np.errstate(divide="ignore", invalid="ignore"):
        separation = np.where(first > 0, second / first - 1, np.where(second > 0, np.inf, 0.0))
    return order[:, 0], np.nan_to_num(separation, nan=0.0, posinf=np.inf)


def confidence_of(separations: FloatArray, right: NDArray[np.bool_], of: FloatArray) -> FloatArray:
    """Monotone regression of being right on separation, at the separations ``of``; at most n / (n + 1)."""
    finite = np.isfinite(separations)
    largest = float(separations[finite].max()) if finite.any() else 0.0
    known, asked = np.minimum(separations, largest), np.minimum(of, largest)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(known, right.astype(float))
    highest = len(right) / (len(right) + 1)
    return np.minimum(np.asarray(fitted.predict(asked), dtype=np.float64), highest)


def statuses(
    nearest: IntArray,
    separation: FloatArray,
    p: FloatArray,
    small: NDArray[np.bool_],
    settings: AssignmentConfig,
) -> NDArray[np.str_]:
    """What becomes of every neuron."""
    at = p[np.arange(len(nearest)), nearest]
    status = np.full(len(nearest), "assigned", dtype="<U16")
    status[separation < settings.min_separation] = "ambiguous"
    status[at <= settings.alpha] = "none"
    status[small[nearest]] = "small_cluster"
    return status


def _codes(labels: Any, n_reference: int) -> tuple[IntArray, IntArray, NDArray[np.bool_]]:
    """Clusters from 0, their own numbers, and the neurons that have one."""
    values = np.asarray(labels)
    if values.shape != (n_reference,) or values.dtype.kind not in "iu":
        raise InputError(
            f"labels should be one whole number per reference neuron, shape ({n_reference},), got {values.dtype} of "
            f"shape {values.shape}. Neurons without a cluster have -1."
        )
    inside = values >= 0
    clusters, codes = np.unique(values[inside], return_inverse=True)
    if len(clusters) < 2:
        raise InputError(
            f"the reference has {len(clusters)} clusters; new neurons are assigned to one of at least two."
        )
    return codes.astype(np.int64), clusters.astype(np.int64), inside


def _folds(
    groups: Any, inside: NDArray[np.bool_], n_folds: int, rng: np.random.Generator
) -> tuple[IntArray, int | None]:
    """What calibration leaves out together: groups, or random folds."""
    if groups is None:
        return rng.permutation(np.arange(int(inside.sum())) % n_folds), None
    values = np.asarray(groups)
    if values.shape != inside.shape:
        raise InputError(
            f"groups should be one per reference neuron, shape {inside.shape}, got {values.shape}."
        )
    names, codes = np.unique(values[inside], return_inverse=True)
    if len(names) < 2:
        raise InputError(
            "the reference neurons are of one group, which cannot be left out: give sessions instead of animals, or no "
            "groups; neurons of another animal are then refused less often than they should be."
        )
    return codes.astype(np.int64), len(names)
