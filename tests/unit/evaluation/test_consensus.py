"""Consensus by voting: against a search over all matchings, known answers, and what it must not depend on."""

from itertools import combinations, permutations, product

import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from decortex.errors import InputError
from decortex.evaluation.agreement import consensus


def noisy_copies(n, k, n_partitions, kept, seed):
    """Partitions that each keep a share of one true partition's labels, under numberings of their own."""
    rng = np.random.default_rng(seed)
    truth = rng.integers(0, k, n)
    copies = []
    for _ in range(n_partitions):
        one = np.where(rng.random(n) < kept, truth, rng.integers(0, k, n))
        copies.append(rng.permutation(k)[one].astype(np.int16))
    return truth, copies


def best_agreement_of_all(partitions, k):
    """Highest criterion over every combination of numberings (the first partition keeps its own)."""
    numberings = [np.array(one) for one in permutations(range(k))]
    best = 0.0
    for rest in product(numberings, repeat=len(partitions) - 1):
        named = [partitions[0], *(new[one] for new, one in zip(rest, partitions[1:], strict=True))]
        best = max(best, np.mean([np.mean(a == b) for a, b in combinations(named, 2)]))
    return best


@pytest.mark.parametrize("seed", range(6))
def test_the_matching_is_the_best_of_all(seed):
    _, partitions = noisy_copies(24, 3, 4, 0.6, seed)
    found = consensus(partitions, 3)
    assert found.agreement == pytest.approx(best_agreement_of_all(partitions, 3), abs=1e-12)
    named = [match[one] for match, one in zip(found.matches, partitions, strict=True)]
    reached = np.mean([np.mean(a == b) for a, b in combinations(named, 2)])
    assert found.agreement == pytest.approx(reached, abs=1e-12)


def test_labels_and_support_are_the_votes_counted_one_by_one():
    _, partitions = noisy_copies(60, 4, 7, 0.5, seed=9)
    found = consensus(partitions, 4)
    for i in range(60):
        votes = [int(match[one[i]]) for match, one in zip(found.matches, partitions, strict=True)]
        counts = np.bincount(votes, minlength=4)
        assert counts[found.labels[i]] == counts.max()
        assert found.support[i] == pytest.approx(counts.max() / 7, abs=1e-12)
    assert (np.diff(np.bincount(found.labels, minlength=4)) <= 0).all()


def test_many_poor_copies_give_the_truth_back():
    truth, partitions = noisy_copies(600, 5, 15, 0.5, seed=1)
    single = max(adjusted_rand_score(truth, one) for one in partitions)
    joined = adjusted_rand_score(truth, consensus(partitions, 5).labels)
    assert single < 0.4
    assert joined > 0.95


def test_numberings_do_not_matter():
    rng = np.random.default_rng(3)
    _, partitions = noisy_copies(120, 4, 6, 0.7, seed=2)
    renamed = [rng.permutation(4)[one].astype(np.int16) for one in partitions]
    one, other = consensus(partitions, 4), consensus(renamed, 4)
    np.testing.assert_array_equal(one.labels, other.labels)
    np.testing.assert_array_equal(one.support, other.support)


def test_equal_partitions_are_their_own_consensus():
    labels = np.array([0, 0, 0, 1, 1, 2], dtype=np.int16)
    found = consensus([labels, 2 - labels, labels], 3)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.agreement == 1.0
    assert (found.support == 1.0).all()


def test_neurons_without_a_place_do_not_vote():
    a = np.array([0, 0, 1, 1, -1, -1])
    b = np.array([1, -1, 0, 0, 0, -1])
    found = consensus([a, b], 2)
    np.testing.assert_array_equal(found.labels, [1, 1, 0, 0, 0, -1])
    np.testing.assert_array_equal(found.n_votes, [2, 1, 2, 2, 1, 0])
    assert np.isnan(found.support[5])
    np.testing.assert_array_equal(found.support[:5], 1.0)


def test_what_cannot_vote_is_refused():
    labels = np.array([0, 1, 2])
    with pytest.raises(InputError, match="at least 2 partitions"):
        consensus([labels], 3)
    with pytest.raises(InputError, match="below n_clusters=2, but reach 2"):
        consensus([labels, labels], 2)
    with pytest.raises(InputError, match="same neurons"):
        consensus([labels, labels[:2]], 3)
