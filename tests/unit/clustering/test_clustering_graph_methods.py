"""Spectral, SEC and LDMGI: reference accuracies, slow literal transcriptions, limits, invariances, new neurons."""

from dataclasses import replace
from importlib import import_module

import numpy as np
import pytest
from sklearn.cluster import SpectralClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import kneighbors_graph

from decortex.clustering import MemoryCache, Points, fit, fit_grid, predict
from decortex.clustering.graph import (
    Basis,
    Discretisation,
    GraphFit,
    SECProblem,
    discretise,
    graph_result,
    laplacian,
    local_models,
    nearest_neighbours,
)

basis = import_module("decortex.clustering.graph.basis")
eigen = import_module("decortex.clustering.graph.eigen")
discretisation = import_module("decortex.clustering.graph.discretise")
neighbour_graph = import_module("decortex.clustering.graph.neighbours")


@pytest.fixture(scope="module")
def cache():
    return MemoryCache()


@pytest.mark.parametrize("mu", [1e-8, 1e-4])
def test_sec_reaches_the_reference_accuracy_on_digits(digits, accuracy, cache, mu):
    found = fit(digits[0], "sec", n_clusters=10, mu=mu, cache=cache)
    assert accuracy(digits[1], found.labels) >= 0.80  # exact dense eigenvectors: .817
    assert (found.status, found.diagnostics["n_components"]) == ("ok", 2)


@pytest.mark.parametrize("lam", [1e-8, 1.0])
def test_ldmgi_reaches_the_reference_accuracy_on_digits(digits, accuracy, cache, lam):
    found = fit(digits[0], "ldmgi", n_clusters=10, lam=lam, cache=cache)
    assert accuracy(digits[1], found.labels) >= 0.80  # .815
    assert (found.status, found.diagnostics["multiplicity"]) == ("ok", 2)


def test_spectral_agrees_with_scikit_learn(digits, cache):
    x = digits[0][:900]
    ours = fit(x, "spectral", n_clusters=8, cache=cache)
    theirs = SpectralClustering(8, affinity="nearest_neighbors", n_neighbors=10, random_state=0).fit_predict(
        x
    )
    assert adjusted_rand_score(ours.labels, theirs) > 0.99


