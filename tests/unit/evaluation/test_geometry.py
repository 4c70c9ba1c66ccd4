"""Representational geometry: against loops and scipy, rotations that change nothing, networks that share nothing."""

import numpy as np
import pytest
from scipy.spatial.distance import pdist
from scipy.stats import pearsonr, spearmanr

from decortex.errors import InputError
from decortex.evaluation.agreement import SETTINGS, geo_topological, geometry_agreement, neuron_pairs


def rotated(x, seed, scale=3.0):
    """The same arrangement in other axes, another unit and elsewhere."""
    rng = np.random.default_rng(seed)
    return scale * x @ np.linalg.qr(rng.normal(size=(x.shape[1],) * 2))[0] + 100.0


def literal_transform(distances, lower, upper):
    """Case by case, as the paper defines it."""
    low, high = np.quantile(distances, lower), np.quantile(distances, upper)
    found = []
    for d in distances:
        if d <= low:
            found.append(0.0)
        elif d >= high:
            found.append(1.0)
        else:
            found.append((d - low) / (high - low))
    return np.array(found)


@pytest.mark.parametrize(("lower", "upper"), [*SETTINGS, (0.3, 0.7), (1.0, 1.0), (0.0, 0.0)])
def test_the_transform_is_that_of_the_paper(lower, upper):
    distances = np.random.default_rng(0).gamma(2.0, size=301)
    np.testing.assert_allclose(
        geo_topological(distances, lower, upper), literal_transform(distances, lower, upper), atol=1e-14
    )


@pytest.mark.parametrize(("lower", "upper"), SETTINGS)
def test_correlations_are_those_of_scipy_over_all_pairs(lower, upper):
    rng = np.random.default_rng(1)
    x = rng.normal(size=(40, 6))
    y = x[:, :4] + rng.normal(size=(40, 4))
    (found,) = geometry_agreement([x, y], [(lower, upper)], seed=0, n_permutations=0)
    first, second = (literal_transform(pdist(one), lower, upper) for one in (x, y))
    assert (found.n_pairs, found.is_exact, found.null.shape) == (780, True, (0, 2, 2))
    assert found.mean == pytest.approx(pearsonr(first, second)[0], abs=1e-10)
    assert found.rank_mean == pytest.approx(spearmanr(first, second)[0], abs=1e-10)


def test_pairs_are_all_pairs_or_a_sample_without_repetition():
    first, second = neuron_pairs(60, 10_000, 0)
    assert sorted(zip(second, first, strict=True)) == [(i, j) for i in range(60) for j in range(i + 1, 60)]
    first, second = neuron_pairs(50_000, 5_000, 0)
    assert ((first > second) & (second >= 0) & (first < 50_000)).all()
    assert len(set(zip(first, second, strict=True))) == 5_000
    # A uniform draw of pairs has a mean index at two thirds and at one third.
    assert first.mean() / 50_000 == pytest.approx(2 / 3, abs=0.02)
    assert second.mean() / 50_000 == pytest.approx(1 / 3, abs=0.02)
    np.testing.assert_array_equal(neuron_pairs(50_000, 5_000, 0)[0], first)


@pytest.mark.parametrize("largest_exact", [1000, 10])
def test_other_axes_another_unit_and_an_offset_change_nothing(largest_exact):
    x = np.random.default_rng(2).normal(size=(80, 5))
    found = geometry_agreement(
        [x, rotated(x, 0), rotated(x, 1)],
        seed=0,
        n_permutations=19,
        largest_exact=largest_exact,
        sampled_pairs=600,
    )
    assert [one.mean for one in found] == pytest.approx([1.0, 1.0, 1.0], abs=1e-6)
    assert [one.n_pairs for one in found] == [3160 if largest_exact == 1000 else 600] * 3
    assert all(max(one.null_means) < 0.5 for one in found)
    assert found[0].interval() == pytest.approx((1.0, 1.0), abs=1e-6)


