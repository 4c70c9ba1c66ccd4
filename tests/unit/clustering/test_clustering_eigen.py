"""The sparse solver against dense ones: eigenvalues, subspaces, multiplicities, residuals."""

import numpy as np
import pytest
from scipy import sparse
from scipy.linalg import subspace_angles

import decortex.clustering.graph.basis as basis_module
from decortex.clustering import MemoryCache, Points, fit
from decortex.clustering.graph import (
    Operator,
    SECProblem,
    basis_size,
    components,
    laplacian,
    nearest_neighbours,
    normalised_affinity,
    smallest_eigenpairs,
    solve_by_component,
)

SIZE = 32


def islands(rng):
    """Five pieces of which two are identical, far apart from each other."""
    piece = rng.normal(size=(150, 6))
    other = rng.normal(size=(370, 6))
    return np.vstack([piece, piece + 100, other[:320] - 200, other[320:] + 400, piece[:14] - 500])


def ring(_):
    angle = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    return np.column_stack([np.sin(angle), np.cos(angle)])


DATA = {
    "islands": islands,
    "duplicates": lambda rng: np.repeat(rng.normal(size=(140, 5)), 3, axis=0),
    "heavy tails": lambda rng: rng.standard_t(1.5, size=(450, 16)),
    "ring": ring,
}


@pytest.fixture(params=DATA)
def x(request):
    return DATA[request.param](np.random.default_rng(1))


def compare(values, vectors, dense):
    """Eigenvalues within 1e-8 of the largest; subspaces within 1e-5 where the gap allows to speak of one."""
    exact, basis = np.linalg.eigh(dense)
    top = exact[-1]
    np.testing.assert_allclose(values, exact[: len(values)], atol=1e-8 * top)
    np.testing.assert_allclose(vectors.T @ vectors, np.eye(len(values)), atol=1e-9)
    assert np.linalg.norm(dense @ vectors - vectors * values, axis=0).max() <= 1.1e-8 * top
    compared = 0
    for k in range(2, 31):
        if exact[k] - exact[k - 1] > 1e-6 * top:
            assert subspace_angles(vectors[:, :k], basis[:, :k]).max() < 1e-5, k
            compared += 1
    return compared


@pytest.mark.parametrize(
    ("k", "lam", "factor_up_to"),
    [(5, 1.0, 0), (12, 1.0, 0), (5, 1.0, 3000), (5, 1e-8, 3000), (12, 1e-4, 3000)],
)
def test_ldmgi_agrees_with_a_dense_solver(x, k, lam, factor_up_to, monkeypatch):
    monkeypatch.setattr(basis_module, "FACTOR_UP_TO", factor_up_to)
    neighbours = nearest_neighbours(Points(x, MemoryCache()), k - 1)
    matrix = laplacian(x, neighbours, lam)
    n_components, member = components(neighbours)
    found = solve_by_component(matrix, np.zeros(len(x)), member, n_components, SIZE)
    assert found.converged.all()
    assert found.multiplicity >= min(n_components, SIZE)
    compare(found.values, found.vectors, matrix.toarray())


def dense_sec(x, affinity, mu, gamma=1.0):
    """M as the paper writes it, formed in full."""
    n = len(x)
    centred = x - x.mean(axis=0)
    ridge = np.linalg.solve(centred.T @ centred + gamma * np.eye(x.shape[1]), centred.T)
    dense = np.eye(n) - affinity.toarray() + mu * (np.eye(n) - 1 / n - centred @ ridge)
    return (dense + dense.T) / 2


@pytest.mark.parametrize("mu", [0.0, 1e-8, 1e-4, 1.0, 1e8])
def test_sec_agrees_with_a_dense_solver(x, mu):
    neighbours = nearest_neighbours(Points(x, MemoryCache()), 5)
    problem = SECProblem(x, neighbours, mu, 1.0)
    found = problem.basis(SIZE)
    dense = dense_sec(x, problem.affinity, mu)
    n_components, _ = components(neighbours)
    assert found.n_components == n_components
    assert found.multiplicity >= min(n_components, SIZE)
    if n_components <= SIZE:
        assert found.converged.all()
        compare(found.values, found.vectors, dense)
    else:
        np.testing.assert_allclose(found.values, np.linalg.eigvalsh(dense)[:SIZE], atol=1e-8 * (2 + mu))


def test_digits_agree_with_a_dense_solver(digits, monkeypatch):
    x = digits[0][:1000]
    monkeypatch.setattr(basis_module, "FACTOR_UP_TO", 0)
    points = Points(x, MemoryCache())
    neighbours = nearest_neighbours(points, 5)
    problem = SECProblem(x, neighbours, 1e-4, 1.0)
    found = problem.basis(SIZE)
    assert found.n_components == 2
    assert compare(found.values, found.vectors, dense_sec(x, problem.affinity, 1e-4)) > 20
    cliques = nearest_neighbours(points, 4)
    matrix = laplacian(x, cliques, 1.0)
    found = solve_by_component(matrix, np.zeros(len(x)), components(cliques)[1], 2, SIZE)
    assert found.multiplicity == 2
    assert compare(found.values, found.vectors, matrix.toarray()) > 20