def test_sec_labels_held_out_digits(digits, accuracy, cache):
    x, truth = digits
    scores = []
    for split in range(5):
        order = np.random.default_rng(split).permutation(len(x))
        train, held_out = order[: len(x) // 2], order[len(x) // 2 :]
        found = fit(x[train], "sec", n_clusters=10, seed=split, mu=1e-4)
        scores.append(accuracy(truth[held_out], predict(found, x[held_out])))
    assert np.mean(scores) >= 0.74, scores


def test_the_rotation_is_needed_for_new_neurons(digits, accuracy, cache):
    found = fit(digits[0], "sec", n_clusters=10, cache=cache)
    fitted = found.parameters
    y = (digits[0] - fitted["mean"]) @ fitted["W"] + fitted["b"]
    with_rotation = accuracy(digits[1], predict(found, digits[0]))
    assert with_rotation > accuracy(digits[1], np.argmax(y, axis=1)) + 0.1


def test_sec_solves_its_regression(digits, cache):
    x = digits[0]
    found = fit(x, "sec", n_clusters=10, mu=1e-2, gamma=2.0, cache=cache)
    W, b, mean = (found.parameters[name] for name in ("W", "b", "mean"))
    problem = SECProblem(x, nearest_neighbours(Points(x, cache), 5), 1e-2, 2.0)
    F = problem.basis(32).vectors[:, :10]
    residual = (x - mean) @ W + b - F  # normal equations of |X'W + 1b' - F|^2 + gamma |W|^2
    np.testing.assert_allclose((x - mean).T @ residual + 2.0 * W, 0, atol=1e-8)
    np.testing.assert_allclose(residual.sum(axis=0), 0, atol=1e-8)


def test_the_local_models_are_the_papers(digits):
    x = digits[0][:60]
    neighbours = nearest_neighbours(Points(x, MemoryCache()), 4)
    for lam in (1e-2, 1.0, 1e3):
        literal = np.zeros((60, 60))
        H = np.eye(5) - 1 / 5
        for i in range(60):
            clique = [i, *neighbours.indices[i]]
            X = x[clique].T @ H
            S = np.eye(60)[:, clique]
            literal += S @ H @ np.linalg.inv(X.T @ X + lam * np.eye(5)) @ H @ S.T
        np.testing.assert_allclose(laplacian(x, neighbours, lam).toarray(), literal, atol=1e-9 / lam)


def test_local_models_stay_exact_where_the_direct_inverse_drowns():
    rng = np.random.default_rng(0)
    clique = rng.normal(size=(6, 10)) * 1e4
    model = local_models(clique, np.arange(6, dtype=np.int32)[None], 1e-8)[0]
    centred = clique - clique.mean(axis=0)
    exact = np.linalg.pinv(centred @ centred.T, rcond=1e-12)
    np.testing.assert_allclose(model, exact, rtol=1e-6, atol=1e-18)


@pytest.mark.parametrize("k", [5, 12])
def test_local_models_hold_for_more_and_fewer_features_than_neurons(k):
    x = np.random.default_rng(0).normal(size=(k, 8))
    H = np.eye(k) - 1 / k
    literal = H @ np.linalg.inv(H @ x @ x.T @ H + 0.1 * np.eye(k)) @ H
    np.testing.assert_allclose(
        local_models(x, np.arange(k, dtype=np.int32)[None], 0.1)[0], literal, atol=1e-9
    )


def test_sec_without_regression_is_normalised_spectral_clustering(digits, cache):
    x = digits[0]
    affinity = SECProblem(x, nearest_neighbours(Points(x, cache), 5), 0.0, 1.0).affinity
    zero, tiny = fit_grid(x, "sec", n_clusters=[10], seeds=[0, 0], mu=0.0, cache=cache)
    assert adjusted_rand_score(zero.labels, fit(x, "sec", n_clusters=10, mu=1e-12, cache=cache).labels) == 1
    indicator = np.eye(10)[zero.labels] / np.sqrt(zero.sizes)
    expected = np.trace(indicator.T @ (indicator - affinity @ indicator))
    assert tiny.objective == pytest.approx(expected)


def test_sec_with_all_weight_on_the_regression_follows_principal_components(digits, cache):
    x = digits[0]
    problem = SECProblem(x, nearest_neighbours(Points(x, cache), 5), 1e8, 1.0)
    F = problem.basis(32).vectors[:, :10]
    _, _, principal = np.linalg.svd(x - x.mean(axis=0), full_matrices=False)
    scores = (x - x.mean(axis=0)) @ principal[:9].T
    span = np.linalg.qr(np.column_stack([np.ones(len(x)), scores]))[0]
    assert np.linalg.norm(F - span @ (span.T @ F)) < 1e-4


@pytest.mark.parametrize("method", ["spectral", "sec", "ldmgi"])
def test_labels_do_not_change_under_motion_or_order(method, digits):
    x = digits[0][:500, 10:40]
    rng = np.random.default_rng(0)
    turn = np.linalg.qr(rng.normal(size=(30, 30)))[0]
    order = rng.permutation(500)
    found = fit(x, method, n_clusters=6)
    assert adjusted_rand_score(found.labels, fit(x @ turn + 3.0, method, n_clusters=6).labels) > 0.97
    assert adjusted_rand_score(found.labels[order], fit(x[order], method, n_clusters=6).labels) > 0.97


@pytest.mark.parametrize("method", ["spectral", "ldmgi"])
def test_new_neurons_follow_their_neighbours(method, blobs):
    x, truth = blobs(400, 5, 3)
    found = fit(x[:300], method, n_clusters=3, n_neighbors=30)
    assert adjusted_rand_score(truth[300:], predict(found, x[300:], x=x[:300])) == 1


@pytest.mark.parametrize("method", ["spectral", "sec", "ldmgi"])
@pytest.mark.parametrize("discretisation", ["rotation", "kmeans"])
def test_both_discretisations_find_separated_clusters(method, discretisation, blobs):
    x, truth = blobs(300, 5, 3)
    found = fit(x, method, n_clusters=3, n_neighbors=60, discretisation=discretisation)
    assert adjusted_rand_score(truth, found.labels) == 1
    if method == "sec":
        assert adjusted_rand_score(truth, predict(found, x)) == 1


def test_more_starts_never_discretise_worse(digits, cache):
    vectors = (
        SECProblem(digits[0], nearest_neighbours(Points(digits[0], cache), 5), 1.0, 1.0).basis(32).vectors
    )
    for discretiser in ("rotation", "kmeans"):
        one = discretise(vectors[:, :20], discretiser, 1, np.random.default_rng(5))
        ten = discretise(vectors[:, :20], discretiser, 10, np.random.default_rng(5))
        assert ten.objective <= one.objective + 1e-9


def test_the_rotation_recovers_a_turned_indicator():
    rng = np.random.default_rng(0)
    truth = rng.integers(4, size=200)
    turn = np.linalg.qr(rng.normal(size=(4, 4)))[0]
    found = discretise(np.eye(4)[truth] @ turn, "rotation", 3, rng)
    assert found.objective < 1e-12
    assert adjusted_rand_score(truth, found.labels) == 1
    np.testing.assert_allclose(found.rotation @ found.rotation.T, np.eye(4), atol=1e-12)


@pytest.mark.parametrize(
    ("sizes", "n_components", "copies", "status"),
    [
        ((50, 30, 20), 1, None, "ok"),
        ((50, 30, 20), 3, None, "ok"),  # as many components as types is no fault
        ((91, 5, 4), 1, None, "fragmented"),
        ((90, 6, 4), 1, None, "ok"),
        ((50, 30, 20), 1, np.repeat([0, 1], [80, 20]), "empty_cluster"),
        ((60, 40, 0), 1, None, "empty_cluster"),
    ],
)
def test_statuses_say_what_a_reader_must_know(sizes, n_components, copies, status):
    basis = Basis(
        values=np.arange(4.0),
        vectors=np.eye(100, 4),
        n_components=n_components,
        member=np.zeros(100, dtype=np.int32),
        residuals=np.zeros(4),
        norm=2.0,
        n_iterations=7,
        converged=np.array([True, True, True, False]),  # K = 3 needs three
    )
    found = Discretisation(np.repeat([1, 0, 2], sizes), objective=0.1, n_iterations=3, converged=True)
    x = np.random.default_rng(0).normal(size=(100, 2))

    def result(discretisation):
        fitted = GraphFit("sec", 3, 0, basis, discretisation, lambda v: v, copies)
        return graph_result(fitted, x, lambda order: {})

    assert result(found).status == status
    assert result(found).diagnostics["largest_share"] == (sizes[0] if copies is None else 80) / 100
    unfinished = "empty_cluster" if status == "empty_cluster" else "not_converged"
    assert result(replace(found, converged=False)).status == unfinished


def test_graphs_are_symmetric_like_scikit_learns(digits):
    from decortex.clustering.graph import connectivity

    x = digits[0][:300]
    theirs = kneighbors_graph(x, 10, include_self=True)
    theirs = ((theirs + theirs.T) / 2).toarray()
    np.fill_diagonal(theirs, 0)
    ours = connectivity(nearest_neighbours(Points(x, MemoryCache()), 9)).toarray()
    assert np.abs(ours - theirs).sum() <= 4  # ties at the last neighbour


@pytest.mark.parametrize("discretiser", ["rotation", "kmeans"])
def test_screened_starts_reach_the_optimum_of_full_ones(discretiser):
    rng = np.random.default_rng(3)
    truth = rng.integers(6, size=7_000)
    rows = np.linalg.qr(rng.normal(size=(6, 6)))[0][truth] + 0.25 * rng.normal(size=(7_000, 6))
    screened = discretise(rows, discretiser, 10, np.random.default_rng(0))
    full = [discretise(rows, discretiser, 1, np.random.default_rng(seed)) for seed in range(10)]
    assert screened.objective <= min(one.objective for one in full) * (1 + 1e-6)
    assert screened.converged
    assert screened.labels.shape == (7_000,)


@pytest.mark.parametrize("seed", range(4))
def test_more_starts_of_the_rotation_never_end_higher_than_one(seed):
    rows = np.random.default_rng(3).normal(size=(6_500, 6)) * 1e-3
    rows[np.arange(12) * 500] = np.repeat(np.eye(6), 2, axis=0)  # each eigenvector is about two neurons
    rows[:, 0] += 1e-2
    one, ten = (discretise(rows, "rotation", n, np.random.default_rng(seed)).objective for n in (1, 10))
    assert ten <= one


def test_only_different_optima_go_on():
    found = [
        Discretisation(np.zeros(3, dtype=np.int64), value, 1, True) for value in (0.3, 0.1, 0.1, 0.2, 0.4)
    ]
    assert [one.objective for one in discretisation.different_optima(found)] == [0.1, 0.2, 0.3]


def test_a_dense_laplacian_is_solved_by_its_factor_only_where_the_polynomial_fails(monkeypatch):
    x = np.random.default_rng(5).normal(size=(700, 12))
    neighbours = nearest_neighbours(Points(x, MemoryCache()), 14)
    matrix = laplacian(x, neighbours, 1.0)
    assert matrix.nnz > basis.SPARSE * 700
    asked = []
    solve = basis.laplacian_operator
    monkeypatch.setattr(
        basis, "laplacian_operator", lambda m, *, factor: asked.append(factor) or solve(m, factor=factor)
    )
    member = neighbour_graph.components(neighbours)[1]
    found = basis.solve_by_component(matrix, np.zeros(700), member, 1, 8)
    assert asked == [False]
    assert found.converged.all()
    reference = np.linalg.eigvalsh(matrix.toarray())[:8]
    np.testing.assert_allclose(found.values, reference, atol=1e-8 * found.norm)
    asked.clear()
    monkeypatch.setattr(
        eigen.smallest_eigenpairs,
        "__kwdefaults__",
        {**eigen.smallest_eigenpairs.__kwdefaults__, "max_products": 20},
    )
    basis.solve_by_component(matrix, np.zeros(700), member, 1, 8)
    assert asked == [False, True]
