"""New neurons: assigned to clusters they belong to, refused where they belong to none, by p-values that hold."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

import decortex
from decortex.errors import InputError
from decortex.evaluation.assignment import AssignmentConfig, assign, cluster_distances

FloatArray = NDArray[np.float64]


def types(
    n: int, k: int = 4, *, seed: int = 0, distance: float = 8.0, d: int = 6
) -> tuple[FloatArray, NDArray[np.int64]]:
    """k round types in general position, ``distance`` apart."""
    labels = np.arange(n) % k
    noise = np.random.default_rng(seed).normal(size=(n, d))
    return noise + distance / np.sqrt(2) * np.eye(k, d)[labels], labels


def test_neurons_of_known_types_are_assigned_and_those_of_a_type_left_out_are_refused() -> None:
    reference, labels = types(400)
    animals = np.arange(400) // 4 % 5
    new, truth = types(200, seed=1)
    found = assign(new, reference, labels, groups=animals)
    assigned = ~found.refused
    assert found.coverage > 0.8
    assert np.mean(found.labels[assigned] == truth[assigned]) > 0.99
    known = labels != 3
    without = assign(new[truth == 3], reference[known], labels[known], groups=animals[known])
    assert without.refused.mean() > 0.95
    assert set(without.status) <= {"none", "ambiguous"}


@pytest.mark.parametrize("shape", ["round", "ring"])
def test_p_values_of_neurons_of_a_cluster_are_uniform_whatever_its_shape(shape: str) -> None:
    rng = np.random.default_rng(0)

    def draw(n: int) -> tuple[FloatArray, NDArray[np.int64]]:
        labels = np.arange(n) % 2
        x = rng.normal(size=(n, 2))
        if shape == "ring":
            angle = rng.uniform(0, 2 * np.pi, n)
            x = 0.3 * x + 5 * np.column_stack([np.cos(angle), np.sin(angle)])
        x[:, 0] += 30 * labels
        return x, labels

    below = []
    for _ in range(20):
        reference, labels = draw(120)
        new, truth = draw(200)
        found = assign(new, reference, labels, groups=np.arange(120) // 2 % 6)
        below.append((found.p[np.arange(200), truth] <= 0.1).mean())
    assert 0.05 < np.mean(below) < 0.13


def test_a_neuron_between_two_clusters_is_ambiguous() -> None:
    reference, labels = types(200, 2, distance=4.0)
    middle = reference[labels == 0].mean(axis=0) / 2 + reference[labels == 1].mean(axis=0) / 2
    found = assign(middle[None], reference, labels, config=AssignmentConfig(alpha=0.01))
    assert found.status.tolist() == ["ambiguous"]
    assert found.labels.tolist() == [-1]
    assert found.separation[0] < 0.5


def test_confidence_is_the_share_of_held_out_neurons_that_are_right_and_grows_with_separation() -> None:
    reference, labels = types(600, 3, distance=3.0)
    new, truth = types(600, 3, seed=1, distance=3.0)
    found = assign(new, reference, labels)
    order = np.argsort(found.separation)
    assert np.all(np.diff(found.confidence[order]) >= 0)
    right = found.nearest == truth
    assert right.mean() == pytest.approx(found.confidence.mean(), abs=0.04)
    assert found.confidence.max() <= 600 / 601


def test_neurons_turned_in_orientation_are_of_the_same_cluster_only_if_turns_are_known() -> None:
    rng = np.random.default_rng(0)
    prototypes = 4 * rng.normal(size=(3, 8 * 2))
    labels = np.arange(180) % 3

    def turned(of: NDArray[np.int64]) -> FloatArray:
        x = (prototypes[of] + 0.5 * rng.normal(size=(len(of), 16))).reshape(len(of), 8, 2)
        return np.stack([np.roll(one, rng.integers(8), axis=0) for one in x]).reshape(len(of), 16)

    reference, new = turned(labels), turned(labels[:90])
    found = assign(new, reference, labels, config=AssignmentConfig(n_orientations=8))
    assert (found.nearest == labels[:90]).all()
    assert found.coverage > 0.8
    with pytest.raises(InputError, match="n_orientations = 5 should divide"):
        assign(new, reference, labels, config=AssignmentConfig(n_orientations=5))


def test_a_cluster_too_small_to_tell_takes_nobody() -> None:
    reference, labels = types(200, 3)
    kept = (labels != 2) | (np.arange(200) < 15)  # five neurons of cluster 2: the smallest p is 1/6
    new, truth = types(60, 3, seed=1)
    found = assign(new, reference[kept], labels[kept])
    assert found.small_clusters == (2,)
    assert set(found.status[truth == 2]) <= {"small_cluster", "none"}
    assert "small_cluster" in found.status
    assert found.refused[truth == 2].all()
    assert "too small to tell" in found.sentence


def test_numbers_of_clusters_are_kept_and_neurons_without_one_left_out() -> None:
    reference, labels = types(200, 2)
    numbers = np.array([7, 40])[labels]
    numbers[:20] = -1
    found = assign(reference[:20], reference, numbers)
    assert found.clusters.tolist() == [7, 40]
    assert set(found.labels) <= {7, 40, -1}
    assert found.n_reference == 180
    assert (found.nearest == np.array([7, 40])[labels[:20]]).all()


def test_equal_input_and_seed_give_equal_results_and_order_does_not_matter() -> None:
    reference, labels = types(120)
    new, _ = types(40, seed=1)
    groups = np.arange(120) % 3
    first, second = assign(new, reference, labels, seed=2), assign(new, reference, labels, seed=2)
    assert np.array_equal(first.p, second.p)
    turned = np.random.default_rng(0).permutation(120)
    again = assign(new, reference[turned], labels[turned], groups=groups[turned])
    assert np.array_equal(again.p, assign(new, reference, labels, groups=groups).p)


def test_distances_and_p_are_those_of_a_slow_literal_version() -> None:
    reference, labels = types(48, 3, distance=3.0)
    new, _ = types(10, 3, seed=1, distance=3.0)
    groups = np.arange(48) // 3 % 4
    found = assign(new, reference, labels, groups=groups)

    def distance(x: FloatArray, k: int, among: NDArray[np.bool_]) -> float:
        near = sorted(
            float(np.linalg.norm(x - reference[j])) for j in range(48) if among[j] and labels[j] == k
        )
        return float(np.mean(near[:4]))

    for i in range(10):
        for k in range(3):
            count = 0
            for j in range(48):
                if labels[j] == k:
                    rest = groups != groups[j]
                    count += distance(reference[j], k, rest) >= distance(new[i], k, rest)
            assert found.p[i, k] == pytest.approx((1 + count) / 17)
    literal = [[distance(x, k, np.ones(48, dtype=bool)) for k in range(3)] for x in new]
    assert np.allclose(cluster_distances(new, reference, labels, 3, n_neighbors=4), literal)
    assert found.nearest.tolist() == np.argmin(literal, axis=1).tolist()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"new": np.zeros((3, 5))}, "new neurons have 5 features, the reference has 6"),
        ({"new": np.full((3, 6), np.nan)}, "new"),
        ({"labels": np.zeros(100, dtype=int)}, "1 clusters"),
        ({"labels": np.zeros(99, dtype=int)}, "one whole number per reference neuron"),
        ({"labels": np.zeros(100)}, "whole number"),
        ({"groups": np.zeros(100)}, "of one group"),
        ({"groups": np.zeros(99)}, "one per reference neuron"),
    ],
)
def test_bad_input_is_told(change: dict[str, Any], words: str) -> None:
    reference, labels = types(100)
    given: dict[str, Any] = {"new": reference[:3], "reference": reference, "labels": labels, **change}
    with pytest.raises(InputError, match=words):
        assign(**given)


def test_the_public_name_is_the_function() -> None:
    assert decortex.assign is assign
