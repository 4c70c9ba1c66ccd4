r"""The densest path between two groups: where it is least dense, and how dense it is there.

A straight line between the centres of two bent groups may cross empty space that the neurons go round. The path
stays among the neurons: nodes and short edges between them, each as dense as its emptiest point, and of all paths from
the densest node of one group to that of the other the one whose least dense point is densest. On a band, sheet,
ring or sphere it finds the way round, and its least dense point is about as dense as the groups. Everything is chosen
on training neurons; held-out neurons are counted in two balls, at the least dense point and at the sparser mode.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation.splits.evidence import valley_p
from decortex.evaluation.splits.subclusters import kmeans

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

_N_DIMENSIONS = 4
_PER_NODE, _FEWEST_NODES, _MOST_NODES = 15, 4, 30
_N_EDGES, _POINTS_PER_EDGE = 6, 7
# The ball holds about this share of the smaller group, at a typical place of it.
_SHARES, _FEWEST, _MOST = (0.25, 0.15, 0.10, 0.06), 6, 80
_STEPS = np.arange(1, _POINTS_PER_EDGE + 1) / (_POINTS_PER_EDGE + 1)


@dataclass(frozen=True)
class DensityPath:
    """Two balls in a plane of few dimensions, chosen on training neurons.

    Parameters
    ----------
    origin, axes : ndarray, shape (n_features,), (n_features, n_dimensions)
        `(x - origin) @ axes` are the coordinates.
    saddle, mode : ndarray, shape (n_dimensions,)
        Least dense point of the densest path, and densest node of the sparser group.
    radius : float
    p : float
        Of the valley on the training neurons.
    """

    origin: FloatArray
    axes: FloatArray
    saddle: FloatArray
    mode: FloatArray
    radius: float
    p: float

    def count(self, x: FloatArray) -> NDArray[np.bool_]:
        """Which neurons lie in the ball at the saddle only, and in that at the mode only, shape (2, n_neurons)."""
        near = _in_balls((x - self.origin) @ self.axes, self.saddle, self.mode, self.radius)
        return near & ~near[::-1]


def density_path(x: FloatArray, second: NDArray[np.bool_], rng: np.random.Generator) -> DensityPath | None:
    """Choose the densest path between two groups.

    Parameters
    ----------
    x : ndarray, shape (n_neurons, n_features)
        Training neurons of the two groups, whitened.
    second : ndarray of bool, shape (n_neurons,)
        Which are of the second group; both groups hold a neuron.

    Returns
    -------
    DensityPath or None
        None where the groups have one centre, or no radius gives a path.
    """
    means = [x[second == side].mean(axis=0) for side in (False, True)]
    axes = _axes(x, means[1] - means[0])
    if axes is None:
        return None
    origin = means[0]
    at = (x - origin) @ axes
    n_nodes = int(np.clip(len(x) // _PER_NODE, _FEWEST_NODES, _MOST_NODES))
    nodes, _ = kmeans(at, min(n_nodes, len(x)), rng, n_starts=1)
    nodes = np.concatenate([nodes, [(mean - origin) @ axes for mean in means]])
    edges = _nearest_edges(nodes)
    inside = nodes[edges[:, 0], None] + _STEPS[:, None] * (nodes[edges[:, 1]] - nodes[edges[:, 0]])[:, None]
    graph = _Graph(
        at,
        second,
        nodes,
        edges,
        inside,
        _squared_distances(nodes, at),
        _squared_distances(inside.reshape(-1, at.shape[1]), at),
    )
    best: tuple[float, DensityPath] | None = None
    for radius in _radii(at[second] if second.sum() < len(x) / 2 else at[~second]):
        balls = _balls(graph, radius)
        if balls is None:
            continue
        p, saddle, mode = balls
        if best is None or p < best[0]:
            best = p, DensityPath(origin, axes, saddle, mode, radius, p)
    return best[1] if best else None


@dataclass(frozen=True)
class _Graph:
    """Neurons, nodes, edges, the points inside every edge, and squared distances of both to the neurons."""

    at: FloatArray
    second: NDArray[np.bool_]
    nodes: FloatArray
    edges: IntArray
    inside: FloatArray
    to_nodes: NDArray[np.float32]
    to_edges: NDArray[np.float32]


def _axes(x: FloatArray, line: FloatArray) -> FloatArray | None:
    """The line between the means, and the leading principal axes across it."""
    length = float(np.linalg.norm(line))
    if not length > 0:
        return None
    line = line / length
    n_across = min(_N_DIMENSIONS, x.shape[1]) - 1
    across = x - x.mean(axis=0)
    across = across - (across @ line)[:, None] * line
    _, vectors = np.linalg.eigh(across.T @ across)
    return np.concatenate([line[:, None], vectors[:, ::-1][:, :n_across]], axis=1)


def _squared_distances(points: FloatArray, x: FloatArray) -> NDArray[np.float32]:
    """From every point to every neuron, in float32: they are only compared with a radius."""
    a, b = points.astype(np.float32), x.astype(np.float32)
    squared: NDArray[np.float32] = (a**2).sum(axis=1)[:, None] - 2 * a @ b.T + (b**2).sum(axis=1)
    return squared


def _nearest_edges(nodes: FloatArray) -> IntArray:
    squared = ((nodes[:, None] - nodes[None]) ** 2).sum(axis=2)
    np.fill_diagonal(squared, np.inf)
    near = np.argsort(squared, axis=1, kind="stable")[:, :_N_EDGES]
    pairs = np.stack([np.repeat(np.arange(len(nodes)), near.shape[1]), near.ravel()], axis=1)
    edges: IntArray = np.unique(np.sort(pairs, axis=1), axis=0)
    return edges


def _radii(smaller: FloatArray) -> list[float]:
    """Median distance to the m-th neighbour inside the smaller group, for several m, the largest first."""
    squared = ((smaller[:, None] - smaller[None]) ** 2).sum(axis=2) if len(smaller) <= 300 else None
    if squared is None:
        # A regular sample of 300 neurons, among all.
        some = smaller[:: -(-len(smaller) // 300)]
        squared = np.maximum(_squared_distances(some, smaller), 0).astype(float)
    ordered = np.sort(squared, axis=1)
    ranks = dict.fromkeys(int(np.clip(share * len(smaller), _FEWEST, _MOST)) for share in _SHARES)
    radii = (float(np.sqrt(np.median(ordered[:, min(rank, ordered.shape[1] - 1)]))) for rank in ranks)
    return [radius for radius in radii if radius > 0]


def _balls(graph: _Graph, radius: float) -> tuple[float, FloatArray, FloatArray] | None:
    """Saddle and sparser mode at one radius, with the p of their counts on the training neurons."""
    at, nodes, edges = graph.at, graph.nodes, graph.edges
    limit = np.float32(radius**2)
    near = graph.to_nodes <= limit
    density = near.sum(axis=1)
    is_second = 2 * (near & graph.second).sum(axis=1) > density
    modes = []
    for side in (False, True):
        candidates = np.flatnonzero((is_second == side) & (density > 0))
        if not len(candidates):
            return None
        modes.append(int(candidates[density[candidates].argmax()]))
    a, b = modes
    direct = nodes[a] + _STEPS[:, None] * (nodes[b] - nodes[a])
    edges = np.concatenate([edges, [[a, b]]])
    on_edges = (graph.to_edges <= limit).sum(axis=1).reshape(len(graph.edges), -1)
    on_direct = (_squared_distances(direct, at) <= limit).sum(axis=1)
    # An edge is as dense as its emptiest point, ends included.
    profile = np.concatenate([np.concatenate([on_edges, on_direct[None]]), density[edges]], axis=1)
    places = np.concatenate([np.concatenate([graph.inside, direct[None]]), nodes[edges]], axis=1)
    edge = _bottleneck(edges, profile.min(axis=1), (a, b), len(nodes))
    saddle = places[edge, int(profile[edge].argmin())]
    counted = [_in_balls(at, saddle, nodes[mode], radius).sum(axis=1) for mode in modes]
    sparser = int(counted[1][1] < counted[0][1])
    return float(valley_p(*counted[sparser])), saddle, nodes[modes[sparser]]


def _in_balls(at: FloatArray, saddle: FloatArray, mode: FloatArray, radius: float) -> NDArray[np.bool_]:
    """Which neurons lie in the ball at the saddle, and which in that at the mode, shape (2, n_neurons)."""
    return np.stack([((at - centre) ** 2).sum(axis=1) <= radius**2 for centre in (saddle, mode)])


def _bottleneck(edges: IntArray, density: IntArray, ends: tuple[int, int], n_nodes: int) -> int:
    """Least dense edge of the path between two nodes whose least dense edge is densest (maximum spanning tree)."""
    parent = list(range(n_nodes))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for edge in np.argsort(-density, kind="stable"):
        i, j = (root(int(k)) for k in edges[edge])
        parent[i] = j
        if root(ends[0]) == root(ends[1]):
            return int(edge)
    raise AssertionError("the edge between the two nodes is among the edges")
