"""The clustering losses as modules: targets, centres, EM steps, stopping, collapse."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.optimize import brentq
from scipy.special import digamma
from scipy.stats import multivariate_t
from sklearn.decomposition import PCA

from decortex.finetune import FinetuneConfig
from decortex.finetune.losses import DECEMberTerm, DECTerm, StartPoints, diagnose, learned_nu, principal_axes


def identity(weights):
    return weights


def start_points(n=90, k=3, d=12, seed=0, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % k
    centres = 3 * torch.randn(k, d, generator=generator, dtype=torch.float64)
    noise = spread * torch.randn(n, d, generator=generator, dtype=torch.float64)
    return StartPoints(points=centres[labels] + noise, labels=labels, n_clusters=k)


def dec(start, **params):
    return DECTerm(identity, start, FinetuneConfig(**{"kind": "dec", "tolerance": 0.0, **params}))


def december(start, **params):
    return DECEMberTerm(identity, start, FinetuneConfig(kind="december", **params))


def test_first_centres_are_the_means_of_the_start():
    start = start_points()
    for term in (dec(start), december(start)):
        for j in range(3):
            torch.testing.assert_close(term.centres[j].detach(), start.points[start.labels == j].mean(dim=0))


def test_centres_train_and_the_rest_is_kept_in_buffers():
    term = dec(start_points(), kernel="pca10")
    assert [name for name, _ in term.named_parameters()] == ["centres"]
    assert {"log_p", "labels", "scale2", "origin", "axes", "steps"} <= set(term.state_dict())
    assert list(december(start_points()).parameters()) == []
    assert {"centres", "scales", "nu", "log_weights"} <= set(december(start_points()).state_dict())


def test_the_target_is_constant_between_updates():
    start = start_points()
    term = dec(start, update_interval=3)
    targets = []
    for step in range(7):
        moved = start.points + 0.3 * step
        term.loss(moved)
        targets.append(term.log_p.clone())
        term.after_step(moved)
    same = [bool(torch.equal(one, other)) for one, other in pairwise(targets)]
    assert same == [True, True, False, True, True, False]


def test_training_ends_when_fewer_labels_change_than_the_tolerance():
    start = start_points()
    for moved, expected in ((start.points, "tolerance"), (-start.points, None)):
        term = dec(start, update_interval=1, tolerance=0.01)
        term.loss(start.points)
        assert term.stop() is None  # there is no earlier target to compare with
        term.after_step(start.points)
        term.loss(moved)
        assert term.stop() == expected


def test_dec_alone_leaves_the_prediction_out_and_the_others_weigh_it():
    start = start_points()
    assert (dec(start).prediction_weight, dec(start).weight) == (0.0, 1.0)
    joint = dec(start, kind="dec_joint", beta=7.0)
    assert (joint.prediction_weight, joint.weight) == (1.0, 7.0)
    torch.testing.assert_close(joint.loss(start.points), 7 * dec(start).loss(start.points))


def test_the_loss_is_a_mean_so_that_doubling_the_neurons_changes_nothing():
    start = start_points()
    twice = StartPoints(start.points.repeat(2, 1), start.labels.repeat(2), start.n_clusters)
    for build in (dec, december):
        torch.testing.assert_close(build(twice).loss(twice.points), build(start).loss(start.points))


def test_projection_is_that_of_a_principal_component_analysis():
    x = start_points(d=15).points
    origin, axes = principal_axes(x, 10)
    expected = PCA(n_components=10).fit(x.numpy())
    projected = ((x - origin) @ axes).numpy()
    np.testing.assert_allclose(np.abs(projected), np.abs(expected.transform(x.numpy())), atol=1e-8)
    assert principal_axes(x[:, :4], 10)[1].shape == (4, 4)


@pytest.mark.parametrize("kernel", ["scaled", "pca10"])
def test_scaled_kernels_do_not_depend_on_the_unit_of_the_embedding(kernel):
    start = start_points()
    big = StartPoints(1000 * start.points, start.labels, start.n_clusters)
    one, other = dec(start, kernel=kernel), dec(big, kernel=kernel)
    torch.testing.assert_close(one.loss(start.points), other.loss(big.points))
    assert one.start.mean_max_q == pytest.approx(other.start.mean_max_q)
    assert float(one.scale2) == pytest.approx(one.start.within_scale**2)


def test_wide_embeddings_are_flat_under_the_published_kernel_and_not_under_the_others():
    start = start_points(n=2000, k=20, d=64, seed=1)
    small = StartPoints(0.01 * start.points, start.labels, start.n_clusters)
    assert dec(small).start.is_flat
    assert not dec(small, kernel="scaled").start.is_flat
    assert not dec(small, kernel="pca10").start.is_flat


def literal_em(z, mu, sigma, nu, weights):
    """One EM step of a t-mixture, neuron by neuron and cluster by cluster."""
    n, d, k = len(z), z.shape[1], len(mu)
    log_f = np.stack([multivariate_t(mu[j], np.diag(sigma[j]), df=nu[j]).logpdf(z) for j in range(k)], axis=1)
    joint = weights * np.exp(log_f)
    q = joint / joint.sum(axis=1, keepdims=True)
    new_mu, new_sigma = np.zeros_like(mu), np.zeros_like(sigma)
    for j in range(k):
        total, mass = 0.0, 0.0
        for i in range(n):
            delta = ((z[i] - mu[j]) ** 2 / sigma[j]).sum()
            u = (nu[j] + d) / (nu[j] + delta)
            new_mu[j] += q[i, j] * u * z[i]
            total += q[i, j] * u
            mass += q[i, j]
        new_mu[j] /= total
        for i in range(n):
            delta = ((z[i] - mu[j]) ** 2 / sigma[j]).sum()
            u = (nu[j] + d) / (nu[j] + delta)
            new_sigma[j] += q[i, j] * u * (z[i] - new_mu[j]) ** 2 / mass
    return new_mu, new_sigma, q.mean(axis=0), np.log(joint.sum(axis=1)).mean()


def test_em_step_equals_the_literal_transcription():
    start = start_points(n=40, k=3, d=4)
    term = december(start, learn_weights=True)
    state = [getattr(term, name).numpy().copy() for name in ("centres", "scales", "nu")]
    expected = literal_em(start.points.numpy(), *state, term.log_weights.exp().numpy())
    log_likelihood = term.em_step(start.points)
    np.testing.assert_allclose(term.centres.numpy(), expected[0], atol=1e-10)
    np.testing.assert_allclose(term.scales.numpy(), expected[1], atol=1e-10)
    np.testing.assert_allclose(term.log_weights.exp().numpy(), expected[2], atol=1e-10)
    assert log_likelihood == pytest.approx(expected[3], abs=1e-10)


@pytest.mark.parametrize("learned", [False, True])
def test_em_never_lowers_the_likelihood(learned):
    start = start_points(n=300, k=3, d=5, spread=2.0)
    shuffled = StartPoints(start.points, start.labels.roll(7) * 0 + torch.arange(300) // 100, 3)
    term = december(shuffled, learn_weights=learned, learn_nu=learned)
    likelihoods = [term.em_step(start.points) for _ in range(40)]
    assert (np.diff(likelihoods) > -1e-10).all()
    assert likelihoods[-1] > likelihoods[0] + 0.1


def test_em_recovers_a_mixture_of_t_distributions():
    rng = np.random.default_rng(2)
    mu, sigma = np.array([[-4.0, 0.0], [4.0, 1.0]]), np.array([[1.0, 0.25], [0.5, 2.0]])
    x = np.concatenate(
        [multivariate_t(mu[j], np.diag(sigma[j]), df=5).rvs(size=3000, random_state=rng) for j in range(2)]
    )
    labels = torch.arange(6000) // 3000
    term = december(StartPoints(torch.as_tensor(x), labels, 2), learn_nu=True, nu=50.0)
    for _ in range(200):
        term.em_step(torch.as_tensor(x))
    np.testing.assert_allclose(term.centres.numpy(), mu, atol=0.1)
    np.testing.assert_allclose(term.scales.numpy(), sigma, rtol=0.1)
    np.testing.assert_allclose(term.nu.numpy(), 5.0, rtol=0.2)


def test_learned_degrees_of_freedom_are_the_root_of_the_equation():
    rng = np.random.default_rng(3)
    q, u = rng.dirichlet([1, 1], 50), rng.gamma(3.0, 0.4, size=(50, 2))
    nu, d = np.array([3.0, 8.0]), 6
    found = learned_nu(torch.as_tensor(q), torch.as_tensor(u), nu=torch.as_tensor(nu), n_features=d)
    for j in range(2):
        constant = 1 + (q[:, j] * (np.log(u[:, j]) - u[:, j])).sum() / q[:, j].sum()
        constant += digamma((nu[j] + d) / 2) - math.log((nu[j] + d) / 2)
        root = brentq(lambda v, c=constant: -digamma(v / 2) + math.log(v / 2) + c, 0.1, 200)
        assert float(found[j]) == pytest.approx(root, rel=1e-9)


def test_em_follows_the_points_of_the_gradient_and_each_of_them_once():
    start = start_points()
    term, other = december(start), december(start)
    shifted = start.points + 0.5
    term.loss(shifted.requires_grad_()).backward()
    term.after_step(shifted.detach() + 100.0)
    other.em_step(shifted.detach())
    torch.testing.assert_close(term.centres, other.centres)
    before = term.centres.clone()
    term.after_step(shifted.detach())
    torch.testing.assert_close(term.centres, before)


def test_a_component_without_neurons_keeps_its_parameters():
    start = start_points(k=2)
    term = december(start)
    with torch.no_grad():
        term.centres[1] += 1e6
    kept = term.centres[1].clone()
    term.em_step(start.points)
    torch.testing.assert_close(term.centres[1], kept)
    assert torch.isfinite(term.scales).all()
    assert term.diagnose(start.points).n_empty == 1


def test_scales_stay_within_their_clamp_and_the_share_at_it_is_counted():
    start = start_points(spread=1e-6)
    term = december(start, scale_min=1e-4)
    term.em_step(start.points)
    assert (term.scales >= 1e-4).all()
    assert term.diagnose(start.points).share_clamped == 1.0


def test_diagnostics_of_a_known_configuration():
    z = torch.tensor([[0.0, 0.0], [0.0, 2.0], [3.0, 1.0], [3.0, 1.0]], dtype=torch.float64)
    mu = torch.tensor([[0.0, 1.0], [3.0, 1.0], [90.0, 1.0]], dtype=torch.float64)
    q = torch.tensor(
        [[0.8, 0.2, 0.0], [0.8, 0.2, 0.0], [0.2, 0.8, 0.0], [0.2, 0.8, 0.0]], dtype=torch.float64
    )
    found = diagnose(z, mu, log_q=q.clamp_min(1e-300).log(), kl=0.5)
    assert found.sizes.tolist() == [2, 2, 0]
    assert (found.n_empty, found.kl) == (1, 0.5)
    assert (found.min_centre_distance, found.max_centre_distance) == (3.0, 90.0)
    assert found.within_scale == pytest.approx(math.sqrt(2 / 4 / 2))
    assert found.distance_over_scale == pytest.approx(3 / 0.5)
    assert found.mean_max_q == pytest.approx(0.8)
    assert found.entropy_mean_q == pytest.approx(math.log(2) / math.log(3))


def test_meeting_centres_are_a_collapse_and_a_good_start_is_none():
    start = start_points()
    term = dec(start)
    assert not term.start.is_collapsed(term.start)
    assert term.end_epoch(start.points)["share_changed"] == 0.0
    assert term.stop() is None
    with torch.no_grad():
        term.centres.copy_(term.centres.mean(dim=0).expand_as(term.centres))
    values = term.end_epoch(start.points)
    assert term.stop() == "collapsed"
    assert values["mean_max_q"] == pytest.approx(1 / 3)
    assert values["kl"] == pytest.approx(0.0, abs=1e-12)


def test_one_cluster_is_no_collapse_and_points_have_no_scale():
    start = start_points(k=1)
    assert not dec(start).start.is_collapsed(dec(start).start)
    assert not dec(start).start.is_flat
    same = StartPoints(torch.ones(4, 2), torch.tensor([0, 0, 1, 1]), 2)
    assert "distance_over_scale" not in dec(same).start.as_floats()
