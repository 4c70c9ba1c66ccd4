"""Agreement indices against their formulas, their invariances and their undefined cases."""

from itertools import combinations
from math import comb, sqrt

import numpy as np
import pytest

from decortex.errors import InputError
from decortex.evaluation.agreement import agreement, contingency, matched_confusion, pairwise_agreement


def literal_ari_and_fm(a, b):
    """Count pairs of neurons one by one (Hubert & Arabie 1985; Fowlkes & Mallows 1983)."""
    pairs = list(combinations(range(len(a)), 2))
    same_a = [a[i] == a[j] for i, j in pairs]
    same_b = [b[i] == b[j] for i, j in pairs]
    both = sum(x and y for x, y in zip(same_a, same_b, strict=True))
    expected = sum(same_a) * sum(same_b) / comb(len(a), 2)
    ari = (both - expected) / ((sum(same_a) + sum(same_b)) / 2 - expected)
    return ari, both / sqrt(sum(same_a) * sum(same_b))


def test_pair_counts_agree_with_the_literal_formulas():
    rng = np.random.default_rng(0)
    a = rng.integers(0, 4, 60)
    b = np.where(rng.random(60) < 0.6, a, rng.integers(0, 6, 60))
    found = agreement(a, b)
    ari, fm = literal_ari_and_fm(a, b)
    assert found.ari == pytest.approx(ari, abs=1e-12)
    assert found.fowlkes_mallows == pytest.approx(fm, abs=1e-12)
    assert 0 < found.ami < 1
    assert 0 < found.v_measure < 1


def test_numbering_order_and_direction_do_not_matter():
    rng = np.random.default_rng(1)
    a, b = rng.integers(0, 4, 200), rng.integers(0, 3, 200)
    shuffle = rng.permutation(200)
    one, other = agreement(a, b), agreement(rng.permutation(4)[b][shuffle], (a + 5)[shuffle])
    for name in ("ari", "ami", "v_measure", "fowlkes_mallows"):
        assert getattr(one, name) == pytest.approx(getattr(other, name), abs=1e-12)


def test_equal_partitions_agree_fully_and_unrelated_ones_not():
    rng = np.random.default_rng(2)
    a = rng.integers(0, 5, 3000)
    same = agreement(a, 4 - a)
    assert (same.ari, same.ami) == pytest.approx((1.0, 1.0))
    chance = agreement(a, rng.permutation(a))
    assert abs(chance.ari) < 0.01
    assert abs(chance.ami) < 0.01


def test_trivial_partitions():
    ones, many = np.zeros(5, dtype=int), np.arange(5)
    assert agreement(ones, ones).status == "one_cluster"
    assert agreement(ones, ones).ari is None
    assert agreement(many, many).status == "all_singletons"
    collapsed = agreement(ones, np.array([0, 0, 1, 1, 2]))
    assert (collapsed.status, collapsed.ari) == ("ok", 0.0)
    assert collapsed.ami == pytest.approx(0.0, abs=1e-12)


def test_every_pair_is_compared_once():
    rng = np.random.default_rng(3)
    partitions = [rng.integers(0, 3, 50).astype(np.int16) for _ in range(4)]
    found = pairwise_agreement(partitions)
    assert [(pair.first, pair.second) for pair in found] == list(combinations(range(4), 2))
    assert found[-1].agreement == agreement(partitions[2], partitions[3])


def test_matching_finds_the_best_assignment():
    a = np.array([0, 0, 0, 1, 1, 1, 2, 2])
    b = np.array([1, 1, 1, 0, 0, 3, 3, 3])
    match = matched_confusion(a, b)
    assert match.table[0].tolist() == [0, 3, 0, 0]
    assert dict(zip(match.first.tolist(), match.second.tolist(), strict=True)) == {0: 1, 1: 0, 2: 3}
    assert match.share == pytest.approx(7 / 8)
    assert contingency(a, b).sum() == len(a)


def test_bad_labels_are_refused():
    with pytest.raises(InputError, match=r"\(3,\) and \(4,\)"):
        agreement(np.zeros(3, dtype=int), np.zeros(4, dtype=int))
    with pytest.raises(InputError, match="smallest is -2"):
        agreement(np.array([0, -2]), np.array([0, 1]))
    with pytest.raises(InputError, match="float64"):
        matched_confusion(np.array([0.0, 1.0]), np.array([0, 1]))
    with pytest.raises(InputError, match="at least 2 partitions"):
        pairwise_agreement([np.zeros(3, dtype=int)])
