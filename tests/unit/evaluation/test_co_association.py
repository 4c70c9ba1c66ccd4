"""Co-association and its communities: against loops over pairs, planted groups, and partitions that share nothing."""

from itertools import combinations

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.errors import InputError
from decortex.evaluation.agreement import co_association, communities, independent_communities


def noisy_copies(n, k, n_partitions, kept, seed):
    """A true partition, and partitions that keep a share of its labels under numberings of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    copies = [np.where(rng.random(n) < kept, truth, rng.integers(0, k, n)) for _ in range(n_partitions)]
    return truth, [rng.permutation(k)[one].astype(np.int16) for one in copies]


def literal_co_association(partitions):
    """Counted pair by pair, over the partitions that assign both."""
    n = len(partitions[0])
    found = np.zeros((n, n))
    for i in range(n):
        for j in range(n):
            both = [one for one in partitions if one[i] >= 0 and one[j] >= 0]
            if both:
                found[i, j] = sum(one[i] == one[j] for one in both) / len(both)
    return found


def with_gaps(partitions, seed):
    """The same, with a tenth of the neurons without a cluster in each."""
    rng = np.random.default_rng(seed)
    return [np.where(rng.random(len(one)) < 0.1, -1, one) for one in partitions]


def test_the_matrix_is_what_counting_every_pair_gives():
    _, partitions = noisy_copies(25, 3, 5, 0.6, seed=1)
    gaps = with_gaps(partitions, 2)
    np.testing.assert_allclose(co_association(gaps), literal_co_association(gaps), atol=1e-15)


def test_means_with_communities_are_those_of_the_matrix():
    _, partitions = noisy_copies(60, 3, 6, 0.7, seed=3)
    found = communities(partitions, seed=0)
    matrix = literal_co_association(partitions)
    np.fill_diagonal(matrix, np.nan)
    firm = 0
    for i in range(60):
        means = [
            np.nanmean(matrix[i, (found.labels == c) & (np.arange(60) != i)])
            for c in range(found.n_communities)
        ]
        mine = means.pop(found.labels[i])
        assert found.own[i] == pytest.approx(mine, abs=1e-12)
        assert found.other[i] == pytest.approx(max(means), abs=1e-12)
        firm += max(means) <= mine / 2
    assert found.firm_share == pytest.approx(firm / 60)
    pairs = [matrix[i, j] for i, j in combinations(range(60), 2)]
    assert found.chance == pytest.approx(np.mean(pairs))
    assert found.ari_members == pytest.approx([adjusted_rand_score(found.labels, one) for one in partitions])


def test_modularity_is_the_sum_over_pairs_that_defines_it():
    _, partitions = noisy_copies(40, 3, 5, 0.7, seed=4)
    found = communities(partitions, seed=0)
    weights = literal_co_association(partitions)
    np.fill_diagonal(weights, 0.0)
    degree, total = weights.sum(axis=1), weights.sum()
    together = found.labels[:, None] == found.labels
    expected = ((weights - np.outer(degree, degree) / total) * together).sum() / total
    assert found.modularity == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("planted", "asked", "kept"), [(3, 3, 0.7), (8, 8, 0.7), (4, 12, 0.8)], ids=["3", "8", "4 of 12"]
)
def test_planted_groups_are_recovered_with_their_number(planted, asked, kept):
    truth, partitions = noisy_copies(300, planted, 9, kept, seed=5)
    rng = np.random.default_rng(6)
    # Each partition splits every group at random: its K is larger than the number of groups.
    split = [
        one.astype(np.int64) * (asked // planted) + rng.integers(asked // planted, size=300)
        for one in partitions
    ]
    found = communities(split, seed=0)
    assert found.n_communities == planted
    assert adjusted_rand_score(truth, found.labels) > 0.95
    assert (np.diff(np.bincount(found.labels)) <= 0).all()


def test_neurons_beside_the_landmarks_follow_them():
    truth, partitions = noisy_copies(900, 4, 9, 0.8, seed=7)
    few, all_of_them = (communities(partitions, seed=0, n_landmarks=n) for n in (100, 900))
    assert (few.n_landmarks, all_of_them.n_landmarks) == (100, 900)
    assert adjusted_rand_score(truth, few.labels) > 0.97
    assert adjusted_rand_score(few.labels, all_of_them.labels) > 0.97


def test_numbering_of_clusters_and_repetition_change_nothing():
    _, partitions = noisy_copies(120, 4, 5, 0.6, seed=8)
    other = [np.array([7, 2, 40, 0])[one] for one in partitions]
    first, again = communities(partitions, seed=3), communities(other, seed=3)
    np.testing.assert_array_equal(first.labels, again.labels)
    assert first.modularity == again.modularity


def test_neurons_that_no_partition_assigns_have_no_community():
    _, partitions = noisy_copies(80, 3, 4, 0.8, seed=9)
    for one in partitions:
        one[:5] = -1
    found = communities(partitions, seed=0)
    assert (found.labels[:5] == -1).all()
    assert (found.labels[5:] >= 0).all()
    assert np.isnan(found.own[:5]).all()


def test_what_one_network_agrees_on_with_itself_is_no_agreement_between_networks():
    """Starts of one network that are all alike, networks that share nothing: the null must not be exceeded."""
    rng = np.random.default_rng(10)
    alone = [rng.integers(0, 4, 150) for _ in range(3)]
    partitions, networks = [one for one in alone for _ in range(3)], [i for i in range(3) for _ in range(3)]
    observed = communities(partitions, seed=0).modularity
    kept = independent_communities(partitions, networks, seed=0, n_draws=39)
    broken = independent_communities(partitions, range(9), seed=0, n_draws=19)
    assert 0.02 < np.mean([one.modularity >= observed for one in kept]) < 0.98
    assert max(one.modularity for one in broken) < observed


@pytest.mark.parametrize("shared", [False, True])
def test_the_null_tells_shared_groups_from_none(shared):
    truth, partitions = noisy_copies(150, 4, 4, 0.6, seed=11)
    if not shared:
        partitions = [np.random.default_rng(i).permutation(one) for i, one in enumerate(partitions)]
    observed = communities(partitions, seed=0)
    drawn = independent_communities(partitions, [0, 1, 2, 3], seed=1, n_draws=19)
    reached = sum(one.modularity >= observed.modularity for one in drawn)
    assert (reached == 0) is shared
    # What sessions alone give is in the null where neurons are permuted within them.
    within = independent_communities(partitions, [0, 1, 2, 3], seed=1, n_draws=3, blocks=truth)
    assert min(one.modularity for one in within) > max(one.modularity for one in drawn) or not shared


def test_trivial_partitions_have_a_status():
    assert communities([np.zeros(6, int)] * 2, seed=0).status == "one_community"
    nothing = communities([np.arange(6)] * 2, seed=0)
    assert (nothing.status, nothing.n_communities, nothing.ari_mean) == ("no_shared_cluster", 0, None)
    assert independent_communities([np.zeros(6, int)] * 2, ["a", "a"], seed=0) == []


def test_what_cannot_be_compared_is_refused():
    with pytest.raises(InputError, match="at least 2 partitions, got 1"):
        communities([[0, 1]], seed=0)
    with pytest.raises(InputError, match="needs partitions, got none"):
        co_association([])
    with pytest.raises(InputError, match="same neurons"):
        communities([[0, 1], [0, 1, 1]], seed=0)
    with pytest.raises(InputError, match="at least 2 neurons with a cluster"):
        communities([[0, -1], [0, -1]], seed=0)
    with pytest.raises(InputError, match="1 networks of 2 partitions"):
        independent_communities([[0, 1], [0, 1]], [0], seed=0)
    with pytest.raises(InputError, match="one block per neuron"):
        independent_communities([[0, 1], [0, 1]], [0, 1], seed=0, blocks=np.zeros(3))
