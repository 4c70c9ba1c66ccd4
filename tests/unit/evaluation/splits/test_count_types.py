"""The number of types: types are counted, continua are not, animals are no types; and the test of given groups."""

import numpy as np
import pytest

from decortex.errors import ConfigError, InputError
from decortex.evaluation.splits import SplitConfig, count_types, split_test

ONCE = SplitConfig(n_repeats=1)


def types(k, n=60, d=6, distance=12.0, seed=0):
    rng = np.random.default_rng(seed)
    y = np.repeat(np.arange(k), n)
    centres = np.linalg.qr(rng.standard_normal((d, d)))[0][:k] * distance / np.sqrt(2)
    return centres[y] + rng.standard_normal((len(y), d)), y


def same_partition(a, b):
    return len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(set(a.tolist())) == len(set(b.tolist()))


@pytest.mark.parametrize("k", [2, 3, 5])
def test_types_far_apart_are_counted(k):
    x, y = types(k)
    found = count_types(x, config=ONCE)
    assert (found.status, found.n_types) == ("types", k)
    assert same_partition(found.labels, y)
    assert found.levels[k - 2].p < 1e-4
    assert found.levels[k - 1].p > 0.02


def test_three_types_on_a_line_are_counted():
    x = np.random.default_rng(0).standard_normal((180, 4)) + 12 * np.outer(
        np.repeat([0, 1, 2], 60), [1, 0, 0, 0]
    )
    assert count_types(x, config=ONCE).n_types == 3


@pytest.mark.parametrize("sizes", [(200, 20), (16, 160, 40)])
def test_rare_types_are_counted(sizes):
    y = np.repeat(np.arange(len(sizes)), sizes)
    x = np.random.default_rng(1).standard_normal((len(y), 5)) + 14 * np.eye(5)[y]
    assert count_types(x, config=ONCE).n_types == len(sizes)


def gaussian(rng):
    return rng.standard_normal((300, 8)) * np.linspace(2, 0.5, 8)


def ring(rng):
    angle = rng.uniform(0, 2 * np.pi, 400)
    return 5 * np.stack([np.cos(angle), np.sin(angle)], axis=1) + 0.5 * rng.standard_normal((400, 2))


def square(rng):
    return rng.random((400, 2))


def sparse(rng):
    return (rng.random((400, 8)) < 0.5) * rng.exponential(size=(400, 8))


@pytest.mark.parametrize("continuum", [gaussian, ring, square, sparse])
def test_a_continuum_has_no_types(continuum):
    found = count_types(continuum(np.random.default_rng(5)), config=ONCE)
    assert (found.status, found.n_types, found.splits) == ("none", None, ())
    assert set(found.labels) <= {-1, 0}


def test_hopeless_data_are_not_repeated_and_types_are():
    assert count_types(gaussian(np.random.default_rng(5))).n_repeats == 1
    assert count_types(gaussian(np.random.default_rng(5)), config=SplitConfig(futile_p=1.0)).n_repeats == 3
    assert count_types(types(2)[0]).n_repeats == 3


def test_a_cut_through_a_type_is_tested_whatever_its_subclusters_show():
    """Else folds whose weakest boundary is a real one make up for those that cut a type."""
    x = np.random.default_rng(0).standard_normal((300, 2)) + 8 * np.outer(np.repeat([0, 1], 150), [1, 0])
    found = count_types(x, config=ONCE)
    assert found.n_types == 2
    assert found.levels[0].boundaries[0].fold_share == 1
    assert found.levels[1].p > 0.2


def test_the_tree_holds_every_type_and_its_sizes():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1, 2, 3], [90, 70, 60, 50])
    at = np.array([[0.0, 0], [10, 0], [60, 0], [60, 10]])
    x = np.concatenate([at[y], np.zeros((270, 2))], axis=1) + rng.standard_normal((270, 4))
    found = count_types(x, config=ONCE)
    assert found.n_types == 4
    assert np.bincount(found.labels).tolist() == [90, 70, 60, 50]
    first, *others = found.splits
    assert (first.level, first.left, first.right) == (2, (0, 1), (2, 3))
    assert (first.n_left, first.n_right) == (160, 110)
    assert {(one.left, one.right) for one in others} == {((0,), (1,)), ((2,), (3,))}
    assert all(one.p <= 0.02 and one.valley.depth < 0.2 for one in found.splits)


def test_outliers_are_set_aside_and_join_nothing():
    x, y = types(3)
    far = 300 * np.random.default_rng(3).standard_normal((6, 6))
    found = count_types(np.concatenate([x, far]), config=ONCE)
    assert found.n_types == 3
    assert found.set_aside.tolist() == list(range(180, 186))
    assert found.labels[180:].tolist() == [-1] * 6
    assert same_partition(found.labels[:180], y)


def test_copies_carry_no_density():
    rng = np.random.default_rng(0)
    x = rng.standard_normal((200, 3))
    copied = np.concatenate([x, np.repeat(x[:3], 200, axis=0)])
    assert count_types(copied, config=ONCE).status == "none"
    x, _ = types(2)
    found = count_types(np.concatenate([x, x[:10]]), config=ONCE)
    assert found.labels[120:].tolist() == found.labels[:10].tolist()
    assert found.n_deciding == 120


