"""One rule for labels: every integer type gives equal results, -1 is a neuron without a cluster, all else an error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import numpy as np
import pandas as pd
import pytest

from decortex.errors import InputError
from decortex.evaluation import cluster_quality
from decortex.evaluation.agreement import (
    agreement,
    consensus,
    contingency,
    matched_confusion,
    rand_matrix,
    stability,
)
from decortex.evaluation.association import (
    associate,
    cluster_contrasts,
    confound,
    grid_test,
    leave_one_out,
    mixed_test,
    pairwise_tests,
    population_test,
    sessions_test,
    summarise_clusters,
    unit_effects,
    within_session_null,
)
from decortex.evaluation.performance import retained_performance
from decortex.labels import assigned_in_all, assigned_only, check_labels

TYPES = ("u1", "u2", "u4", "u8", "i1", "i2", ">i4", ">u2", "<i8", ">i8")
N = 240
RNG = np.random.default_rng(0)
LABELS = RNG.integers(0, 4, N)
OTHER = np.where(RNG.random(N) < 0.6, LABELS, RNG.integers(0, 4, N))
SESSIONS = RNG.integers(0, 6, N)
SCORES = RNG.normal(size=N) + 0.2 * LABELS
POINTS = RNG.normal(size=(N, 3)) + LABELS[:, None]

# Everything that takes labels, as a function of the labels and of a mask of neurons.
USES: dict[str, Callable[[np.ndarray, np.ndarray], object]] = {
    "agreement": lambda labels, m: agreement(labels, OTHER[m]),
    "agreement of the other side": lambda labels, m: agreement(OTHER[m], labels),
    "contingency": lambda labels, m: contingency(labels, OTHER[m]),
    "matched_confusion": lambda labels, m: matched_confusion(labels, OTHER[m]),
    "rand_matrix": lambda labels, m: rand_matrix([labels, OTHER[m]]),
    "associate": lambda labels, m: associate(SCORES[m], labels, SESSIONS[m], seed=0, n_permutations=19),
    "summarise_clusters": lambda labels, m: summarise_clusters(SCORES[m], labels),
    "pairwise_tests": lambda labels, m: pairwise_tests(SCORES[m], labels),
    "sessions_test": lambda labels, m: sessions_test(
        SCORES[m], labels, SESSIONS[m], POINTS[m, :1], seed=0, n_permutations=19
    ),
    "grid_test": lambda labels, m: grid_test(
        SCORES[m], [labels, OTHER[m]], SESSIONS[m], POINTS[m, :1], seed=0, n_permutations=19
    ),
    "within_session_null": lambda labels, m: within_session_null(
        SCORES[m], [labels, OTHER[m]], SESSIONS[m], seed=0, n_permutations=19
    ),
    "population_test": lambda labels, m: population_test(SCORES[m], labels, SESSIONS[m]),
    "mixed_test": lambda labels, m: mixed_test(SCORES[m], labels, SESSIONS[m]),
    "cluster_contrasts": lambda labels, m: cluster_contrasts(SCORES[m], labels, SESSIONS[m]),
    "unit_effects": lambda labels, m: unit_effects(SCORES[m], labels, SESSIONS[m]),
    "confound": lambda labels, m: confound(labels, SESSIONS[m]),
    "leave_one_out": lambda labels, m: leave_one_out(
        POINTS[m], labels, SESSIONS[m] // 2, SESSIONS[m], SCORES[m]
    ),
    "cluster_quality": lambda labels, m: cluster_quality(POINTS[m], labels, seed=0),
}


def same(a: object, b: object) -> bool:
    """Whether two results hold equal numbers."""
    return repr(_plain(a)) == repr(_plain(b))


def _plain(value: object) -> object:
    if isinstance(value, np.ndarray):
        return value.tolist()
    if isinstance(value, tuple | list):
        return [_plain(one) for one in value]
    if hasattr(value, "__dataclass_fields__"):
        return {name: _plain(one) for name, one in asdict(value).items()}
    return value


@pytest.mark.parametrize("use", USES)
def test_equal_labels_of_any_integer_type_give_equal_results(use):
    everyone = np.ones(N, dtype=bool)
    expected = USES[use](LABELS.astype(np.int64), everyone)
    for kind in TYPES:
        assert same(USES[use](LABELS.astype(kind), everyone), expected), kind


@pytest.mark.parametrize("use", USES)
def test_a_neuron_without_a_cluster_is_left_out_everywhere(use):
    assigned = LABELS != 3
    found = USES[use](np.where(assigned, LABELS, -1).astype(np.int16), np.ones(N, dtype=bool))
    assert same(found, USES[use](LABELS[assigned], assigned))


@pytest.mark.parametrize("use", USES)
@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.where(LABELS == 3, np.nan, LABELS), "float64.*-1 where a label is missing"),
        (LABELS - 2, "smallest is -2"),
        (LABELS.astype(str), "Number them"),
        (LABELS == 1, "bool"),
        (LABELS.astype(np.uint64) - np.uint64(1), "stored as unsigned"),
        (LABELS[:, None], r"shape \(240, 1\)"),
        (LABELS[1:], "same neurons|one label for each|label arrays"),
    ],
)
def test_what_are_no_labels_is_refused_everywhere_in_the_same_words(use, labels, message):
    with pytest.raises(InputError, match=message):
        USES[use](labels, np.ones(N, dtype=bool))


def test_partitions_are_taken_as_others_store_them():
    codes = pd.Categorical(["L4 IT", None, "Pvalb", "L4 IT"]).codes  # int8, -1 where missing
    assert check_labels(codes).tolist() == [0, -1, 1, 0]
    assert check_labels(pd.Series([2, 0])).tolist() == [2, 0]
    assert check_labels([1, 0, -1]).dtype == np.int64
    assert check_labels([]).shape == (0,)
    with pytest.raises(InputError, match="-1 where a label is missing"):
        check_labels(pd.Series([1, None], dtype="Int64"))


def test_consensus_stability_and_retained_performance_keep_the_order_of_neurons():
    with_gaps = np.where(LABELS == 3, -1, LABELS).astype(">i2")
    found = consensus([with_gaps, OTHER.astype("u1")], 4)
    assert found.labels.shape == (N,)
    assert found.n_votes.tolist() == (1 + (with_gaps >= 0)).tolist()
    again = stability(with_gaps, [OTHER.astype("u8")], 4)
    assert np.isnan(again.jaccard[0, 3])
    retained = retained_performance(SCORES, SCORES, SCORES, sessions=SESSIONS, labels=with_gaps.astype("i1"))
    assert [row.cluster for row in retained.clusters] == [0, 1, 2]
    with pytest.raises(InputError, match="smallest is -5"):
        consensus([with_gaps, with_gaps * 5], 4)


def test_neurons_that_every_partition_assigns():
    partitions, kept = assigned_in_all([np.array([0, -1, 1]), np.array([1, 1, -1], dtype="i1")])
    assert kept.tolist() == [True, False, False]
    assert partitions[1].tolist() == [1, 1, -1]
    labels, nothing, scores = assigned_only(np.array([2, -1]), None, np.array([0.1, 0.2]))
    assert (labels.tolist(), nothing, scores.tolist()) == ([2], None, [0.1])


def test_tables_of_labels_with_large_gaps_say_what_to_do():
    far = np.array([0, 10**6])
    with pytest.raises(InputError, match="renumber the labels"):
        contingency(far, far)
    assert agreement(far, np.array([0, 0])).ari == 0
    with pytest.raises(InputError, match="share no neuron"):
        agreement(np.array([0, -1]), np.array([-1, 0]))
