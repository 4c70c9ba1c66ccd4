"""SEC and LDMGI as losses: against their equations written out, the methods' own matrices, and a known answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.clustering.graph.ldmgi import laplacian
from decortex.clustering.graph.neighbours import Neighbours
from decortex.clustering.graph.sec import SECProblem
from decortex.errors import ConfigError
from decortex.evaluation.agreement import matched_confusion
from decortex.finetune import FinetuneConfig, build_term
from decortex.finetune.losses import StartPoints, embedded_cut, local_discriminant, neighbours_of
from decortex.finetune.losses.graph import GraphTerm, LocalDiscriminants, affinities, discriminants

K = 3


def identity(weights: torch.Tensor) -> torch.Tensor:
    return weights


@pytest.fixture
def cloud() -> tuple[torch.Tensor, torch.Tensor]:
    """30 points in three loose groups, one of them labelled wrongly in part."""
    rng = np.random.default_rng(4)
    truth = np.repeat(np.arange(K), 10)
    points = rng.normal(size=(30, 4)) + 2.0 * np.eye(4)[truth]
    labels = truth.copy()
    labels[[3, 17]] = [2, 0]
    return torch.as_tensor(points), torch.as_tensor(labels)


def known_neighbours(points: torch.Tensor, width: int) -> Neighbours:
    distances = np.linalg.norm(points.numpy()[:, None] - points.numpy()[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    indices = np.argsort(distances, axis=1, kind="stable")[:, :width]
    return Neighbours(indices.astype(np.int32), np.take_along_axis(distances, indices, axis=1))


def slow_cut(
    points: np.ndarray, labels: np.ndarray, width: int, mu: float, gamma: float, scale: np.ndarray
) -> float:
    """tr(F'(Lt + mu Lg)F)/K neuron by neuron; scales and pairs of neighbours are those of the graph."""
    n, d = points.shape
    near = known_neighbours(torch.as_tensor(points), width).indices
    A = np.zeros((n, n))
    for i in range(n):
        for j in near[i]:
            A[i, j] = A[j, i] = np.exp(-np.sum((points[i] - points[j]) ** 2) / (scale[i] * scale[j]))
    D = A.sum(axis=1)
    Lt = np.eye(n) - A / np.sqrt(np.outer(D, D))
    H = np.eye(n) - 1 / n
    X = points.T @ H
    Lg = H - X.T @ np.linalg.inv(X @ X.T + gamma * np.eye(d)) @ X
    F = np.zeros((n, K))
    for i in range(n):
        F[i, labels[i]] = np.sqrt(D[i] / D[labels == labels[i]].sum())
    np.testing.assert_allclose(F.T @ F, np.eye(K), atol=1e-12)
    return float(np.trace(F.T @ (Lt + mu * Lg) @ F) / K)


def slow_discriminant(points: np.ndarray, labels: np.ndarray, cliques: np.ndarray, lam: float) -> float:
    """lambda tr(F' sum_i S_i L_i S_i' F)/(K k) with every matrix formed."""
    n, k = len(points), cliques.shape[1]
    H = np.eye(k) - 1 / k
    L = np.zeros((n, n))
    for clique in cliques:
        Xi = points[clique].T
        S = np.zeros((n, k))
        S[clique, np.arange(k)] = 1
        L += S @ H @ np.linalg.inv(H @ Xi.T @ Xi @ H + lam * np.eye(k)) @ H @ S.T
    F = np.eye(K)[labels] / np.sqrt(np.bincount(labels))
    return float(lam * np.trace(F.T @ L @ F) / (K * k))


def gradient_matches(loss, points: torch.Tensor) -> None:
    points = points.clone().requires_grad_(True)
    loss(points).backward()
    step = 1e-6
    for i, feature in ((0, 0), (3, 2), (17, 1), (29, 3)):
        ends = []
        for sign in (1, -1):
            moved = points.detach().clone()
            moved[i, feature] += sign * step
            ends.append(float(loss(moved)))
        assert float(points.grad[i, feature]) == pytest.approx(
            (ends[0] - ends[1]) / (2 * step), rel=1e-4, abs=1e-8
        )


@pytest.mark.parametrize("mu", [0.0, 0.7])
def test_the_embedded_cut_is_secs_objective(cloud, mu):
    points, labels = cloud
    graph = neighbours_of(points, 5)

    def loss(z: torch.Tensor) -> torch.Tensor:
        return embedded_cut(z, labels, graph, n_clusters=K, mu=mu, gamma=0.5)

    slow = slow_cut(points.numpy(), labels.numpy(), 5, mu, 0.5, graph[2].numpy())
    assert float(loss(points)) == pytest.approx(slow, rel=1e-10)
    gradient_matches(loss, points)
    # The same from the matrix that the method's solver applies.
    near = known_neighbours(points, 5)
    problem = SECProblem(points.numpy(), near, mu, 0.5)
    weights = affinities(points, graph)
    degree = weights.sum(dim=1).index_add(0, graph[0].flatten(), weights.flatten()).numpy()
    F = np.eye(K)[labels] * np.sqrt(degree)[:, None]
    F /= np.linalg.norm(F, axis=0)
    assert float(loss(points)) == pytest.approx(np.trace(F.T @ problem.product(F)) / K, rel=1e-8)


def test_local_discriminants_are_ldmgis_objective(cloud):
    points, labels = cloud
    indices = neighbours_of(points, 4)[0]
    cliques = torch.cat([torch.arange(len(points))[:, None], indices], dim=1)

    def loss(z: torch.Tensor) -> torch.Tensor:
        return local_discriminant(z, labels, cliques, n_clusters=K, lam=0.6)

    slow = slow_discriminant(points.numpy(), labels.numpy(), cliques.numpy(), 0.6)
    assert float(loss(points)) == pytest.approx(slow, rel=1e-10)
    gradient_matches(loss, points)
    F = np.eye(K)[labels] / np.sqrt(np.bincount(labels))
    L = laplacian(points.numpy(), known_neighbours(points, 4), 0.6)
    assert float(loss(points)) == pytest.approx(0.6 * np.trace(F.T @ (L @ F)) / (K * 5), rel=1e-8)


def test_neighbours_are_the_methods_own_and_every_pair_counts_once(cloud):
    points, _ = cloud
    indices, counted, scale = neighbours_of(points, 5)
    near = known_neighbours(points, 5)
    np.testing.assert_array_equal(indices, near.indices)
    np.testing.assert_allclose(scale, near.distances[:, -1])
    pairs = [tuple(sorted((i, int(indices[i, place])))) for i, place in counted.nonzero().tolist()]
    assert sorted(pairs) == sorted({tuple(sorted((i, int(j)))) for i in range(30) for j in indices[i]})
    twins = torch.zeros(4, 2)
    assert neighbours_of(twins, 2)[2].tolist() == [1.0] * 4


@pytest.mark.parametrize("kind", ["sec", "ldmgi"])
def test_descent_separates_what_the_labels_say_and_the_method_finds_it_again(kind):
    """Two overlapping types, labels from the truth: the cut becomes cheaper and clusters stand apart."""
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1], 40)
    points = torch.as_tensor(rng.normal(size=(80, 3)) + 1.5 * truth[:, None], dtype=torch.float32)
    before = fit(points.double().numpy(), kind, n_clusters=2, seed=0, n_neighbors=10).labels
    start = StartPoints(points, torch.as_tensor(truth), 2)
    term = build_term(identity, start, FinetuneConfig(kind=kind, n_neighbors=10))
    weights = points.clone().requires_grad_(True)
    optimiser = torch.optim.Adam([weights], lr=0.02)
    first = float(term.loss(points))
    for _ in range(60):
        optimiser.zero_grad()
        term.loss(weights).backward()
        optimiser.step()
    last = float(term.loss(weights.detach()))
    assert 0 < last < 0.7 * first
    after = fit(weights.detach().double().numpy(), kind, n_clusters=2, seed=0, n_neighbors=10).labels
    assert adjusted_rand_score(truth, after) > adjusted_rand_score(truth, before) + 0.2


