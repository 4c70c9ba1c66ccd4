"""Clusters that are sessions or animals: references, transfer between animals, undefined cases."""

import numpy as np
import pytest
from scipy.stats import chi2_contingency
from scipy.stats.contingency import association
from sklearn.metrics import adjusted_mutual_info_score
from sklearn.neighbors import NearestCentroid

from decortex.errors import InputError
from decortex.evaluation.association import confound, leave_one_out


def test_association_equals_scipy_and_scikit_learn():
    rng = np.random.default_rng(0)
    labels, groups = rng.integers(0, 4, 200), rng.choice(["a", "b", "c"], 200)
    labels[groups == "a"] //= 2
    found = confound(labels, groups)
    table = np.array([[((labels == i) & (groups == g)).sum() for g in "abc"] for i in range(4)])
    expected = chi2_contingency(table, correction=False)
    assert (found.chi2, found.p) == pytest.approx((expected.statistic, expected.pvalue), rel=1e-8)
    assert found.cramers_v == pytest.approx(association(table, method="cramer"), rel=1e-8)
    assert found.ami == pytest.approx(adjusted_mutual_info_score(labels, groups), rel=1e-8)
    # Bergsma (2013), literally.
    n, (r, c) = 200, table.shape
    phi2 = max(0, expected.statistic / n - (r - 1) * (c - 1) / (n - 1))
    r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    assert found.cramers_v_corrected == pytest.approx(np.sqrt(phi2 / min(r - 1, c - 1)), rel=1e-8)


def test_clusters_that_are_animals_are_seen_and_independent_ones_are_not():
    groups = np.repeat(np.arange(3), 300)
    assert confound(groups, groups).cramers_v_corrected == pytest.approx(1)
    independent = confound(np.random.default_rng(1).integers(0, 8, 900), groups)
    assert independent.cramers_v_corrected < 0.05 < independent.cramers_v


@pytest.mark.parametrize(
    ("labels", "groups", "status"),
    [([], [], "no_neurons"), ([0, 0], [0, 1], "one_cluster"), ([0, 1], [0, 0], "one_group")],
)
def test_undefined_association_has_a_status(labels, groups, status):
    found = confound(np.array(labels, dtype=int), np.array(groups))
    assert (found.status, found.ami, found.p) == (status, None, None)


def test_transfer_is_the_nearest_centroid_of_the_other_animals():
    rng = np.random.default_rng(2)
    n = 240
    labels, animals = rng.integers(0, 3, n), rng.choice(["m1", "m2", "m3"], n)
    x = rng.normal(size=(n, 4)) + 1.5 * labels[:, None]
    scores = 0.3 * labels + rng.normal(size=n) * 0.2
    scores[5] = np.nan
    for one in leave_one_out(x, labels, animals, animals, scores):
        out = animals == one.animal
        assigned = NearestCentroid().fit(x[~out], labels[~out]).predict(x[out])
        assert one.share_kept == pytest.approx((assigned == labels[out]).mean())
        assert one.n_neurons == out.sum()
        assert one.ari > 0.3
        assert one.score_correlation > 0.5


def test_clusters_that_an_animal_has_alone_do_not_transfer():
    rng = np.random.default_rng(3)
    animals = np.repeat([0, 1, 2], 40)
    found = leave_one_out(rng.normal(size=(120, 3)), animals.copy(), animals, animals, rng.normal(size=120))
    assert [one.share_kept for one in found] == [0.0] * 3
    assert [one.score_correlation for one in found] == [None] * 3


def test_one_animal_has_nothing_to_transfer_from():
    (found,) = leave_one_out(np.zeros((4, 2)), np.array([0, 1, 0, 1]), np.zeros(4), np.zeros(4))
    assert (found.status, found.share_kept) == ("one_animal", None)


def test_misfitting_arrays_are_refused():
    with pytest.raises(InputError, match="one label per neuron"):
        confound(np.zeros(3, dtype=int), np.zeros(2))
    with pytest.raises(InputError, match="one label per neuron"):
        leave_one_out(np.zeros((3, 2)), np.zeros(4, dtype=int), np.zeros(4), np.zeros(4))
