"""The result of a graph method: labels, criterion, status, diagnostics; and votes for new neurons."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.clustering.graph.basis import Basis
from decortex.clustering.graph.discretise import Discretisation
from decortex.clustering.graph.eigen import BlockMap
from decortex.clustering.graph.neighbours import nearest_among
from decortex.clustering.inputs import FloatArray
from decortex.clustering.result import ClusteringResult, FitStatus, canonical_order, relabel
from decortex.errors import InputError

LARGEST_SHARE = 0.9


@dataclass(frozen=True)
class GraphFit:
    """What a graph method hands over for one K and seed.

    Parameters
    ----------
    method : str
        Its name.
    n_clusters, seed : int
        Key of the fit.
    basis : Basis
        Eigenpairs; the first K were discretised.
    found : Discretisation
        Labels in any numbering.
    criterion : callable
        Product with the method's matrix M.
    copies : ndarray of int64, shape (n_neurons,), or None
        Equal neurons have equal numbers, see `group_copies`; None where no two are equal.
    """

    method: str
    n_clusters: int
    seed: int
    basis: Basis
    found: Discretisation
    criterion: BlockMap
    copies: NDArray[np.int64] | None


def graph_result(
    fit: GraphFit, x: FloatArray, parameters: Callable[[NDArray[np.int64]], Mapping[str, FloatArray]]
) -> ClusteringResult:
    """Assemble the result.

    ``objective`` is tr(G' M G) for the normalised indicators G = Y (Y'Y)^-1/2: the method's own criterion at
    the labels it returns. Equal neurons share one label, the most frequent of theirs. Status: 'empty_cluster' if fewer
    than K clusters hold a neuron; 'not_converged' if solver or discretisation did not; 'fragmented' if one of several
    clusters holds over 90 % of the neurons; 'ok'.

    Parameters
    ----------
    fit : GraphFit
        Basis and labels.
    x : ndarray, shape (n_neurons, n_features)
        Neurons; ``centres`` are their means (NaN for an empty cluster).
    parameters : callable
        order -> further parameters; ``order[new] = old`` is the canonical order of clusters.

    Returns
    -------
    ClusteringResult
    """
    k, basis = fit.n_clusters, fit.basis
    found = one_label_each(fit.found.labels, fit.copies)
    order = canonical_order(found, k)
    labels = relabel(found, order)
    sizes = np.bincount(labels, minlength=k)
    indicator = np.zeros((len(x), k))
    indicator[np.arange(len(x)), labels] = 1 / np.sqrt(np.maximum(sizes, 1))[labels]
    sums = np.stack([np.bincount(labels, weights=feature, minlength=k) for feature in x.T], axis=1)
    share = float(sizes.max() / len(x))
    converged = bool(basis.converged[:k].all()) and fit.found.converged
    residual = float(basis.residuals[:k].max())
    status: FitStatus = "ok"
    if not sizes.all():
        status = "empty_cluster"
    elif not converged:
        status = "not_converged"
    elif k > 1 and share > LARGEST_SHARE:
        status = "fragmented"
    diagnostics = {
        "n_components": float(basis.n_components),
        "largest_share": share,
        "residual": residual,
        "relative_residual": residual / basis.norm if basis.norm > 0 else 0.0,
        "multiplicity": float(basis.multiplicity),
        "relaxed_objective": float(basis.values[:k].sum()),
        "discretisation_objective": fit.found.objective,
    }
    if k < len(basis.values):
        diagnostics["eigengap"] = float(basis.values[k] - basis.values[k - 1])
    return ClusteringResult(
        method=fit.method,
        labels=labels,
        n_clusters=k,
        seed=fit.seed,
        objective=float(np.einsum("nk,nk->", indicator, fit.criterion(indicator))),
        n_iterations=basis.n_iterations,
        converged=converged,
        status=status,
        parameters={"centres": sums / np.where(sizes > 0, sizes, np.nan)[:, None], **parameters(order)},
        diagnostics=diagnostics,
    )


def one_label_each(labels: NDArray[np.int64], copies: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """Give equal neurons the label that most of them have, of equally frequent ones the lowest.

    The eigenvectors' entries of equal neurons differ where their neighbours do, and in eigenspaces that only
    tell copies apart: neither is a reason to split them.
    """
    if copies is None:
        return labels
    table = contingency_of(copies, labels)
    found: NDArray[np.int64] = table.argmax(axis=1)[copies]
    return found


def contingency_of(copies: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """Neurons of every group of copies that have each label, (n_groups, n_labels)."""
    width = int(labels.max()) + 1
    counts = np.bincount(copies * width + labels, minlength=(int(copies.max()) + 1) * width)
    return counts.reshape(-1, width)


def neighbour_scores(result: ClusteringResult, x_new: FloatArray, x: FloatArray | None) -> FloatArray:
    """Votes of the nearest clustered neurons for every cluster; equal votes go to the nearer ones.

    Raises
    ------
    InputError
        If the clustered neurons are not given, or are not those of the result.
    """
    if x is None or len(x) != len(result.labels):
        given = "none were given" if x is None else f"{len(x)} were given"
        raise InputError(
            f"{result.method} assigns new neurons by their neighbours among the {len(result.labels)} clustered "
            f"ones, but {given}. Pass them: predict(result, x_new, x=x)."
        )
    nearest = nearest_among(x, x_new, int(result.parameters["n_neighbors"].item()))
    width = nearest.shape[1]
    votes = np.zeros((len(x_new), result.n_clusters))
    weights = 1 + 1e-6 * np.arange(width, 0, -1)
    for rank in range(width):
        votes[np.arange(len(x_new)), result.labels[nearest[:, rank]]] += weights[rank]
    return votes
