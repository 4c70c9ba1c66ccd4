"""Mutual learning: targets of other networks against a literal reference, gradients, two networks that meet."""

from __future__ import annotations

import copy
import math
from itertools import permutations

import numpy as np
import pytest
import torch
from scipy.optimize import minimize
from sklearn.metrics import adjusted_rand_score
from torch import nn

from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import ConfigError, InputError
from decortex.finetune import FinetuneConfig, PeerPartition, build_term, finetune
from decortex.finetune.losses import MutualTerm, StartPoints, peer_log_target

MUTUAL = FinetuneConfig(kind="mutual", kernel="scaled", peer_seeds=(0, 1, 2))


def identity(weights):
    return weights


def view(labels, seed, spread=1.0, d=4, scale=3.0):
    """Points around one centre per cluster, as one network might hold them."""
    rng = np.random.default_rng(seed)
    centres = scale * rng.normal(size=(int(labels.max()) + 1, d))
    return centres[labels] + spread * rng.normal(size=(len(labels), d))


def start_of(points, labels, n_clusters):
    return StartPoints(torch.as_tensor(points), torch.as_tensor(labels), n_clusters)


def literal_target(labels, k, peers, *, alpha, epsilon, balance):
    """Target, a neuron at a time: Student assignments, the best of all matchings, the mean, and its optimisation."""
    n, total = len(labels), np.zeros((len(labels), k))
    for peer in peers:
        centres = [peer.points[peer.labels == j].mean(axis=0) for j in range(k)]
        d = peer.points.shape[1]
        scale2 = np.mean([(peer.points[i] - centres[peer.labels[i]]) ** 2 for i in range(n)])
        q = np.zeros((n, k))
        for i in range(n):
            for j in range(k):
                distance = sum((peer.points[i, f] - centres[j][f]) ** 2 for f in range(d))
                q[i, j] = (1 + distance / (alpha * scale2)) ** (-(alpha + d) / 2)
            q[i] /= q[i].sum()
        overlap = {p: sum(q[i, p[labels[i]]] for i in range(n)) for p in permutations(range(k))}
        best = max(overlap, key=overlap.get)
        for i in range(n):
            for j in range(k):
                total[i, j] += q[i, best[j]]
    mean = total / len(peers)

    def negative(free):
        p = np.exp(free.reshape(n, k))
        p /= p.sum(axis=1, keepdims=True)
        sizes = p.sum(axis=0)
        kept = (p * np.log(mean)).sum() - epsilon * (p * np.log(p)).sum()
        return -kept + balance * (sizes * np.log(sizes / (n / k)) - sizes + n / k).sum()

    free = minimize(negative, np.zeros(n * k), method="BFGS", options={"gtol": 1e-7}).x
    p = np.exp(free.reshape(n, k))
    return p / p.sum(axis=1, keepdims=True)


def test_the_target_is_the_literal_one():
    labels = np.array([0, 0, 0, 1, 1, 2, 2, 2, 2])
    rng = np.random.default_rng(3)
    peers = []
    for seed, order in ((1, [2, 0, 1]), (2, [1, 2, 0])):
        theirs = np.asarray(order)[labels]
        theirs[seed] = (theirs[seed] + 1) % 3  # they do not agree on every neuron
        peers.append(PeerPartition(view(theirs, seed, d=2 + seed), theirs))
    config = MUTUAL.model_copy(update={"transport_epsilon": 0.4, "balance": 0.7, "alpha": 1.5})
    points = rng.normal(size=(9, 5))
    peers.append(PeerPartition(points, labels))  # its own
    found = peer_log_target(start_of(points, labels, 3), peers, config)
    expected = literal_target(labels, 3, peers, alpha=1.5, epsilon=0.4, balance=0.7)
    np.testing.assert_allclose(found.exp().numpy(), expected, atol=1e-4)
    assert (found.exp().argmax(dim=1).numpy() == labels).mean() > 0.6, "matched to the learner's clusters"


def test_names_of_the_others_clusters_and_their_order_do_not_matter():
    labels = np.arange(30) % 3
    points = view(labels, 5)
    start = start_of(view(labels, 6), labels, 3)
    plain = peer_log_target(start, [PeerPartition(points, labels), PeerPartition(2 * points, labels)], MUTUAL)
    renamed = np.array([1, 2, 0])[labels]
    other = [PeerPartition(2 * points, labels), PeerPartition(points, renamed)]
    torch.testing.assert_close(peer_log_target(start, other, MUTUAL), plain)