def test_disconnected_graphs_have_one_zero_a_component():
    x = islands(np.random.default_rng(2))
    found = fit(x, "ldmgi", n_clusters=8)
    assert found.diagnostics["n_components"] == 5
    assert found.diagnostics["multiplicity"] == 5
    for method in ("ldmgi", "sec", "spectral"):
        found = fit(x, method, n_clusters=5)
        assert found.status == "ok"
        truth = np.repeat(np.arange(5), [150, 150, 320, 50, 14])
        pairs = {(a, b) for a, b in zip(truth, found.labels, strict=True)}
        assert len(pairs) == 5


def test_multiple_eigenvalues_of_one_connected_piece_are_all_found():
    n = 900  # a cycle: every eigenvalue but the first twice
    ring = sparse.diags_array([np.ones(n - 1), np.ones(n - 1)], offsets=[1, -1]).tolil()
    ring[0, n - 1] = ring[n - 1, 0] = 1
    matrix = (2 * sparse.eye_array(n) - ring).tocsr()
    found = solve_by_component(matrix, np.zeros(n), np.zeros(n, dtype=np.int32), 1, SIZE)
    exact = np.sort(2 - 2 * np.cos(2 * np.pi * np.arange(n) / n))[:SIZE]
    np.testing.assert_allclose(found.values, exact, atol=1e-10)


def test_a_solver_that_runs_out_of_budget_says_so():
    rng = np.random.default_rng(0)
    values = np.concatenate([np.linspace(1e-7, 2e-7, 60), rng.uniform(0.5, 1, 1440)])
    operator = Operator(n=1500, apply=lambda v: values[:, None] * v, diagonal=np.ones(1500))
    hurried = smallest_eigenpairs(operator, 8, max_products=10)
    assert not hurried.converged.all()
    patient = smallest_eigenpairs(operator, 60)
    assert patient.converged.all()
    np.testing.assert_allclose(patient.values, values[:60], rtol=1e-3)


def test_a_fit_on_pairs_that_did_not_converge_carries_the_status(monkeypatch):
    x = np.random.default_rng(0).normal(size=(600, 10))
    monkeypatch.setattr(
        smallest_eigenpairs, "__kwdefaults__", {"start": None, "locked": None, "max_products": 1}
    )
    found = fit(x, "sec", n_clusters=20)
    assert (found.status, found.converged) == ("not_converged", False)


def test_bases_come_in_canonical_sizes():
    assert [basis_size(k, 10_000) for k in (1, 2, 32, 33, 64, 65, 200)] == [32, 32, 32, 64, 64, 128, 256]
    assert basis_size(2, 20) == 20


def test_affinity_is_normalised_without_losing_outliers():
    x = np.random.default_rng(0).standard_t(1.0, size=(500, 3))
    x[0] = 1e8
    neighbours = nearest_neighbours(Points(x, MemoryCache()), 5)
    affinity, log_degree = normalised_affinity(neighbours)
    assert (abs(affinity - affinity.T) > 0).nnz == 0
    assert np.isfinite(affinity.data).all()
    assert np.isfinite(log_degree).all()
    scale = neighbours.distances[:, -1]
    i, j = 40, neighbours.indices[40, 0]
    weight = np.exp(-(neighbours.distances[40, 0] ** 2) / (scale[i] * scale[j]))
    np.testing.assert_allclose(
        affinity[i, j], weight / np.exp((log_degree[i] + log_degree[j]) / 2), rtol=1e-12
    )
    assert np.linalg.eigvalsh(affinity.toarray())[-1] <= 1 + 1e-12


def test_neighbours_are_exact_ordered_and_never_oneself():
    rng = np.random.default_rng(0)
    x = np.vstack([rng.normal(size=(60, 3)), np.zeros((5, 3)), np.zeros((5, 3)) + 1e-9])
    found = nearest_neighbours(Points(x, MemoryCache()), 7)
    table = np.sqrt(((x[:, None] - x[None]) ** 2).sum(axis=2))
    np.fill_diagonal(table, np.inf)
    np.testing.assert_allclose(found.distances, np.sort(table, axis=1)[:, :7], rtol=1e-9, atol=1e-9)
    assert not (found.indices == np.arange(70)[:, None]).any()
    assert (np.diff(found.distances, axis=1) >= 0).all()


def test_one_search_serves_all_usual_numbers_of_neighbours():
    points = Points(np.random.default_rng(0).normal(size=(100, 3)), MemoryCache())
    wide = nearest_neighbours(points, 30)
    narrow = nearest_neighbours(points, 5)
    assert len(points.cache._arrays) == 1
    np.testing.assert_array_equal(wide.indices[:, :5], narrow.indices)
