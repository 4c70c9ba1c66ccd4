"""Many features and few neurons: computed on the axes that the neurons span, with the results of all features."""

from dataclasses import astuple

import numpy as np
import pytest

from decortex.clustering import fit
from decortex.evaluation.selection import density_valleys
from decortex.evaluation.splits import (
    SplitConfig,
    count_types,
    preparation,
    split_test,
)
from decortex.evaluation.splits.preparation import prepare


def wide(n, d, k, distance, seed=0):
    """Equal Gaussian types in d dimensions, no two pairs of centres equally far: no rounding chooses a partition."""
    rng = np.random.default_rng(seed)
    centres = np.linalg.qr(rng.standard_normal((d, k)))[0].T * distance / np.sqrt(2)
    centres *= 1 + 0.3 * np.arange(k)[:, None]
    return centres[np.arange(n) % k] + rng.standard_normal((n, d))


def all_axes(centred):
    """As many axes as there are features."""
    return np.linalg.eigh(centred.T @ centred)[1][:, ::-1]


@pytest.fixture
def in_all_features(monkeypatch):
    """Compute with as many axes as there are features from here on."""
    return lambda: monkeypatch.setattr(preparation, "principal_axes", all_axes)


@pytest.mark.parametrize(("k", "distance"), [(1, 0.0), (2, 15.0), (3, 30.0)])
def test_types_are_counted_alike_on_the_axes_that_neurons_span(in_all_features, k, distance):
    x = wide(100, 130, k, distance)
    config = SplitConfig(n_repeats=2)
    spanned = count_types(x, config=config)
    in_all_features()
    whole = count_types(x, config=config)
    assert (spanned.status, spanned.n_types) == (whole.status, whole.n_types)
    assert spanned.n_types == (k if k > 1 else None)
    np.testing.assert_array_equal(spanned.labels, whole.labels)
    assert [level.p for level in spanned.levels] == pytest.approx(
        [level.p for level in whole.levels], rel=1e-9
    )
    assert [one.p for one in spanned.splits] == pytest.approx([one.p for one in whole.splits], rel=1e-9)


def test_a_given_partition_is_tested_alike_on_the_axes_that_neurons_span(in_all_features):
    x = wide(90, 120, 3, 20.0)
    labels = np.arange(90) % 3
    labels[labels == 2] = np.arange(30) % 2 + 2  # the third type halved at random
    found = split_test(x, labels)
    in_all_features()
    whole = split_test(x, labels)
    assert [(one.status, one.p) for one in found.pairs] == [
        (one.status, pytest.approx(one.p, rel=1e-9)) for one in whole.pairs
    ]
    assert {one.status for one in found.pairs} >= {"valley"}


def test_valleys_are_counted_alike_on_the_axes_that_neurons_span():
    x = wide(160, 100, 2, 25.0)
    train, held_out = x[::2], x[1::2]
    for k in (2, 4):
        own = fit(train, "kmeans", n_clusters=k, n_init=2)
        partition = train, own.labels, own.parameters["centres"], held_out
        spanned = density_valleys(*partition)
        with pytest.MonkeyPatch.context() as patched:
            patched.setitem(density_valleys.__globals__, "principal_axes", all_axes)
            whole = density_valleys(*partition)
        assert [astuple(one) for one in spanned.pairs] == [astuple(one) for one in whole.pairs]
        assert spanned.n_groups == whole.n_groups
        assert sum(one.n_first + one.n_between + one.n_second for one in spanned.pairs) > 10
    # Clusters of equal neurons have no spread on the axes either.
    corners = np.repeat(np.eye(30)[:3], 4, axis=0)
    of = np.repeat(np.arange(3, dtype=np.int16), 4)
    assert density_valleys(corners, of, np.eye(30)[:3], corners).status == "zero_spread"


def test_equal_rows_are_found_in_tables_of_any_width():
    x = np.random.default_rng(2).standard_normal((40, 60))
    x[7], x[30] = x[3], x[3]
    x[0, 0], x[1] = 0.0, x[0]
    x[1, 0] = -0.0  # equal to 0
    ready = prepare(x, SplitConfig(), np.random.default_rng(0))
    assert sorted(set(range(40)) - set(ready.deciding.tolist())) == [1, 7, 30]
    # Distances between the neurons that decide are those in all features.
    kept = x[ready.deciding]
    for own in (kept, ready.coordinates(kept)):
        np.testing.assert_allclose(
            ((own[:, None] - own) ** 2).sum(axis=2), ((kept[:, None] - kept) ** 2).sum(axis=2), atol=1e-9
        )
    assert ready.points.shape == (37, 37)
