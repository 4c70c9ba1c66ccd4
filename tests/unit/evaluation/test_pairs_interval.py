"""The interval of a mean agreement over pairs of networks: literal jackknife, coverage, refusals."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from scipy.stats import t

from decortex.errors import InputError
from decortex.evaluation.agreement import ARI_BOUNDS, cut_interval, pairs_interval


def test_it_is_the_jackknife_over_networks_written_out():
    values = np.random.default_rng(0).random((5, 5))
    pairs = {(i, j): float(values[i, j]) for i, j in combinations(range(5), 2)}
    whole = sum(pairs.values()) / 10
    pseudo = []
    for left_out in range(5):
        rest = [pairs[i, j] for i, j in combinations([n for n in range(5) if n != left_out], 2)]
        pseudo.append(5 * whole - 4 * sum(rest) / 6)
    assert np.mean(pseudo) == pytest.approx(whole)
    half = t.ppf(0.975, 4) * np.std(pseudo, ddof=1) / np.sqrt(5)
    assert pairs_interval(pairs) == pytest.approx((whole - half, whole + half))


def test_it_covers_where_pairs_share_their_networks():
    """Agreement of a pair: a trait of each network, and noise of the pair. Pairs as the sample would cover far less."""
    rng = np.random.default_rng(1)
    covered, naive = 0, 0
    for _ in range(400):
        trait = rng.normal(size=4)
        pairs = {
            (i, j): 0.5 + 0.1 * (trait[i] + trait[j]) + 0.02 * rng.normal()
            for i, j in combinations(range(4), 2)
        }
        low, high = pairs_interval(pairs)
        covered += low <= 0.5 <= high
        values = np.array(list(pairs.values()))
        half = t.ppf(0.975, 5) * values.std(ddof=1) / np.sqrt(6)
        naive += abs(values.mean() - 0.5) <= half
    assert 0.92 <= covered / 400 <= 0.98
    assert naive / 400 < 0.90


def test_two_networks_have_no_interval_and_half_a_table_is_refused():
    assert pairs_interval({}) == (None, None)
    assert pairs_interval({(0, 1): 0.4}) == (None, None)
    with pytest.raises(InputError, match="every pair of 3 networks once, 3 in all, got 2"):
        pairs_interval({(0, 1): 0.4, (1, 2): 0.4})
    with pytest.raises(InputError, match="got 2"):
        pairs_interval({(0, 1): 0.4, (1, 0): 0.4})


def test_an_interval_of_an_index_ends_at_what_it_can_be_and_one_of_differences_does_not() -> None:
    pairs = {(0, 1): 0.55, (0, 2): 0.65, (1, 2): 0.85}
    low, high = pairs_interval(pairs)
    assert high is not None
    assert high > 1
    assert pairs_interval(pairs, bounds=ARI_BOUNDS) == (max(low, -0.5), 1.0)
    assert cut_interval(None, None, ARI_BOUNDS) == (None, None)
    assert cut_interval(-0.9, 0.2, ARI_BOUNDS) == (-0.5, 0.2)
