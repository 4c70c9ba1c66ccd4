"""States of a fine-tuned network: any of them embedded and clustered, agreement and truth over networks."""

from __future__ import annotations

import copy

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score, silhouette_score

from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import InputError
from decortex.finetune import (
    OWN_LABELS,
    FinetuneConfig,
    StatePartition,
    carry_partition,
    cluster_state,
    compare_states,
    continue_training,
    embed,
    finetune,
)
from decortex.models import Network
from decortex.models.training import TrainingConfig, fit_network

METHODS = {"kmeans": ("kmeans", {"n_init": 3}), "mixture": ("gmm", {"covariance": "diag", "n_init": 2})}
L2 = EmbeddingConfig(kind="l2")


def states_of(network, recordings, seed):
    """Every state of one network, trained jointly from its first epoch on."""
    training = TrainingConfig(learning_rate=1e-2, batch_size=32, max_epochs=3, schedule="plateau")
    half = fit_network(network, recordings, training, seed=seed, until=1, device="cpu").handover
    start, control, tuned = (Network.from_checkpoint(network.checkpoint()) for _ in range(3))
    continue_training(control, recordings, training, seed=seed, after=half, device="cpu")
    partitions = cluster_state(embed(start, L2), METHODS, state="start", n_clusters=2, seed=0)
    result = finetune(
        tuned,
        recordings,
        fit_map(start.embedding().detach().numpy(), L2),
        partitions[0].labels,
        FinetuneConfig(kind="tell"),
        training,
        n_clusters=2,
        seed=seed,
        after=half,
        device="cpu",
    )
    points = embed(tuned, L2)
    np.testing.assert_allclose(points, result.points, atol=1e-6)
    return [
        *partitions,
        *cluster_state(embed(control, L2), METHODS, state="control", n_clusters=2, seed=0),
        StatePartition(
            "control_carried",
            "kmeans",
            carry_partition(embed(control, L2), partitions[0].labels),
            embed(control, L2),
        ),
        StatePartition("fine_tuned", OWN_LABELS, result.labels, points),
        *cluster_state(points, METHODS, state="fine_tuned_afresh", n_clusters=2, seed=0),
    ]


def test_every_state_is_clustered_by_every_method_and_compared(network, recordings):
    networks = [states_of(copy.deepcopy(network), recordings, seed) for seed in (0, 1)]
    rows = compare_states(networks, recordings.truth)
    assert [(row.state, row.method) for row in rows] == [
        ("start", "kmeans"),
        ("start", "mixture"),
        ("control", "kmeans"),
        ("control", "mixture"),
        ("control_carried", "kmeans"),
        ("fine_tuned", "own"),
        ("fine_tuned_afresh", "kmeans"),
        ("fine_tuned_afresh", "mixture"),
    ]
    for row in rows:
        own = [
            one
            for partitions in networks
            for one in partitions
            if (one.state, one.method) == (row.state, row.method)
        ]
        assert row.n_networks == 2
        assert row.agreement == pytest.approx(adjusted_rand_score(own[0].labels, own[1].labels))
        truth = [adjusted_rand_score(one.labels, recordings.truth) for one in own]
        assert row.truth == pytest.approx(np.mean(truth))
        silhouettes = [silhouette_score(one.points, one.labels) for one in own]
        assert row.silhouette_state == pytest.approx(np.mean(silhouettes), abs=1e-6)
        starts = [silhouette_score(p[0].points, one.labels) for p, one in zip(networks, own, strict=True)]
        assert row.silhouette_start == pytest.approx(np.mean(starts), abs=1e-6)


def test_what_is_not_known_is_none_and_excluded_neurons_are_left_out():
    rng = np.random.default_rng(0)
    points = np.concatenate([rng.normal(size=(20, 3)), 9 + rng.normal(size=(20, 3))])
    truth = np.repeat([0, 1], 20)
    points[3] = np.nan
    partitions = cluster_state(points, METHODS, state="control", n_clusters=2, seed=0)
    assert [one.labels[3] for one in partitions] == [-1, -1]
    (row, _) = compare_states([partitions])
    assert (row.agreement, row.truth, row.silhouette_start, row.n_networks) == (None, None, None, 1)
    assert compare_states([partitions], truth)[0].truth == 1.0


def test_networks_of_other_neurons_or_with_a_state_twice_are_refused():
    points = np.random.default_rng(1).normal(size=(20, 3))
    one = cluster_state(points, METHODS, state="start", n_clusters=2, seed=0)
    other = cluster_state(points[:15], METHODS, state="start", n_clusters=2, seed=0)
    with pytest.raises(InputError, match=r"partitions label \[15, 20\] neurons"):
        compare_states([one, other])
    with pytest.raises(InputError, match=r"label \[20\] neurons, 12 have a type"):
        compare_states([one], np.zeros(12, dtype=int))
    with pytest.raises(InputError, match="network 0 has a state and method twice"):
        compare_states([[*one, *one]])


def lloyd(points, labels):
    """The literal reference: means of the clusters, every neuron to the nearest, until no label changes."""
    clusters = sorted(set(labels.tolist()) - {-1})
    means = [points[labels == cluster].mean(axis=0) for cluster in clusters]
    found = None
    while True:
        nearest = [int(np.argmin([((one - mean) ** 2).sum() for mean in means])) for one in points]
        if nearest == found:
            return [clusters[one] for one in nearest]
        found = nearest
        means = [points[np.array(found) == i].mean(axis=0) for i in range(len(clusters))]


@pytest.mark.parametrize("seed", range(4))
def test_a_partition_is_carried_by_lloyds_iterations_from_its_means(seed):
    rng = np.random.default_rng(seed)
    early = np.repeat([0, 4, 7], 30)
    later = rng.normal(size=(90, 3)) + 1.2 * np.eye(3)[np.repeat([0, 1, 2], 30)]
    carried = carry_partition(later, early.astype(np.int16))
    assert carried.tolist() == lloyd(later, early)
    assert set(carried) == {0, 4, 7}  # clusters keep their numbers
    assert 0 < np.mean(carried != early) < 0.6


def test_what_has_no_place_is_left_out_and_what_had_none_joins_the_nearest_cluster():
    later = np.array([[0.0], [0.1], [np.nan], [1.0], [1.1], [0.9]])
    carried = carry_partition(later, np.array([3, 3, 3, 1, 1, -1]))
    assert carried.tolist() == [3, 3, -1, 1, 1, 1]
    coincide = carry_partition(np.ones((4, 2)), np.array([0, 0, 1, 1]))
    assert set(coincide) <= {0, 1}
    with pytest.raises(InputError, match="6 points and 5 labels"):
        carry_partition(later, np.zeros(5, dtype=int))
    with pytest.raises(InputError, match="no neuron has both a place"):
        carry_partition(later, np.full(6, -1))