def test_a_cluster_that_others_lack_is_kept_by_the_balance():
    labels = np.arange(40) % 4
    merged = np.where(labels == 3, 0, labels)
    start = start_of(view(labels, 7, spread=3.0), labels, 4)
    peers = [PeerPartition(view(merged, 8 + i, spread=0.3), merged) for i in range(5)]
    peers.append(PeerPartition(start.points.numpy(), labels))
    sizes = {
        balance: peer_log_target(start, peers, MUTUAL.model_copy(update={"balance": balance}))
        .exp()
        .sum(dim=0)
        for balance in (1e-6, 1e6)
    }
    assert sizes[1e-6].min() < 8, "the others' three clusters draw, without a balance"
    assert sizes[1e6].min() > 9.9, "four of ten neurons"


def test_the_gradient_is_that_of_finite_differences():
    labels = np.arange(12) % 3
    points = view(labels, 1)
    start = start_of(points, labels, 3)
    target = peer_log_target(start, [PeerPartition(view(labels, 2), np.roll(labels, 1))], MUTUAL)
    held = StartPoints(start.points, start.labels, 3, log_target=target)
    term = build_term(identity, held, MUTUAL.model_copy(update={"beta": 0.3}))
    assert isinstance(term, MutualTerm)
    weights = nn.Parameter(torch.as_tensor(points) + 0.1)
    term.loss(weights).backward()
    for parameter in (weights, term.centres):
        for i, f in ((0, 0), (2, 3), (1, 1)):
            values = []
            for step in (1e-6, -1e-6):
                with torch.no_grad():
                    parameter[i, f] += step
                    values.append(term.loss(weights).item())
                    parameter[i, f] -= step
            assert parameter.grad[i, f].item() == pytest.approx(
                (values[0] - values[1]) / 2e-6, rel=1e-4, abs=1e-9
            )


def test_the_loss_is_the_literal_kl_and_its_target_stays():
    labels = np.arange(12) % 3
    start = start_of(view(labels, 1), labels, 3)
    target = peer_log_target(start, [PeerPartition(view(labels, 2), labels)], MUTUAL)
    term = MutualTerm(identity, StartPoints(start.points, start.labels, 3, log_target=target), MUTUAL)
    moved = start.points + 0.2
    q, total = term.log_q(moved).exp().detach(), 0.0
    for i in range(12):
        for j in range(3):
            p = math.exp(target[i, j])
            total += p * math.log(p / q[i, j]) / 12
    assert term.kl(moved).item() == pytest.approx(total)
    for _ in range(50):
        term.after_step(moved)
        assert term.kl(moved).item() == pytest.approx(total)
    torch.testing.assert_close(term.log_p, target)
    assert term.start.kl == pytest.approx(term.kl(start.points).item())


def descend(points, labels, peers, n_clusters, *, balance=1.0, steps=100):
    """Points and labels of one network after a round; every point may move."""
    config = MUTUAL.model_copy(update={"balance": balance})
    start = start_of(points, labels, n_clusters)
    target = peer_log_target(start, peers, config)
    term = MutualTerm(
        identity, StartPoints(start.points, start.labels, n_clusters, log_target=target), config
    )
    weights = nn.Parameter(start.points.clone())
    optimiser = torch.optim.Adam([weights, term.centres], lr=0.05)
    for _ in range(steps):
        optimiser.zero_grad()
        term.loss(weights).backward()
        optimiser.step()
    return weights.detach().numpy(), term.log_q(weights.detach()).argmax(dim=1).numpy()


def test_two_networks_move_together_round_by_round_and_keep_all_clusters():
    truth = np.arange(80) % 4
    rng = np.random.default_rng(0)
    pairs = []
    for seed in (1, 2):
        labels = truth.copy()
        labels[rng.choice(80, 24, replace=False)] = rng.integers(0, 4, 24)  # each errs on neurons of its own
        pairs.append((view(truth, seed, spread=2.0, scale=2.0), labels))
    agreed = [adjusted_rand_score(pairs[0][1], pairs[1][1])]
    first = pairs
    for _ in range(2):  # every round starts anew, from what both were a round before
        peers = [PeerPartition(*pair) for pair in pairs]
        pairs = [descend(*own, peers, 4) for own in first]
        agreed.append(adjusted_rand_score(pairs[0][1], pairs[1][1]))
    assert agreed[1] > agreed[0] + 0.2
    assert agreed[2] > agreed[0] + 0.2
    for _, labels in pairs:
        assert np.bincount(labels, minlength=4).min() >= 8, "no collapse"


