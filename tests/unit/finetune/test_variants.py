"""What DEC and DECEMber can vary: balanced targets, TELL, restarts of the mixture, a beta that rises."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from rotation_starts import rolled_start
from scipy.optimize import minimize
from scipy.special import log_softmax
from torch import nn

from decortex.clustering import fit
from decortex.config import config_hash
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError
from decortex.finetune import FinetuneConfig, finetune
from decortex.finetune.losses.assignment import log_target
from decortex.finetune.losses.base import StartPoints
from decortex.finetune.losses.dec import DECTerm
from decortex.finetune.losses.december import RESTART_STARTS, DECEMberTerm
from decortex.finetune.losses.rotations.rotation import rolled_by
from decortex.finetune.losses.rotations.rotation_december import RotationDECEMberTerm
from decortex.finetune.losses.tell import TELLTerm
from decortex.finetune.losses.transport import balanced_log_target
from decortex.models.training.steps.averaging import WeightAverage


def identity(weights):
    return weights


def start_points(n=90, k=3, d=6, seed=0, spread=1.0):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.arange(n) % k
    centres = 3 * torch.randn(k, d, generator=generator, dtype=torch.float64)
    noise = spread * torch.randn(n, d, generator=generator, dtype=torch.float64)
    return StartPoints(points=centres[labels] + noise, labels=labels, n_clusters=k)


def some_log_q(n=7, k=3, seed=1):
    return torch.as_tensor(log_softmax(2 * np.random.default_rng(seed).normal(size=(n, k)), axis=1))


@pytest.mark.parametrize(("epsilon", "balance"), [(0.5, 1.0), (0.2, 0.3), (1.0, 20.0)])
def test_the_balanced_target_maximises_what_it_says(epsilon, balance):
    log_q = some_log_q()
    n, k = log_q.shape

    def negative(free):
        log_p = log_softmax(free.reshape(n, k), axis=1)
        p = np.exp(log_p)
        sizes, total = p.sum(axis=0), 0.0
        for i in range(n):
            for j in range(k):
                total += p[i, j] * log_q[i, j].item() - epsilon * p[i, j] * log_p[i, j]
        for j in range(k):
            total -= balance * (sizes[j] * math.log(sizes[j] / (n / k)) - sizes[j] + n / k)
        return -total

    found = minimize(negative, np.zeros(n * k), method="BFGS", options={"gtol": 1e-7})
    expected = np.exp(log_softmax(found.x.reshape(n, k), axis=1))
    p = balanced_log_target(log_q, epsilon=epsilon, balance=balance).exp().numpy()
    np.testing.assert_allclose(p, expected, atol=1e-4)


def test_between_no_balance_and_equal_sizes():
    log_q = some_log_q(n=40)
    q = log_q.exp()
    free = balanced_log_target(log_q, epsilon=0.5, balance=1e-9).exp()
    torch.testing.assert_close(free, q**2 / (q**2).sum(dim=1, keepdim=True), atol=1e-6, rtol=0)
    equal = balanced_log_target(log_q, epsilon=0.5, balance=1e9, max_iterations=5000).exp()
    torch.testing.assert_close(
        equal.sum(dim=0), torch.full((3,), 40 / 3, dtype=torch.float64), rtol=1e-4, atol=0
    )
    sizes = [
        balanced_log_target(log_q, epsilon=0.5, balance=b).exp().sum(dim=0).std().item() for b in (0.1, 1, 10)
    ]
    assert sizes == sorted(sizes, reverse=True)
    assert not balanced_log_target(log_q.requires_grad_(), epsilon=0.5, balance=1.0).requires_grad


def test_dec_takes_the_balanced_target_and_refreshes_it():
    start = start_points()
    uneven = StartPoints(start.points[:50], start.labels[:50].clamp_max(1), 2)
    params = {"kind": "dec_joint", "tolerance": 0.0, "update_interval": 1, "kernel": "scaled"}
    plain = DECTerm(identity, uneven, FinetuneConfig(**params))
    term = DECTerm(identity, uneven, FinetuneConfig(**params, target="balanced", balance=5.0))
    for moved in (uneven.points, uneven.points + 0.1 * torch.randn_like(uneven.points)):
        term.loss(moved)
        plain.loss(moved)
        log_q = term.log_q(moved).detach()
        expected = balanced_log_target(log_q, epsilon=0.5, balance=5.0)
        torch.testing.assert_close(term.log_p, expected)
        torch.testing.assert_close(plain.log_p, log_target(log_q))
        term.after_step(moved)
        plain.after_step(moved)
    sizes = [one.log_p.exp().sum(dim=0) for one in (term, plain)]
    assert sizes[0].std() < sizes[1].std()


def test_tell_is_the_objective_written_out():
    start = start_points(n=20, d=4)
    term = TELLTerm(identity, start, FinetuneConfig(kind="tell", beta=3.0, temperature=1.5))
    z, mu = start.points.numpy() + 0.3, term.centres.detach().numpy()
    own = np.stack([z0 - mu[label] for z0, label in zip(start.points.numpy(), start.labels, strict=True)])
    scale2 = (own**2).sum() / own.size
    expected = 0.0
    for i in range(20):
        distance = [((z[i] - mu[j]) ** 2).sum() for j in range(3)]
        weights = np.exp([-one / (1.5 * scale2) for one in distance])
        expected += sum(w * one for w, one in zip(weights / weights.sum(), distance, strict=True))
    expected *= 3.0 / (20 * scale2 * 4)
    assert term.loss(torch.as_tensor(z)).item() == pytest.approx(expected, rel=1e-9)
    labels = ((z[:, None] - mu) ** 2).sum(axis=2).argmin(axis=1)
    np.testing.assert_array_equal(term.log_q(torch.as_tensor(z)).argmax(dim=1).numpy(), labels)


def test_tell_is_one_at_a_hard_start_and_its_centres_go_to_the_means():
    start = start_points(spread=0.1)
    term = TELLTerm(identity, start, FinetuneConfig(kind="tell"))
    assert term.loss(start.points).item() == pytest.approx(1.0, abs=1e-6)
    wanted = term.centres.detach().clone()
    with torch.no_grad():
        term.centres.add_(0.2)
    optimiser = torch.optim.Adam(term.parameters(), lr=0.02)
    for _ in range(300):
        optimiser.zero_grad()
        term.loss(start.points).backward()
        optimiser.step()
    torch.testing.assert_close(term.centres.detach(), wanted, atol=1e-2, rtol=0)


def test_beta_rises_over_the_epochs_that_it_is_given():
    start = start_points()
    for kind, build in (("december", DECEMberTerm), ("dec_joint", DECTerm), ("tell", TELLTerm)):
        more = {"tolerance": 0.0} if kind == "dec_joint" else {}
        whole = build(identity, start, FinetuneConfig(kind=kind, beta=2.0, **more))
        rising = build(identity, start, FinetuneConfig(kind=kind, beta=2.0, beta_rise=4, **more))
        found = []
        for epoch in range(1, 7):
            assert rising.start_epoch(start.points, epoch) is False
            found.append(rising.loss(start.points).item() / whole.loss(start.points).item())
        assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, 1.0, 1.0])


def test_a_restart_is_a_new_start_under_the_old_numbers():
    start = start_points(spread=1.5)
    term = DECEMberTerm(identity, start, FinetuneConfig(kind="december", restart_every=2))
    moved = start.points + 0.5 * torch.randn(start.points.shape, dtype=torch.float64)
    for _ in range(30):
        term.em_step(start.points)
    drifted = {name: value.clone() for name, value in term.state_dict().items()}
    assert [term.start_epoch(moved, epoch) for epoch in (1, 2)] == [False, False]
    for name, value in term.state_dict().items():
        assert torch.equal(value, drifted[name])
    assert term.start_epoch(moved, 3) is True
    labels = fit(moved.numpy(), "kmeans", n_clusters=3, seed=3, n_init=RESTART_STARTS).labels
    fresh = StartPoints(moved, torch.as_tensor(labels.astype(np.int64)), 3)
    again = DECEMberTerm(identity, fresh, FinetuneConfig(kind="december"))
    order = [int(torch.cdist(term.centres[j][None], again.centres).argmin()) for j in range(3)]
    assert sorted(order) == [0, 1, 2]
    for name in ("centres", "scales", "log_weights", "nu"):
        torch.testing.assert_close(getattr(term, name), getattr(again, name)[order])
    # Numbers are those of the clusters that the neurons had: well separated ones are all found again.
    kept = (term.log_q(moved).argmax(dim=1) == start.labels).double().mean()
    assert kept > 0.9


def test_restarts_come_every_so_many_epochs_and_never_where_none_are_asked_for(monkeypatch):
    seen = []
    monkeypatch.setattr(DECEMberTerm, "restart", lambda term, embedding, *, seed: seen.append(seed) or True)
    start = start_points()
    for every, expected in ((0, []), (1, [2, 3, 4, 5, 6, 7]), (3, [4, 7])):
        seen.clear()
        term = DECEMberTerm(identity, start, FinetuneConfig(kind="december", restart_every=every))
        for epoch in range(1, 8):
            term.start_epoch(start.points, epoch)
        assert seen == expected


def test_points_without_k_clusters_are_left_to_the_mixture_they_have():
    start = start_points()
    term = DECEMberTerm(identity, start, FinetuneConfig(kind="december", restart_every=1))
    before = {name: value.clone() for name, value in term.state_dict().items()}
    assert term.start_epoch(torch.ones_like(start.points), 2) is False
    for name, value in term.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_restart_up_to_a_roll_does_not_see_the_rolls():
    start = rolled_start(n=60)
    config = FinetuneConfig(kind="rotation_december", restart_every=1)
    by = torch.arange(60) % 4
    found = []
    for points in (start.points, rolled_by(start.points, by, 4)):
        term = RotationDECEMberTerm(identity, start, config)
        assert term.start_epoch(points, 2) is True
        found.append(term.log_q(points).argmax(dim=1))
    assert torch.equal(found[0], found[1])
    assert (found[0] == start.labels).double().mean() > 0.9


def test_an_average_does_not_mix_a_replaced_state_with_the_one_before():
    network, term = nn.Linear(2, 2), nn.Linear(3, 1)
    average = WeightAverage([network, term], 0.99)
    with torch.no_grad():
        for module in (network, term):
            module.weight.fill_(1.0)
    average.update()
    with torch.no_grad():
        for module in (network, term):
            module.weight.fill_(5.0)
    average.begin_anew(term)
    with average.applied():
        assert torch.equal(term.weight, torch.full((1, 3), 5.0))
        assert float(network.weight.detach().mean()) < 5.0


VARIANTS = {
    "tell": {"kind": "tell", "beta": 0.1},
    "sec": {"kind": "sec", "n_neighbors": 4},
    "ldmgi": {"kind": "ldmgi", "n_neighbors": 4},
    "balanced": {"kind": "dec_joint", "kernel": "scaled", "target": "balanced", "tolerance": 0.0},
    "restarts": {"kind": "december", "restart_every": 1},
    "rise": {"kind": "december", "beta_rise": 2, "beta_rule": "balanced"},
}


@pytest.mark.parametrize("name", VARIANTS)
def test_a_network_is_fine_tuned_by_every_variant_under_averaging(name, network, recordings, schedule):
    fitted = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="l2"))
    labels = fit(fitted.apply(network.embedding().detach().numpy()), "kmeans", n_clusters=3, seed=0).labels
    careful = schedule.model_copy(update={"weight_average": 0.9, "max_epochs": 4})
    results = [
        finetune(
            copy.deepcopy(network),
            recordings,
            fitted,
            labels,
            FinetuneConfig.from_params(VARIANTS[name]),
            careful,
            n_clusters=3,
            seed=0,
            device="cpu",
        )
        for _ in range(2)
    ]
    assert results[0].status == "ok"
    assert len(results[0].epochs) == 4
    assert all(record.term["gradient_norm_term"] > 0 for record in results[0].epochs)
    np.testing.assert_array_equal(results[0].points, results[1].points)


HASHES = {
    "dec": "d707a98caddc5fe4",
    "dec_joint": "31eb87bf3296e479",
    "dec_undetached": "0496246e908094dc",
    "december": "7909c733f93b4d27",
    "rotation_dec": "5ec51aa5568c2a82",
    "rotation_december": "8346f17dcd45b991",
}


@pytest.mark.parametrize("kind", HASHES)
def test_variants_that_had_rows_keep_their_hash(kind):
    assert config_hash(FinetuneConfig(kind=kind).resolved()).startswith(HASHES[kind])
    changed = {"beta_rise": 2} if kind != "dec" else {"alpha": 2.0}
    other = FinetuneConfig.from_params({"kind": kind, **changed})
    assert not config_hash(other.resolved()).startswith(HASHES[kind])
    assert FinetuneConfig.from_params(other.resolved()) == other


@pytest.mark.parametrize(
    ("params", "message"),
    [
        ({"kind": "dec", "beta_rise": 2}, "does not use beta_rise"),
        ({"kind": "dec_joint", "restart_every": 2}, "does not use restart_every"),
        ({"kind": "december", "target": "balanced"}, "does not use target"),
        ({"kind": "dec_joint", "balance": 2.0}, "sharpened target does not use balance"),
        ({"kind": "tell", "alpha": 2.0}, "does not use alpha"),
    ],
)
def test_what_a_variant_does_not_use_is_refused(params, message):
    with pytest.raises(ConfigError, match=message):
        FinetuneConfig.from_params(params)


@pytest.mark.parametrize("method", ["sec", "ldmgi", "spectral"])
def test_the_first_centres_are_the_means_of_whatever_partition_is_the_start(
    network, recordings, schedule, method
):
    """A partition of a graph has no centres of its own; a loss starts from the means of its members."""
    embedding = fit_map(network.embedding().detach().numpy(), EmbeddingConfig(kind="l2"))
    points = embedding.apply(network.embedding().detach().numpy())
    labels = fit(points, method, n_clusters=2, seed=0, n_neighbors=6).labels
    means = [np.mean([points[i] for i in range(len(points)) if labels[i] == j], axis=0) for j in (0, 1)]
    start = StartPoints(torch.as_tensor(points), torch.as_tensor(labels, dtype=torch.int64), 2)
    for term in (
        DECTerm(identity, start, FinetuneConfig(kind="dec_joint")),
        TELLTerm(identity, start, FinetuneConfig(kind="tell")),
        DECEMberTerm(identity, start, FinetuneConfig(kind="december")),
    ):
        centres = term.cluster_parameters(start.points, np.arange(2))["centres"]
        np.testing.assert_allclose(centres, means, rtol=1e-5)
    config = FinetuneConfig(kind="december", beta=0.1)
    result = finetune(
        network, recordings, embedding, labels, config, schedule, n_clusters=2, seed=0, device="cpu"
    )
    assert result.status == "ok"
