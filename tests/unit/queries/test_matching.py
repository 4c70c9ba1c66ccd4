"""Numbers that follow a cluster: over K, over networks, and where clusters come and go."""

from __future__ import annotations

import numpy as np

from decortex_ops.dashboard.numbering import Numbering
from decortex_schemas.queries.population.matching import carried_over


def test_the_first_partition_keeps_its_labels() -> None:
    assert carried_over(None, {}, np.array([1, 0, -1, 1])) == {0: 0, 1: 1}


def test_a_cluster_keeps_its_number_though_its_rank_by_size_changes() -> None:
    before = np.repeat([0, 1, 2], [40, 30, 20])
    after = np.repeat([2, 0, 1], [40, 30, 20])
    assert carried_over(before, {0: 0, 1: 1, 2: 2}, after) == {2: 0, 0: 1, 1: 2}
    assert carried_over(before, {0: 5, 1: 1, 2: 2}, after) == {2: 5, 0: 1, 1: 2}


def test_a_cluster_that_comes_takes_the_next_free_number() -> None:
    before = np.repeat([0, 1], [40, 30])
    after = np.concatenate([np.repeat(1, 30), np.repeat(2, 10), np.repeat(0, 30)])
    assert carried_over(before, {0: 0, 1: 1}, after) == {1: 0, 0: 1, 2: 2}


def test_a_cluster_that_goes_leaves_its_number() -> None:
    before = np.repeat([0, 1, 2], [40, 30, 5])
    after = np.repeat([1, 0, 0], [40, 30, 5])
    assert carried_over(before, {0: 0, 1: 1, 2: 2}, after) == {1: 0, 0: 1}
    assert carried_over(before, {0: 0, 1: 1, 2: 2}, np.full(75, -1)) == {}


def test_pages_translate_labels_and_rows_both_ways() -> None:
    own = Numbering({0: 2, 1: 0, 2: 1})
    np.testing.assert_array_equal(own.labels(np.array([-1, 0, 1, 2, 0])), [-1, 2, 0, 1, 2])
    rows = own.rows([{"cluster": 0, "n": 5}, {"cluster": 2, "n": 4}], "cluster")
    assert rows == [{"cluster": 1, "n": 4}, {"cluster": 2, "n": 5}]
    assert [own.stored(own.of(label)) for label in range(3)] == [0, 1, 2]
    assert Numbering().of(7) == Numbering().stored(7) == 7