@pytest.mark.parametrize("kind", ["sec", "ldmgi"])
def test_labels_are_the_partition_until_the_method_makes_it_anew(kind, cloud):
    points, labels = (one.float() if one.is_floating_point() else one for one in cloud)
    term = build_term(identity, StartPoints(points, labels, K), FinetuneConfig(kind=kind, n_neighbors=6))
    assert isinstance(term, GraphTerm)
    torch.testing.assert_close(term.log_q(points).exp().sum(dim=1), torch.ones(30))
    torch.testing.assert_close(term.log_q(points).argmax(dim=1), labels)
    assert not term.start_epoch(points, 1)
    assert term.start_epoch(points, 2)
    expected = fit(
        points.double().numpy(), kind, n_clusters=K, seed=2, n_neighbors=6, **own_parameters(kind)
    ).labels
    assert adjusted_rand_score(expected, term.log_q(points).argmax(dim=1).numpy()) == 1
    # Clusters keep their numbers: as many neurons as in the best matching are where they were.
    kept = float((term.members == labels).double().mean())
    assert kept == pytest.approx(matched_confusion(expected, labels.numpy()).share)
    held = build_term(
        identity, StartPoints(points, labels, K), FinetuneConfig(kind=kind, n_neighbors=6, restart_every=0)
    )
    assert not held.start_epoch(points, 2)
    torch.testing.assert_close(held.members, labels)
    assert term.cluster_parameters(points, np.arange(K))["centres"].shape == (K, 4)


