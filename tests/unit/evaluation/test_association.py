"""Performance against cluster: references, undefined cases, and the error rates of the tests themselves."""

from itertools import permutations, product

import numpy as np
import pytest
from scipy.stats import binom, kruskal, mannwhitneyu, rankdata
from statsmodels.stats.multitest import multipletests

import decortex
from decortex.errors import InputError
from decortex.evaluation.association import (
    associate,
    pairwise_tests,
    permutation_p,
    summarise_clusters,
    within_session_null,
)


def tied_scores(rng, n=120):
    labels = rng.integers(0, 4, n)
    return np.round(rng.normal(size=n) + 0.4 * labels, 1), labels, rng.integers(0, 3, n)


def test_kruskal_wallis_equals_scipy_with_ties():
    y, labels, sessions = tied_scores(np.random.default_rng(0))
    found = associate(y, labels, sessions, seed=0, n_permutations=99)
    h, p = kruskal(*[y[labels == j] for j in range(4)])
    assert found.h == pytest.approx(h, rel=1e-10)
    assert found.p_kruskal == pytest.approx(p, rel=1e-8)
    assert found.epsilon2 == pytest.approx(h / (len(y) - 1), rel=1e-10)
    assert found.epsilon2_corrected == pytest.approx((h - 3) / (len(y) - 4), rel=1e-10)
    assert found.epsilon2_low <= found.epsilon2_corrected <= found.epsilon2_high
    assert (found.n_clusters, found.n_sessions, found.n_excluded) == (4, 3, 0)


def literal_statistic(y, labels, sessions):
    ridits = np.empty(len(y))
    for s in set(sessions.tolist()):
        here = np.flatnonzero(sessions == s)
        ranks = rankdata(y[here])
        for place, i in enumerate(here):
            ridits[i] = (ranks[place] - (len(here) + 1) / 2) / (len(here) + 1)
    between = sum((labels == j).sum() * ridits[labels == j].mean() ** 2 for j in set(labels.tolist()))
    return between / (ridits**2).sum()