def test_networks_that_put_all_neurons_into_one_cluster_do_not_teach_that():
    labels = np.arange(60) % 3
    points, one = view(labels, 4), np.zeros(60, dtype=int)
    one[:2] = (1, 2)
    peers = [PeerPartition(view(one, 5 + i, spread=0.1), one) for i in range(3)]
    peers.append(PeerPartition(points, labels))
    sizes = {
        balance: np.bincount(descend(points, labels, peers, 3, balance=balance)[1], minlength=3)
        for balance in (1e-6, 100.0)
    }
    assert sizes[1e-6].max() > 50, f"without a balance they do: {sizes}"
    assert sizes[100.0].min() >= 10, f"{sizes}"


class Map:
    def __init__(self, weights):
        self.fitted = fit_map(weights, EmbeddingConfig(kind="zscore"))

    def apply_torch(self, weights):
        return self.fitted.apply_torch(weights)


def test_two_trained_networks_meet(network, recordings, schedule):
    """A round on networks that predict: agreement rises, both clusters live, equal seeds give equal bits."""
    other = copy.deepcopy(network)
    weights = network.embedding().detach().numpy()
    points = Map(weights).apply_torch(torch.as_tensor(weights)).numpy()
    rng = np.random.default_rng(1)
    partitions = []
    for _ in range(2):
        labels = recordings.truth.copy()
        wrong = rng.choice(len(labels), 5, replace=False)
        labels[wrong] = 1 - labels[wrong]
        partitions.append(labels)
    config = FinetuneConfig(kind="mutual", kernel="scaled", peer_seeds=(0, 1), beta=10.0)
    how = schedule.model_copy(update={"max_epochs": 6})

    def run(net, own, theirs):
        peers = [PeerPartition(points, one) for one in (own, theirs)]
        return finetune(
            net, recordings, Map(weights), own, config, how, n_clusters=2, seed=3, peers=peers, device="cpu"
        )

    again = copy.deepcopy(network)
    first, second = run(network, *partitions), run(other, *partitions[::-1])
    before = adjusted_rand_score(*partitions)
    assert adjusted_rand_score(first.labels, second.labels) > before
    for result in (first, second):
        assert np.bincount(result.labels, minlength=2).min() >= 4
        assert result.status == "ok"
        assert result.end.kl < result.start.kl
    repeated = run(again, *partitions)
    np.testing.assert_array_equal(repeated.points, first.points)
    assert repeated.checkpoint.keys() == first.checkpoint.keys()


def test_what_does_not_fit_is_refused(network, recordings, schedule):
    labels = np.arange(12) % 3
    start = start_of(view(labels, 1), labels, 3)
    for peers, message in (
        ([], "needs the partitions of the networks"),
        (
            [PeerPartition(np.zeros((11, 2)), labels[:11])],
            "12 neurons, network 0 that it learns from 11 points",
        ),
        (
            [PeerPartition(view(labels, 2), np.where(labels == 2, -1, labels))],
            "does not place 4 of 12 neurons",
        ),
    ):
        with pytest.raises(InputError, match=message):
            peer_log_target(start, peers, MUTUAL)
    with pytest.raises(ConfigError, match="needs the target of other networks"):
        MutualTerm(identity, start, MUTUAL)
    whose = np.arange(24) % 2
    weights = network.embedding().detach().numpy()
    for config, peers in (
        (FinetuneConfig(kind="mutual", peer_seeds=(0, 1)), []),
        (FinetuneConfig(kind="dec_joint"), [PeerPartition(weights, whose)]),
    ):
        with pytest.raises(ConfigError, match=f"came with {len(peers)} partitions of networks"):
            finetune(
                network, recordings, Map(weights), whose, config, schedule, n_clusters=2, seed=0, peers=peers
            )
    for params in ({}, {"peer_seeds": (1,)}, {"peer_seeds": (1, 0)}, {"peer_seeds": (0, 0)}):
        with pytest.raises(ConfigError, match="two or more increasing seeds"):
            FinetuneConfig(kind="mutual", **params)
    with pytest.raises(ConfigError, match="does not use heads"):
        FinetuneConfig(kind="mutual", peer_seeds=(0, 1), heads=(2, 4))
    with pytest.raises(ConfigError, match="does not use peer_seeds"):
        FinetuneConfig(kind="tell", peer_seeds=(0, 1))


def test_its_parameters_come_back_from_rows():
    config = FinetuneConfig(kind="mutual", peer_seeds=(0, 1, 2), balance=2.0, round=2)
    resolved = config.resolved()
    assert resolved["balance"] == 2.0
    assert resolved["round"] == 2
    assert "target" not in resolved
    stored = {**resolved, "peer_seeds": list(resolved["peer_seeds"])}  # as JSON holds it
    assert FinetuneConfig.from_params(stored) == config
    assert config.agrees_by_construction
    assert not FinetuneConfig(kind="tell").agrees_by_construction
    assert FinetuneConfig(kind="tell", start="shared", start_study="s").agrees_by_construction