def own_parameters(kind: str) -> dict[str, float]:
    config = FinetuneConfig(kind=kind)
    return {"lam": config.lam} if kind == "ldmgi" else {"mu": config.mu, "gamma": config.gamma}


def test_new_fits_are_the_default_and_never_is_another_variant():
    for kind in ("sec", "ldmgi"):
        usual = FinetuneConfig.from_params({"kind": kind})
        assert usual.resolved()["restart_every"] == 1
        assert FinetuneConfig.from_params(usual.resolved()) == usual
        never = FinetuneConfig.from_params({"kind": kind, "restart_every": 0})
        assert FinetuneConfig.from_params(never.resolved()).restart_every == 0
    with pytest.raises(ConfigError, match="does not use lam"):
        FinetuneConfig.from_params({"kind": "sec", "lam": 2.0})
    with pytest.raises(ConfigError, match="does not use mu"):
        FinetuneConfig.from_params({"kind": "ldmgi", "mu": 2.0})


def test_cliques_in_parts_give_what_they_give_at_once(cloud, monkeypatch):
    points, labels = cloud
    cliques = torch.cat([torch.arange(len(points))[:, None], neighbours_of(points, 4)[0]], dim=1)

    def evaluated() -> tuple[torch.Tensor, torch.Tensor]:
        return LocalDiscriminants(points, labels, cliques, n_clusters=K, lam=0.6).evaluate(points)

    whole = evaluated()
    monkeypatch.setattr(discriminants, "PART", 4 * 5**2)  # four cliques at a time, the last part is smaller
    monkeypatch.setattr(discriminants, "CHUNK", 11 * 5**2)  # and eleven in a block
    for one, other in zip(evaluated(), whole, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-12, atol=1e-15)


def test_cliques_within_one_cluster_cost_nothing_and_are_left_out(cloud):
    points, labels = cloud
    cliques = torch.tensor([[0, 1, 2], [10, 11, 12], [2, 3, 4]])  # neuron 3 is labelled otherwise
    objective = LocalDiscriminants(points, labels, cliques, n_clusters=K, lam=1.0)
    assert [len(part.mixing) for parts, _ in objective.blocks for part in parts] == [1]
    assert float(objective(points)) > 0
    pure = points.clone().requires_grad_(True)
    nothing = local_discriminant(pure, labels, cliques[:2], n_clusters=K, lam=1.0)
    nothing.backward()
    assert not nothing.detach()
    assert not pure.grad.any()


@pytest.mark.parametrize("kind", ["sec", "ldmgi"])
def test_the_loss_follows_what_is_written_to_the_term(kind, cloud):
    """Labels come back with a state that is restored, scales with a running average: both are written in place."""
    points, labels = cloud
    start = StartPoints(points, labels, K)
    term, other = (build_term(identity, start, FinetuneConfig(kind=kind, n_neighbors=6)) for _ in range(2))
    before = term.loss(points)
    other.members.copy_(labels.roll(1))
    other.scale.mul_(2)
    term.load_state_dict(other.state_dict())
    assert float(term.loss(points)) == float(other.loss(points)) != float(before)
