"""Clusters that die: the message-length rule against its literal transcription, known numbers of clusters, statuses."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from rotation_starts import rolled_start
from scipy.stats import multivariate_t
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError
from decortex.finetune import FinetuneConfig, finetune
from decortex.finetune.losses import DECEMberTerm, RotationDECEMberTerm, StartPoints, living


def identity(weights):
    return weights


def three_groups(n_clusters, *, seed=0, d=4, sizes=(120, 80, 40)):
    """Points of three well separated types and a k-means start at more clusters than there are types."""
    rng = np.random.default_rng(seed)
    truth = np.repeat([0, 1, 2], sizes)
    x = 5 * rng.normal(size=(3, d))[truth] + rng.normal(size=(len(truth), d))
    labels = fit(x, "kmeans", n_clusters=n_clusters, seed=seed).labels.astype(np.int64)
    return truth, StartPoints(torch.as_tensor(x), torch.as_tensor(labels), n_clusters)


def mixture(start, kind=DECEMberTerm, **params):
    name = "december" if kind is DECEMberTerm else "rotation_december"
    given = {"annihilation": 1.0, "learn_weights": True, "nu": 20.0, **params}
    return kind(identity, start, FinetuneConfig(kind=name, **given))


def literal_sweep(z, weights, mu, sigma, nu, penalty):
    """Figure 2 of Figueiredo & Jain (2002), components from the smallest weight; dead ones have weight 0."""
    n, d = z.shape
    weights, mu, sigma = weights.copy(), mu.copy(), sigma.copy()
    for j in np.argsort(weights, kind="stable"):
        if weights[j] == 0:
            continue
        q = np.zeros((n, len(weights)))
        for i in range(n):
            for k in range(len(weights)):
                if weights[k] > 0:
                    q[i, k] = weights[k] * multivariate_t(mu[k], np.diag(sigma[k]), df=nu).pdf(z[i])
            q[i] /= q[i].sum()
        over = np.array(
            [max(0.0, q[:, k].sum() - penalty) if weights[k] > 0 else 0.0 for k in range(len(weights))]
        )
        if over[j] > 0 or (weights > 0).sum() > 1:
            weights[j] = over[j] / over.sum() if over[j] > 0 else 0.0
        weights /= weights.sum()
        if weights[j] > 0:
            u = np.array([(nu + d) / (nu + ((z[i] - mu[j]) ** 2 / sigma[j]).sum()) for i in range(n)])
            mu[j] = sum(q[i, j] * u[i] * z[i] for i in range(n)) / sum(q[i, j] * u[i] for i in range(n))
            sigma[j] = sum(q[i, j] * u[i] * (z[i] - mu[j]) ** 2 for i in range(n)) / q[:, j].sum()
    return weights, mu, sigma


def test_a_sweep_is_the_published_algorithm_written_out():
    _, start = three_groups(6, d=3, sizes=(15, 9, 6))
    term = mixture(start)
    state = [getattr(term, name).numpy().copy() for name in ("centres", "scales")]
    weights = term.log_weights.exp().numpy()
    died = 0
    for _ in range(3):
        weights, *state = literal_sweep(start.points.numpy(), weights, *state, nu=20.0, penalty=3.0)
        term.annihilating_step(start.points)
        np.testing.assert_allclose(term.log_weights.exp().numpy(), weights, atol=1e-10)
        lives = weights > 0
        np.testing.assert_allclose(term.centres.numpy()[lives], state[0][lives], atol=1e-9)
        np.testing.assert_allclose(term.scales.numpy()[lives], state[1][lives], atol=1e-9)
        died = int((~lives).sum())
    assert 0 < died < 5


@pytest.mark.parametrize(("n_clusters", "factor", "steps"), [(5, 1.0, 150), (12, 2.0, 60)])
def test_from_more_clusters_than_there_are_types_the_types_are_left(n_clusters, factor, steps):
    truth, start = three_groups(n_clusters)
    term = mixture(start, annihilation=factor)
    alive = []
    for _ in range(steps):
        term.annihilating_step(start.points)
        alive.append(int(living(term.log_weights).sum()))
    assert alive == sorted(alive, reverse=True)  # the dead stay dead
    assert alive[-1] == 3
    labels = term.log_q(start.points).argmax(dim=1).numpy()
    assert adjusted_rand_score(truth, labels) > 0.95
    assert term.log_weights.exp().sum().item() == pytest.approx(1.0)


def test_without_annihilation_no_cluster_dies_and_the_last_one_never_does():
    _, start = three_groups(6)
    kept = mixture(start, annihilation=0.0)
    assert kept.diagnose(start.points).n_alive is None
    for _ in range(20):
        kept.em_step(start.points)
    assert living(kept.log_weights).all()
    harsh = mixture(start, annihilation=1000.0)
    for _ in range(3):
        harsh.annihilating_step(start.points)
    assert int(living(harsh.log_weights).sum()) == 1
    found = harsh.diagnose(start.points)
    assert (found.n_alive, found.n_empty) == (1, 5)
    assert found.is_collapsed(harsh.start)


def test_dead_clusters_hold_no_neuron_and_count_in_no_distance():
    _, start = three_groups(8)
    term = mixture(start, annihilation=2.0)
    for _ in range(60):
        loss = term.loss(start.points.clone().requires_grad_())
        term.after_step(start.points)
    alive = living(term.log_weights)
    found = term.diagnose(start.points)
    assert found.n_alive == int(alive.sum()) == 3
    assert found.sizes[~alive.numpy()].sum() == 0
    assert found.n_empty == 5
    assert len(found.sizes) == 8
    assert found.min_centre_distance == pytest.approx(torch.pdist(term.centres[alive]).min().item())
    assert not found.is_collapsed(term.start)
    assert found.as_floats()["n_alive"] == 3.0
    assert torch.isfinite(loss)
    points = start.points.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(term.loss(points), points)
    assert torch.isfinite(gradient).all()


def test_what_died_stays_dead_in_another_process_and_in_an_average():
    _, start = three_groups(8)
    term, other = mixture(start, annihilation=2.0), mixture(start)
    for _ in range(20):
        term.annihilating_step(start.points)
    other.load_state_dict(term.state_dict())
    assert torch.equal(living(other.log_weights), living(term.log_weights))
    averaged = 0.999 * mixture(start).log_weights + 0.001 * term.log_weights
    assert torch.equal(living(averaged), living(term.log_weights))


def test_with_rolls_clusters_die_up_to_a_roll_and_one_orientation_is_the_plain_mixture():
    _, start = three_groups(6)
    plain, tied = (mixture(start, kind, annihilation=8.0) for kind in (DECEMberTerm, RotationDECEMberTerm))
    for term in (plain, tied):
        for _ in range(10):
            term.loss(start.points)
            term.after_step(start.points)
    for name in ("centres", "scales", "log_weights"):
        torch.testing.assert_close(getattr(plain, name), getattr(tied, name), rtol=1e-6, atol=1e-8)
    assert 0 < int(living(tied.log_weights).sum()) < 6

    rolled = rolled_start(n=90)
    split = StartPoints(
        rolled.points,
        rolled.labels + int(rolled.labels.max() + 1) * (torch.arange(90) % 2),
        2 * rolled.n_clusters,
        shifts=rolled.shifts,
        n_orientations=rolled.n_orientations,
    )
    term = mixture(split, RotationDECEMberTerm, annihilation=1.0)
    for _ in range(12):
        term.annihilating_step(split.points)
    labels = term.log_q(split.points).argmax(dim=1).numpy()
    assert int(living(term.log_weights).sum()) == rolled.n_clusters
    assert adjusted_rand_score(rolled.labels.numpy(), labels) > 0.9


def test_a_network_is_fine_tuned_and_the_row_says_how_many_clusters_live(network, recordings, schedule):
    fitted = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="pca", n_components=2))
    points = fitted.apply(network.embedding().detach().numpy())
    labels = fit(points, "kmeans", n_clusters=6, seed=0).labels
    config = FinetuneConfig(kind="december", beta=0.1, learn_weights=True, annihilation=1.0)
    results = [
        finetune(
            copy.deepcopy(network),
            recordings,
            fitted,
            labels,
            config,
            schedule,
            n_clusters=6,
            seed=0,
            device="cpu",
        )
        for _ in range(2)
    ]
    found = results[0]
    assert found.status == "ok"
    assert 1 < found.end.n_alive < 6
    assert found.n_clusters == 6
    held = np.bincount(found.labels, minlength=6)
    assert (np.diff(held) <= 0).all()  # canonical: by size, the dead last
    dead = found.parameters["weights"] == 0
    assert dead.sum() == 6 - found.end.n_alive
    assert held[dead].sum() == 0
    assert [state.n_alive for state in found.curve] == [record.term["n_alive"] for record in found.epochs]
    np.testing.assert_array_equal(results[0].labels, results[1].labels)


def test_what_does_not_fit_is_refused():
    for params, message in (
        ({"annihilation": 1.0}, "set learn_weights to true"),
        ({"annihilation": 1.0, "learn_weights": True, "restart_every": 2}, "exclude each other"),
    ):
        with pytest.raises(ConfigError, match=message):
            FinetuneConfig.from_params({"kind": "december", **params})
    with pytest.raises(ConfigError, match="does not use annihilation"):
        FinetuneConfig.from_params({"kind": "tell", "annihilation": 1.0})