def test_equal_seeds_give_equal_results_and_units_do_not_matter():
    x, _ = types(3, distance=6.0)
    one, again = count_types(x, config=ONCE), count_types(x, config=ONCE)
    assert one.levels == again.levels
    assert one.labels.tolist() == again.labels.tolist()
    rotation = np.linalg.qr(np.random.default_rng(9).standard_normal((6, 6)))[0]
    moved = count_types(1e-3 * x @ rotation + 77, config=ONCE)
    assert moved.n_types == one.n_types == 3
    assert same_partition(moved.labels, one.labels)


def test_animals_are_no_types():
    rng = np.random.default_rng(0)
    donors = np.repeat(np.arange(6), 60)
    x = rng.standard_normal((360, 6)) + 8 * rng.standard_normal((6, 6))[donors]
    assert count_types(x, config=ONCE).status == "types"
    assert count_types(x, donors=donors, config=ONCE).status == "none"


def test_types_that_all_animals_have_are_counted_with_whole_animals_held_out():
    x, y = types(3)
    donors = np.random.default_rng(2).permutation(np.arange(180) % 7)
    found = count_types(x, donors=[f"mouse {d}" for d in donors], config=ONCE)
    assert found.n_types == 3
    assert same_partition(found.labels, y)


def test_a_type_of_a_single_animal_is_not_counted():
    x, y = types(2, n=80)
    donors = np.where(y == 1, 5, np.random.default_rng(0).integers(5, size=160))
    assert count_types(x, config=ONCE).n_types == 2
    assert count_types(x, donors=donors, config=ONCE).status != "types"


def test_few_neurons_are_undecided():
    x, _ = types(2, n=10)
    assert count_types(x).status == "undecided"
    assert count_types(np.random.default_rng(0).standard_normal((33, 3))).status == "undecided"


def test_more_neurons_than_decide_are_labelled_all_the_same():
    x, y = types(3, n=200)
    found = count_types(x, config=SplitConfig(n_repeats=1, max_neurons=200))
    assert found.n_deciding <= 200
    assert found.n_types == 3
    kept = found.labels >= 0
    assert kept.mean() > 0.95
    assert same_partition(found.labels[kept], y[kept])


def test_shuffled_features_are_counted_beside_the_data():
    x, _ = types(2)
    found = count_types(x, config=SplitConfig(n_repeats=1, n_shuffles=2))
    assert found.n_types == 2
    assert len(found.shuffled) == 2


@pytest.mark.parametrize(
    ("x", "message"),
    [
        (np.zeros(5), "shape"),
        (np.array([[np.nan, 1.0], [0, 1]]), "finite"),
    ],
)
def test_bad_input_is_refused(x, message):
    with pytest.raises(InputError, match=message):
        count_types(x)


def test_an_unknown_setting_is_refused():
    with pytest.raises(ConfigError, match="alpha"):
        SplitConfig.from_params({"alpha": 2})


def test_given_groups_that_stand_apart():
    x, y = types(3)
    found = split_test(x, np.array(["pv", "sst", "vip"])[y], config=ONCE)
    assert [(pair.first, pair.second) for pair in found.pairs] == [
        ("pv", "sst"),
        ("pv", "vip"),
        ("sst", "vip"),
    ]
    assert all(pair.status == "valley" for pair in found.pairs)
    assert (found.n_apart, found.n_undecided) == (3, 0)
    assert found.p == max(pair.p for pair in found.pairs)
    assert all(pair.p <= pair.p_holm for pair in found.pairs)


def test_groups_cut_from_one_cloud_do_not_stand_apart():
    x = np.random.default_rng(0).standard_normal((300, 4))
    found = split_test(x, np.digitize(x[:, 0], [-0.4, 0.4]), config=ONCE)
    assert (found.n_apart, found.n_undecided) == (1, 0)
    assert found.p > 0.05


def test_one_group_cut_in_two_is_joined_again():
    x, y = types(3)
    cut = np.where((y == 2) & (np.arange(180) % 2 == 0), 3, y)
    found = split_test(x, cut, config=ONCE)
    assert found.n_apart == 3
    assert {(p.first, p.second) for p in found.pairs if p.status == "none"} == {(2, 3)}


def test_a_group_too_small_to_test_joins_nothing():
    x, y = types(2)
    rare = np.concatenate([x, 40 + np.random.default_rng(0).standard_normal((4, 6))])
    found = split_test(
        rare, np.concatenate([y, [2] * 4]), config=SplitConfig(n_repeats=1, max_outlier_share=0.0)
    )
    assert [pair.status for pair in found.pairs] == ["valley", "undecided", "undecided"]
    assert found.n_apart == 3


def test_neurons_without_a_group_are_left_out():
    x, y = types(3)
    found = split_test(x, np.where(y == 2, -1, y), config=ONCE)
    assert len(found.pairs) == 1


def test_groups_that_are_animals_do_not_stand_apart():
    x, y = types(2, n=90)
    donors = 3 * y + np.arange(180) % 3
    assert split_test(x, y, config=ONCE).p < 1e-6
    mixed = np.arange(180) % 6
    assert split_test(x, y, donors=mixed, config=ONCE).p < 1e-4
    alone = split_test(x, y, donors=np.where(y == 1, 9, donors), config=ONCE)
    assert [pair.status for pair in alone.pairs] == ["undecided"]
    assert alone.p == 1


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros(40, dtype=int), "at least two groups, but name 1"),
        (np.arange(3), r"shape \(40,\), but have the shape \(3,\)"),
        (np.full(40, 0.5), "should be integers"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, message):
    with pytest.raises(InputError, match=message):
        split_test(np.random.default_rng(0).standard_normal((40, 2)), labels)