def test_statistic_equals_the_literal_transcription():
    y, labels, sessions = tied_scores(np.random.default_rng(1))
    observed, null = within_session_null(y, [labels, labels // 2], sessions * 10, seed=0, n_permutations=7)
    assert observed[0] == pytest.approx(literal_statistic(y, labels, sessions), rel=1e-10)
    assert observed[1] == pytest.approx(literal_statistic(y, labels // 2, sessions), rel=1e-10)
    assert null.shape == (7, 2)


def test_permutations_follow_the_complete_enumeration():
    y = np.array([0.3, 0.9, 0.1, 0.5, 2.0, 1.0, 1.7])
    labels = np.array([0, 1, 0, 1, 0, 1, 1])
    sessions = np.array([1, 1, 1, 1, 0, 0, 0])
    exact = []
    for first, second in product(permutations(range(4)), permutations(range(3))):
        shuffled = np.concatenate([y[:4][list(first)], y[4:][list(second)]])
        exact.append(literal_statistic(shuffled, labels, sessions))
    observed, null = within_session_null(y, [labels], sessions, seed=2, n_permutations=20_000)
    values, counts = np.unique(np.round(exact, 10), return_counts=True)
    drawn = np.array([np.isclose(null[:, 0], value, atol=1e-9).sum() for value in values])
    assert drawn.sum() == 20_000
    share = counts / counts.sum()
    assert (np.abs(drawn / 20_000 - share) < 5 * np.sqrt(share / 20_000)).all()
    exact_p = np.mean(np.array(exact) >= observed[0] - 1e-9)
    assert permutation_p(observed[0], null[:, 0]) == pytest.approx(exact_p, abs=0.02)


def test_partitions_share_their_permutations():
    y, labels, sessions = tied_scores(np.random.default_rng(3))
    _, alone = within_session_null(y, [labels], sessions, seed=5, n_permutations=50)
    _, together = within_session_null(y, [labels // 2, labels], sessions, seed=5, n_permutations=50)
    np.testing.assert_array_equal(alone[:, 0], together[:, 1])


def test_blocks_do_not_change_the_numbers(monkeypatch):
    y, labels, sessions = tied_scores(np.random.default_rng(4))
    _, whole = within_session_null(y, [labels], sessions, seed=5, n_permutations=50)
    monkeypatch.setattr("decortex.evaluation.association.permutation._CHUNK_ELEMENTS", len(y))
    _, blocks = within_session_null(y, [labels], sessions, seed=5, n_permutations=50)
    np.testing.assert_array_equal(blocks, whole)


def test_within_sessions_the_level_and_scale_of_a_session_do_not_matter():
    y, labels, sessions = tied_scores(np.random.default_rng(6))
    one = associate(y, labels, sessions, seed=1, n_permutations=199)
    other = associate(y * (1 + sessions) + 5 * sessions, labels, sessions, seed=1, n_permutations=199)
    assert other.epsilon2_within == one.epsilon2_within
    assert other.p_permutation == one.p_permutation
    assert other.h != one.h


def test_p_is_never_zero_and_a_clear_effect_reaches_the_smallest_p():
    labels = np.repeat([0, 1], 50)
    found = associate(
        labels + np.linspace(0, 0.5, 100), labels, np.tile([0, 1], 50), seed=0, n_permutations=499
    )
    assert found.p_permutation == 1 / 500
    assert found.epsilon2 > 0.7


def test_tied_permutations_count_as_reaching_the_observed_value():
    # Two neurons per session: every permutation has the same statistic up to rounding.
    y, labels, sessions = np.array([0.1, 0.7]), np.array([0, 1]), np.zeros(2, dtype=int)
    observed, null = within_session_null(y, [labels], sessions, seed=0, n_permutations=99)
    assert permutation_p(observed[0], null[:, 0]) == 1.0


@pytest.mark.parametrize(
    ("scores", "labels", "sessions", "status", "permutation_status"),
    [
        ([np.nan] * 4, [0, 0, 1, 1], [0] * 4, "no_scores", "not_tested"),
        ([1.0, 2.0, 3.0, np.nan], [0, 0, 0, 1], [0] * 4, "one_cluster", "not_tested"),
        ([1.0, 2.0, 3.0], [0, 1, 2], [0] * 3, "too_few_neurons", "not_tested"),
        ([1.0] * 4, [0, 0, 1, 1], [0] * 4, "constant_scores", "not_tested"),
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 1, 1], [0, 0, 1, 1], "ok", "cluster_is_session"),
        ([1.0, 1.0, 3.0, 3.0], [0, 1, 0, 1], [0, 0, 1, 1], "ok", "constant_in_sessions"),
        ([1.0, 2.0, 3.0, 4.0], [0, 0, 0, 1], [0] * 4, "ok", "clusters_too_small"),
        (np.arange(24.0) ** 2 % 7, [0] * 9 + [1] * 15, [0, 1] * 12, "ok", "ok"),
    ],
)
def test_undefined_tests_have_a_status(scores, labels, sessions, status, permutation_status):
    found = associate(np.array(scores), np.array(labels), np.array(sessions), seed=0, n_permutations=19)
    assert (found.status, found.permutation_status) == (status, permutation_status)
    assert (found.h is None) == (found.epsilon2_low is None) == (status != "ok")
    assert (found.p_permutation is None) == (permutation_status != "ok")
    assert found.n_neurons + found.n_excluded == len(scores)


def test_cluster_summaries_keep_clusters_without_a_score():
    found = summarise_clusters(np.array([1.0, 2.0, 4.0, np.nan, 7.0]), np.array([2, 2, 2, 0, 5]))
    assert [(s.cluster, s.n, s.n_defined) for s in found] == [(0, 1, 0), (2, 3, 3), (5, 1, 1)]
    assert found[0].mean is found[0].median is None
    assert (found[1].mean, found[1].median) == pytest.approx((7 / 3, 2.0))
    assert found[1].sd == pytest.approx(np.std([1, 2, 4], ddof=1))
    assert found[2].sd is None


def test_pairs_equal_scipy_and_statsmodels():
    y, labels, _ = tied_scores(np.random.default_rng(7))
    y[labels == 3] = np.where(np.arange((labels == 3).sum()) % 2, np.nan, y[labels == 3])
    pairs = pairwise_tests(y, labels)
    assert len(pairs) == 6
    for pair in pairs:
        a, b = (y[(labels == j) & ~np.isnan(y)] for j in (pair.first, pair.second))
        expected = mannwhitneyu(a, b, method="asymptotic")
        assert pair.p == pytest.approx(expected.pvalue, rel=1e-10)
        assert (pair.n_first, pair.n_second) == (len(a), len(b))
        literal = np.mean(np.sign(a[:, None] - b[None]))
        assert pair.rank_biserial == pytest.approx(literal, abs=1e-12)
    expected = multipletests([pair.p for pair in pairs], method="holm")[1]
    np.testing.assert_allclose([pair.p_holm for pair in pairs], expected, atol=1e-12)


def test_pairs_with_nothing_to_compare_are_none_and_do_not_count():
    pairs = pairwise_tests(np.array([1.0, 1.0, np.nan, 1.0, 1.0]), np.array([0, 0, 1, 2, 2]))
    assert [pair.p for pair in pairs] == [None, 1.0, None]
    assert [pair.p_holm for pair in pairs] == [None, 1.0, None]


def null_set(rng):
    """No effect of cluster within a session; sessions differ in level and in the mix of their clusters."""
    sizes = rng.integers(15, 60, 5)
    sessions = np.repeat(np.arange(5), sizes)
    mixes = rng.dirichlet(np.full(4, 1.5), 5)
    labels = np.array([rng.choice(4, p=mixes[s]) for s in sessions])
    return rng.normal(0, 0.7, 5)[sessions] + rng.normal(size=len(sessions)), labels, sessions


def test_within_session_test_keeps_its_level_where_the_naive_one_does_not():
    rng = np.random.default_rng(8)
    results = [associate(*null_set(rng), seed=i, n_permutations=99) for i in range(300)]
    rejected = sum(result.p_permutation <= 0.05 for result in results)
    naive = sum(result.p_kruskal <= 0.05 for result in results)
    assert binom.ppf(0.001, 300, 0.05) <= rejected <= binom.ppf(0.999, 300, 0.05)
    assert naive > 3 * 300 * 0.05


def test_interval_covers_the_effect_of_the_population():
    rng = np.random.default_rng(9)

    def draw(n):
        labels = rng.choice(4, size=n, p=[0.5, 0.3, 0.15, 0.05])
        return rng.normal(size=n) + 0.8 * labels, labels

    y, labels = draw(200_000)
    truth = associate(y, labels, np.zeros(len(y)), seed=0, n_permutations=1).epsilon2
    covered = 0
    for i in range(200):
        y, labels = draw(250)
        found = associate(y, labels, np.zeros(250), seed=i, n_permutations=1)
        covered += found.epsilon2_low <= truth <= found.epsilon2_high
    # .94 of 500 such sets were covered when this was written.
    assert binom.ppf(0.001, 200, 0.94) <= covered < 200


def test_bad_input_is_refused():
    good = np.zeros(3)
    with pytest.raises(InputError, match="one label per neuron"):
        associate(good, np.zeros(3, dtype=int), np.zeros(2), seed=0)
    with pytest.raises(InputError, match="infinite"):
        associate(good + np.inf, np.zeros(3, dtype=int), good, seed=0)
    with pytest.raises(InputError, match="one label per neuron"):
        pairwise_tests(good, np.zeros(2, dtype=int))
    with pytest.raises(InputError, match="finite"):
        within_session_null(good * np.nan, [], np.zeros(3, dtype=int), seed=0)
    with pytest.raises(InputError, match="at least 1"):
        within_session_null(good, [], np.zeros(3, dtype=int), seed=0, n_permutations=0)
    with pytest.raises(InputError, match="for each of 3 scores"):
        within_session_null(good, [np.zeros(2, dtype=int)], np.zeros(3, dtype=int), seed=0)


@pytest.mark.parametrize("nothing", [np.nan, None])
def test_a_missing_session_is_no_session(nothing):
    sessions = np.array([1.0, 2.0, nothing] * 10, dtype=float if nothing is not None else object)
    with pytest.raises(InputError, match=r"10 of 30 are missing \(first: neuron 2\)"):
        decortex.association(np.arange(30.0), np.arange(30) % 2, sessions=sessions, n_permutations=9)