def test_a_sample_of_pairs_is_near_what_all_pairs_give():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(400, 5))
    embeddings = [x + 0.5 * rng.normal(size=x.shape) for _ in range(2)]
    exact, sampled = (
        geometry_agreement(embeddings, seed=0, n_permutations=0, largest_exact=n, sampled_pairs=20_000)
        for n in (400, 100)
    )
    for one, other in zip(exact, sampled, strict=True):
        assert not other.is_exact
        assert other.mean == pytest.approx(one.mean, abs=0.03)
        assert other.rank_mean == pytest.approx(one.rank_mean, abs=0.03)


@pytest.mark.parametrize("largest_exact", [1000, 10])
def test_networks_that_share_nothing_lie_within_their_null(largest_exact):
    rng = np.random.default_rng(4)
    embeddings = [rng.normal(size=(90, 4)) for _ in range(3)]
    found = geometry_agreement(
        embeddings, seed=0, n_permutations=39, largest_exact=largest_exact, sampled_pairs=2_000
    )
    for one in found:
        assert abs(one.mean) < 0.1
        assert np.mean(one.null_means) == pytest.approx(0.0, abs=0.03)
        assert 0.02 < np.mean([value >= one.mean for value in one.null_means]) < 0.98


def test_what_sessions_alone_share_is_in_the_null():
    """Neurons of a session lie together in both networks and are arranged at random within it."""
    rng = np.random.default_rng(5)
    sessions = np.repeat([0, 1, 2], 40)
    embeddings = [rng.normal(size=(120, 4)) + 6 * rng.normal(size=(3, 4))[sessions] for _ in range(2)]
    within = geometry_agreement(embeddings, [(0.0, 1.0)], seed=0, n_permutations=39, blocks=sessions)[0]
    among = geometry_agreement(embeddings, [(0.0, 1.0)], seed=0, n_permutations=39)[0]
    assert within.mean == among.mean > 0.3
    assert max(among.null_means) < among.mean
    assert np.mean(within.null_means) == pytest.approx(within.mean, abs=0.05)


def test_topology_sees_who_is_a_neighbour_where_far_distances_are_scrambled():
    rng = np.random.default_rng(6)
    groups = np.repeat(np.arange(10), 12)
    embeddings = [0.1 * rng.normal(size=(120, 6)) + rng.normal(size=(10, 6))[groups] for _ in range(2)]
    plain, _, topology = geometry_agreement(embeddings, seed=0, n_permutations=0)
    assert topology.mean > 0.8
    assert plain.mean < topology.mean - 0.2


def test_neurons_without_values_in_one_network_are_left_out_of_all():
    rng = np.random.default_rng(7)
    x, y = rng.normal(size=(50, 3)), rng.normal(size=(50, 3))
    x[3], y[10, 1] = np.nan, np.inf
    kept = np.delete(np.arange(50), [3, 10])
    sessions = np.arange(50) % 2
    whole = geometry_agreement([x, y], seed=0, n_permutations=3, blocks=sessions)
    less = geometry_agreement([x[kept], y[kept]], seed=0, n_permutations=3, blocks=sessions[kept])
    assert [one.mean for one in whole] == [one.mean for one in less]
    np.testing.assert_array_equal(whole[0].null, less[0].null)
    assert whole[0].n_neurons == 48


def test_equal_neurons_have_no_geometry():
    found = geometry_agreement(
        [np.ones((5, 2)), np.random.default_rng(0).normal(size=(5, 2))], seed=0, n_permutations=2
    )
    assert [one.mean for one in found] == [None, None, None]
    assert found[0].null_means == [None, None]
    assert found[0].interval() == (None, None)


def test_what_cannot_be_compared_is_refused():
    x = np.ones((5, 2))
    with pytest.raises(InputError, match="at least two networks"):
        geometry_agreement([x], seed=0)
    with pytest.raises(InputError, match="at least two networks"):
        geometry_agreement([x, np.ones((4, 2))], seed=0)
    with pytest.raises(InputError, match="at least 3 neurons, but 0"):
        geometry_agreement([x, np.full((5, 2), np.nan)], seed=0)
    with pytest.raises(InputError, match="0 <= lower <= upper <= 1"):
        geometry_agreement([x, x], [(0.5, 0.2)], seed=0)
    with pytest.raises(InputError, match="one block per neuron"):
        geometry_agreement([x, x], seed=0, blocks=np.zeros(4))
