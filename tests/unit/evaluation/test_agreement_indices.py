"""Agreement indices from the contingency table against scikit-learn, at sizes where its sums are long."""

import numpy as np
import pytest
from sklearn.metrics import (
    adjusted_mutual_info_score,
    adjusted_rand_score,
    fowlkes_mallows_score,
    mutual_info_score,
    v_measure_score,
)
from sklearn.metrics.cluster import contingency_matrix
from sklearn.metrics.cluster import expected_mutual_information as sklearn_emi

from decortex.errors import InputError
from decortex.evaluation.agreement import (
    agreement,
    contingency,
    expected_mutual_information,
    match_table,
    mutual_information,
    table_agreement,
)


def two_partitions(n, k_a, k_b, kept, seed):
    """Partitions with clusters of unequal size that agree in a share of the neurons."""
    rng = np.random.default_rng(seed)
    weights = rng.dirichlet(np.full(k_a, 0.7))
    a = rng.choice(k_a, size=n, p=weights)
    b = np.where(rng.random(n) < kept, a % k_b, rng.integers(0, k_b, n))
    return a.astype(np.int16), b.astype(np.int16)


@pytest.mark.parametrize(
    ("n", "k_a", "k_b", "kept"),
    [(12, 3, 2, 0.5), (50, 50, 4, 0.3), (300, 5, 17, 0.9), (4000, 2, 2, 0.0), (20000, 40, 31, 0.4)],
)
def test_every_index_is_that_of_scikit_learn(n, k_a, k_b, kept):
    a, b = two_partitions(n, k_a, k_b, kept, seed=n)
    found = agreement(a, b)
    assert found.ari == pytest.approx(adjusted_rand_score(a, b), abs=1e-10)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-10)
    assert found.v_measure == pytest.approx(v_measure_score(a, b), abs=1e-10)
    assert found.fowlkes_mallows == pytest.approx(fowlkes_mallows_score(a, b), abs=1e-10)
    table = contingency_matrix(a, b)
    assert mutual_information(table) == pytest.approx(mutual_info_score(a, b), abs=1e-10)
    sparse = contingency_matrix(a, b, sparse=True)
    expected = expected_mutual_information(table.sum(axis=1), table.sum(axis=0))
    assert expected == pytest.approx(sklearn_emi(sparse, n), abs=1e-10)


def test_singletons_against_a_partition_have_the_indices_of_scikit_learn():
    a, b = np.arange(40), np.arange(40) // 8
    found = agreement(a, b)
    assert found.ari == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(a, b), abs=1e-8)
    assert found.fowlkes_mallows is None  # 0/0, which scikit-learn calls 0


def test_huge_labels_cost_no_huge_table():
    a, b = np.arange(6) // 2 * 10_000_000, np.array([0, 0, 1, 1, 1, 2]) * 7_000_000
    assert agreement(a, b).ari == pytest.approx(adjusted_rand_score(a, b), abs=1e-12)
    assert agreement(np.arange(5000), np.arange(5000)).status == "all_singletons"


def test_empty_clusters_count_nothing():
    table = np.array([[5, 0, 1], [0, 0, 0], [2, 0, 7]])
    assert table_agreement(table) == table_agreement(table[[0, 2]][:, [0, 2]])
    assert table_agreement(np.array([[4, 0], [0, 0]])).status == "one_cluster"
    with pytest.raises(InputError, match="share no neuron"):
        table_agreement(np.zeros((2, 2), dtype=np.int64))


def test_a_contingency_counts_the_neurons_that_both_place():
    a, b = np.array([0, 1, 1, -1, 2]), np.array([1, 0, -1, 0, 1])
    assert contingency(a, b).tolist() == [[0, 1], [1, 0], [0, 1]]
    assert contingency(a, b, (4, 2)).shape == (4, 2)
    assert not contingency(a, np.full(5, -1), (3, 3)).any()
    assert match_table(np.zeros((2, 3), dtype=np.int64)).share == 0.0
    with pytest.raises(InputError, match=r"\(5,\) and \(3,\)"):
        contingency(a, b[:3])
