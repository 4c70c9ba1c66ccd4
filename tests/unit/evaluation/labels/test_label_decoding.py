"""Decoding with animals left out equals scikit-learn's own scores on the same folds; clusters decode what they hold."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import balanced_accuracy_score, confusion_matrix, f1_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.tree import DecisionTreeClassifier

from decortex.errors import InputError
from decortex.evaluation.labels import (
    Folds,
    confusions,
    decode_clusters,
    decode_labels,
    held_out_groups,
    macro_f1,
    score_groups,
)

N = 240


def world(seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64], Folds]:
    """Points, their classes (partial, unequal), clusters and animals."""
    rng = np.random.default_rng(seed)
    types = rng.choice(4, N, p=[0.5, 0.25, 0.15, 0.1])
    x = rng.normal(size=(N, 6)) + 1.2 * rng.normal(size=(4, 6))[types]
    clusters = np.where(rng.random(N) < 0.6, types, rng.integers(0, 6, N))
    types = np.where(rng.random(N) < 0.2, -1, types)
    return x, types, clusters, Folds("animal", rng.integers(0, 4, N))


SKLEARN = {
    "logistic": LogisticRegression(class_weight="balanced", max_iter=2000),
    "neighbours": KNeighborsClassifier(15),
}


@pytest.mark.parametrize("decoder", ["logistic", "neighbours"])
def test_scores_are_those_of_scikit_learn_on_the_same_folds(decoder: str) -> None:
    x, types, _, folds = world()
    found = decode_labels(x, types, folds, decoder=decoder, n_permutations=1)
    kept = types >= 0
    own = cross_val_predict(
        make_pipeline(StandardScaler(), SKLEARN[decoder]),
        x[kept],
        types[kept],
        groups=folds.groups[kept],
        cv=LeaveOneGroupOut(),
    )
    assert found.predicted is not None
    assert found.macro_f1 is not None
    assert found.balanced_accuracy is not None
    np.testing.assert_array_equal(found.predicted[kept], own)
    assert (found.predicted[~kept] == -1).all()
    assert found.macro_f1.value == pytest.approx(f1_score(types[kept], own, average="macro"), abs=1e-12)
    accuracy = balanced_accuracy_score(types[kept], own)
    assert found.balanced_accuracy.value == pytest.approx(accuracy, abs=1e-12)
    np.testing.assert_array_equal(found.confusion, confusion_matrix(types[kept], own))
    assert (found.n_neurons, found.n_groups, found.left_out) == (kept.sum(), 4, "animal")


def test_clusters_decode_as_a_tree_of_scikit_learn_does() -> None:
    _, types, clusters, folds = world()
    found = decode_clusters(clusters, types, folds, n_permutations=1)
    kept = types >= 0
    own = cross_val_predict(
        make_pipeline(OneHotEncoder(), DecisionTreeClassifier(class_weight="balanced", random_state=0)),
        clusters[kept][:, None],
        types[kept],
        groups=folds.groups[kept],
        cv=LeaveOneGroupOut(),
    )
    assert found.predicted is not None
    assert found.macro_f1 is not None
    np.testing.assert_array_equal(found.predicted[kept], own)
    assert found.macro_f1.value == pytest.approx(f1_score(types[kept], own, average="macro"), abs=1e-12)


def test_clusters_that_are_the_types_decode_all_and_constant_ones_nothing() -> None:
    _, types, _, folds = world()
    whole = decode_clusters(np.maximum(types, 0), types, folds, n_permutations=99)
    assert whole.balanced_accuracy is not None
    assert whole.macro_f1 is not None
    assert (whole.balanced_accuracy.value, whole.macro_f1.value, whole.p) == (1.0, 1.0, 1 / 100)
    nothing = decode_clusters(np.zeros(N, dtype=int), types, folds, n_permutations=99)
    assert nothing.balanced_accuracy is not None
    assert nothing.balanced_accuracy.value <= 0.3


def test_labels_without_a_relation_are_decoded_at_chance() -> None:
    x, types, _, folds = world()
    rng = np.random.default_rng(5)
    found = decode_labels(rng.normal(size=x.shape), types, folds, decoder="neighbours", n_permutations=199)
    assert found.p is not None
    assert found.p > 0.05
    assert found.chance == pytest.approx(0.25, abs=0.03)


def test_a_class_of_one_animal_cannot_be_decoded_in_others() -> None:
    x, types, clusters, folds = world()
    types = np.where((types == 3) & (folds.groups != 1), -1, types)
    found = decode_labels(x, types, folds)
    assert found.classes is not None
    assert found.predicted is not None
    assert found.classes.tolist() == [0, 1, 2]
    assert (found.predicted[types == 3] == -1).all()
    alone = np.where(types == 3, 3, np.where(types == 0, 0, -1))
    alone = np.where((alone == 0) & (folds.groups != 2), -1, alone)
    assert decode_clusters(clusters, alone, folds).status == "class_in_one_group"


@pytest.mark.parametrize(("types", "status"), [([-1, -1, -1], "no_labels"), ([2, 2, -1], "one_class")])
def test_too_few_labels_have_a_status(types: list[int], status: str) -> None:
    folds = Folds("animal", np.array([0, 1, 1]))
    assert decode_labels(np.zeros((3, 2)), np.array(types), folds).status == status
    assert decode_clusters(np.array([0, 1, -1]), np.array(types), folds).status == status


def test_animals_are_left_out_where_there_are_several_else_sessions_else_neurons() -> None:
    animals, sessions = np.array(["m", "m", "m", "n"] * 5), np.array(["a", "b"] * 10)
    assert held_out_groups(animals, sessions, seed=0).left_out == "animal"
    one = held_out_groups(np.array(["m"] * 20), sessions, seed=0)
    assert (one.left_out, one.n_groups) == ("session", 2)
    unknown = held_out_groups(np.where(animals == "n", "", animals), sessions, seed=0)
    assert unknown.left_out == "session"
    none = held_out_groups(np.array([""] * 20), np.array(["a"] * 20), seed=1)
    assert (none.left_out, none.n_groups) == ("neuron", 5)
    assert np.bincount(none.groups).tolist() == [4] * 5


def test_the_interval_is_a_jackknife_over_animals() -> None:
    """Written out: the score without each animal, and t with one degree less than there are animals."""
    rng = np.random.default_rng(3)
    truth, predicted, groups = (rng.integers(0, k, 90) for k in (3, 3, 5))
    tables = confusions(truth, predicted, groups, 3)
    found = score_groups(tables, interval=True)["macro_f1"]
    without = np.array(
        [f1_score(truth[groups != g], predicted[groups != g], average="macro") for g in range(5)]
    )
    se = np.sqrt(4 / 5 * ((without - without.mean()) ** 2).sum())
    assert found.low == pytest.approx(max(found.value - 2.7764451 * se, 0), abs=1e-6)
    assert found.high == pytest.approx(found.value + 2.7764451 * se, abs=1e-6)
    assert score_groups(tables, interval=False)["macro_f1"].low is None
    assert macro_f1(tables[:1]).shape == (1,)


def test_bad_input_is_refused() -> None:
    x, types, _, folds = world()
    with pytest.raises(InputError, match="no decoder 'svm'"):
        decode_labels(x, types, folds, decoder="svm")  # type: ignore[arg-type]
    with pytest.raises(InputError, match="one label and group for each of 240"):
        decode_labels(x, types[:-1], folds)
    x[types >= 0, 0] = np.nan
    with pytest.raises(InputError, match="finite"):
        decode_labels(x, types, folds)
