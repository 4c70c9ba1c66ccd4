"""Clusters against labels: known answers, scikit-learn's indices, and shuffles within animals."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from sklearn.metrics import adjusted_mutual_info_score, adjusted_rand_score

from decortex.errors import InputError
from decortex.evaluation.labels import label_agreement


def test_labels_that_are_the_clusters_agree_wholly() -> None:
    clusters = np.repeat([0, 1, 2], 20)
    found = label_agreement(clusters, (clusters + 1) % 3, np.tile([0, 1], 30), seed=0, n_permutations=199)
    assert (found.ari, found.ami, found.purity) == (1.0, pytest.approx(1.0), 1.0)
    assert (found.p_ari, found.p_ami, found.p_purity) == (1 / 200,) * 3
    assert (found.n_neurons, found.n_classes, found.n_clusters, found.n_blocks) == (60, 3, 3, 2)


def test_the_indices_are_those_of_scikit_learn_on_the_labelled_neurons() -> None:
    rng = np.random.default_rng(1)
    types = rng.integers(-1, 4, 300)
    clusters = np.where(rng.random(300) < 0.4, np.maximum(types, 0), rng.integers(-1, 7, 300))
    found = label_agreement(clusters, types, rng.integers(0, 3, 300), seed=0, n_permutations=19)
    both = (types >= 0) & (clusters >= 0)
    assert found.n_neurons == both.sum()
    assert found.ari == pytest.approx(adjusted_rand_score(types[both], clusters[both]), abs=1e-12)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(types[both], clusters[both]), abs=1e-9)
    commonest = sum(np.bincount(types[both & (clusters == k)], minlength=4).max() for k in range(7))
    assert found.purity == pytest.approx(commonest / both.sum())


def test_the_null_is_the_average_over_all_shuffles_within_blocks() -> None:
    clusters = np.array([1, 2, 0, 1, 2, 0, 0])
    types = np.array([0, 1, 1, 1, 0, 1, 1])
    blocks = np.array([0, 0, 0, 0, 1, 1, 1])
    every = []
    for first in itertools.permutations(types[:4]):
        for second in itertools.permutations(types[4:]):
            shuffled = np.array([*first, *second])
            one = label_agreement(clusters, shuffled, blocks, seed=0, n_permutations=1)
            every.append((one.ari, one.ami, one.purity))
    values = np.array(every)
    found = label_agreement(clusters, types, blocks, seed=3, n_permutations=40_000)
    got = (found.ari_null, found.ami_null, found.purity_null)
    np.testing.assert_allclose(got, values.mean(axis=0), atol=0.01)
    observed = np.array([found.ari, found.ami, found.purity])
    exact = (values >= observed - 1e-9).mean(axis=0)
    np.testing.assert_allclose((found.p_ari, found.p_ami), exact[:2], atol=0.01)
    # Purity has many ties; of equal purity those reach the observed labels that put as many pairs together.
    more = values[:, 2] > observed[2] + 1e-9
    as_pure = np.abs(values[:, 2] - observed[2]) < 1e-9
    reached = (more | (as_pure & (values[:, 0] >= observed[0] - 1e-9))).mean()
    assert reached < exact[2] - 0.02
    assert found.p_purity == pytest.approx(reached, abs=0.01)


def test_animals_that_differ_in_labels_and_clusters_make_no_effect() -> None:
    rng = np.random.default_rng(0)
    animals = np.repeat([0, 1], 200)
    flip = rng.random((2, 400)) < 0.1
    types, clusters = (np.where(one, 1 - animals, animals) for one in flip)
    within = label_agreement(clusters, types, animals, seed=0, n_permutations=999)
    across = label_agreement(clusters, types, np.zeros(400), seed=0, n_permutations=999)
    assert across.p_ari == 1 / 1000
    assert within.p_ari is not None
    assert within.p_ari > 0.05
    assert within.ari is not None
    assert within.ari_null is not None
    assert within.ari > 0.4
    assert abs(within.ari - within.ari_null) < 0.05


@pytest.mark.parametrize(
    ("clusters", "types", "blocks", "status"),
    [
        ([0, 1, 0], [-1, -1, -1], [0, 0, 0], "no_labels"),
        ([-1, 1, 0], [1, -1, -1], [0, 0, 0], "no_labels"),
        ([0, 1, 0], [1, 1, -1], [0, 0, 0], "one_class"),
        ([1, 1, -1], [0, 1, 1], [0, 0, 0], "one_cluster"),
        ([0, 1, 0, 1], [0, 1, 0, 1], [0, 1, 0, 1], "no_permutation"),
    ],
)
def test_what_cannot_be_compared_has_a_status(
    clusters: list[int], types: list[int], blocks: list[int], status: str
) -> None:
    found = label_agreement(np.array(clusters), np.array(types), np.array(blocks), seed=0, n_permutations=9)
    assert (found.status, found.p_ari) == (status, None)
    assert (found.ari is None) == (status != "no_permutation")


def test_the_same_seed_gives_the_same_bits() -> None:
    rng = np.random.default_rng(2)
    clusters, types, blocks = (rng.integers(0, k, 500) for k in (6, 4, 3))
    one, other, third = (
        label_agreement(clusters, types, blocks, seed=seed, n_permutations=99) for seed in (0, 0, 1)
    )
    assert one == other
    assert one.ami_null != third.ami_null


def test_shapes_must_fit() -> None:
    with pytest.raises(InputError, match="one cluster, label and block per neuron"):
        label_agreement(np.zeros(3, dtype=int), np.zeros(3, dtype=int), np.zeros(2), seed=0)
    with pytest.raises(InputError, match="at least 1"):
        label_agreement(np.array([0, 1]), np.array([0, 1]), np.zeros(2), seed=0, n_permutations=0)
