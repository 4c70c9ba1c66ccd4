"""The choice of K: criteria against references and literal transcriptions, and the decision that may be none."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import logsumexp
from sklearn.metrics import adjusted_rand_score
from sklearn.mixture import GaussianMixture

from decortex.clustering import fit
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.errors import InputError
from decortex.evaluation.agreement import Clusterer, subsample_stability, subsamples
from decortex.evaluation.selection import (
    CRITERIA,
    CriterionValue,
    RawFeatures,
    SelectionConfig,
    choose_k,
    count_criteria,
    decide_k,
    dispersion,
    excess,
    first_within_one_error,
    gap_statistic,
    halvings,
    information_criteria,
    prediction_strength,
    reference,
    refits,
)

QUICK = SelectionConfig(null_criteria=("stability",), stop_early=True, n_references=3, n_splits=1)
KMEANS = Clusterer("kmeans", {"n_init": 2})


def types(rng, k=4, n=320, d=6, distance=8.0):
    centres = distance / np.sqrt(2) * np.eye(d)[:k]
    return centres[np.arange(n) % k] + rng.normal(size=(n, d))


def value(found, name):
    return next(one for one in found.values if one.criterion == name)


def test_without_a_config_the_decision_is_that_of_all_surrogates():
    x = np.random.default_rng(4).normal(size=(60, 2))
    found, whole = (choose_k(x, counts=(3,), config=c, n_init=1) for c in (None, SelectionConfig()))
    assert found.decision.k == whole.decision.k
    assert found.decision.reason == whole.decision.reason
    assert {one.criterion for one in found.excesses} == {"stability"}
    assert len({one.criterion for one in whole.excesses}) == 4
    assert {one.n_surrogates for one in whole.excesses} == {19}
    assert all(1 <= one.n_surrogates < 19 for one in found.excesses)


def test_types_are_counted_and_a_continuum_has_none():
    rng = np.random.default_rng(0)
    found = choose_k(types(rng, n=160), counts=range(2, 7), config=QUICK, n_init=2)
    assert (found.decision.k, found.decision.reason) == (4, "supported")
    assert [one.k for one in found.decision.support] == [2, 3, 4, 5, 6]
    assert set(found.decision.choices) == set(CRITERIA)
    smooth = choose_k(rng.normal(size=(160, 6)), counts=range(2, 7), config=QUICK, n_init=2).decision
    assert smooth.k is None
    assert smooth.reason in ("neither", "no_valleys", "not_above_nulls")
    assert all(not one.supported and "few_valleys" in one.reasons for one in smooth.support)
    assert smooth.choices["silhouette"] is not None  # a criterion without a null always finds clusters


def test_stopping_early_decides_alike():
    x = types(np.random.default_rng(1), n=100)
    config = replace_config(QUICK, n_surrogates=5)
    whole = replace_config(config, stop_early=False)
    one, other = (choose_k(x, counts=(3, 4, 5), config=c, n_init=1) for c in (config, whole))
    assert one.decision.k == other.decision.k == 4
    assert {e.n_surrogates for e in other.excesses} == {5}
    assert {e.n_used for e in other.excesses} == {80}


def replace_config(config, **changed):
    return SelectionConfig.from_params({**config.resolved(), **changed})


def test_surrogates_of_a_normalised_embedding_come_from_its_features():
    rng = np.random.default_rng(2)
    raw = rng.exponential(size=(150, 5))
    config = EmbeddingConfig(kind="l2")
    x = fit_map(raw, config).apply(raw)
    few = replace_config(QUICK, n_surrogates=3, nulls=("permuted",))
    found = choose_k(x, counts=(2, 3), config=few, raw=RawFeatures(raw, config), n_init=1)
    plain = choose_k(x, counts=(2, 3), config=few, n_init=1)
    assert found.criteria == plain.criteria
    assert found.excesses != plain.excesses
    with pytest.raises(InputError, match="raw features of 149 neurons came with an embedding of 150"):
        choose_k(x, counts=(2,), config=few, raw=RawFeatures(raw[1:], config))


def test_stability_is_the_mean_over_pairs_of_subsamples():
    x = np.random.default_rng(3).normal(size=(60, 3))
    found = subsample_stability(x, KMEANS, 3, seed=5, n_subsamples=3)
    chosen = subsamples(60, 3, 0.8, 5)
    labels = [
        dict(zip(own, KMEANS.fit(x[own], 3, 15 + i).labels, strict=True)) for i, own in enumerate(chosen)
    ]
    literal = []
    for i, j in ((0, 1), (0, 2), (1, 2)):
        both = sorted(set(labels[i]) & set(labels[j]))
        literal.append(adjusted_rand_score([labels[i][n] for n in both], [labels[j][n] for n in both]))
    assert found.value == pytest.approx(np.mean(literal), abs=1e-12)
    assert (found.low, found.high) == (pytest.approx(min(literal)), pytest.approx(max(literal)))
    assert (found.n_neurons, found.n_subsample, found.n_pairs) == (60, 48, 3)


def test_mixture_criteria_equal_scikit_learn():
    x = types(np.random.default_rng(4), k=3, n=150)
    result = fit(x, "gmm", n_clusters=3, seed=0, covariance="full", n_init=1)
    bic, icl = information_criteria(result, x)
    reference_fit = GaussianMixture(3, covariance_type="full")
    reference_fit.weights_ = result.parameters["weights"]
    reference_fit.means_ = result.parameters["centres"]
    reference_fit.covariances_ = result.parameters["scales"]
    reference_fit.precisions_cholesky_ = np.stack(
        [np.linalg.inv(np.linalg.cholesky(c)).T for c in result.parameters["scales"]]
    )
    assert bic.value == pytest.approx(reference_fit.bic(x), rel=1e-10)
    tau = reference_fit.predict_proba(x)
    entropy = -sum(t * np.log(t) for row in tau for t in row if t > 0)
    assert icl.value == pytest.approx(bic.value + 2 * entropy, rel=1e-10)


def test_criteria_do_not_depend_on_units():
    x = types(np.random.default_rng(5), n=120)
    one, other = (count_criteria(scale * x, KMEANS, 4, QUICK) for scale in (1.0, 1e-3))
    for name in ("silhouette", "gap", "stability", "valley_share", "prediction_strength", "method_agreement"):
        assert value(other, name).value == pytest.approx(value(one, name).value, rel=1e-6), name
    shift = 2 * x.size * np.log(1e-3)
    assert value(other, "bic").value == pytest.approx(value(one, "bic").value + shift, rel=1e-6)
    assert value(other, "held_out_likelihood").value == pytest.approx(
        value(one, "held_out_likelihood").value - 6 * np.log(1e-3), rel=1e-6
    )


def test_every_criterion_has_an_interval_around_it():
    x = types(np.random.default_rng(12), n=150, distance=4.0)
    found = count_criteria(x, KMEANS, 4, QUICK)
    for one in found.values:
        assert one.low <= one.value <= one.high, one
        assert one.low < one.high or one.value == 1 or one.criterion == "fragmented", one
    bare = count_criteria(x, KMEANS, 4, replace_config(QUICK, n_resamples=0))
    assert (value(bare, "davies_bouldin").low, value(bare, "method_agreement").high) == (None, None)


def test_gap_is_the_literal_formula():
    x = types(np.random.default_rng(6), n=80)
    labels = KMEANS.fit(x, 3, 1).labels
    found = gap_statistic(x, labels, KMEANS, 3, n_references=4, seed=1)
    logs = []
    for b in range(4):
        uniform = reference(x, np.random.default_rng([1, b]))
        of = KMEANS.fit(uniform, 3, 1).labels
        logs.append(
            np.log(sum(((uniform[of == j] - uniform[of == j].mean(axis=0)) ** 2).sum() for j in range(3)))
        )
    assert found.value == pytest.approx(np.mean(logs) - np.log(dispersion(x, labels)), abs=1e-10)
    assert found.value - found.low == pytest.approx(np.std(logs) * np.sqrt(1.25), abs=1e-10)


def test_gap_takes_the_first_k_within_one_error():
    gaps = [(1, 0.1, 0.05), (2, 0.3, 0.05), (3, 0.32, 0.05), (4, 0.9, 0.05)]
    curve = [CriterionValue("gap", k, g, g - s, g + s, 9, "ok") for k, g, s in gaps]
    assert first_within_one_error(curve) == 2
    assert first_within_one_error(curve[2:]) is None
    assert first_within_one_error([replace(curve[1], value=None, low=None, high=None)]) is None


def test_prediction_strength_is_the_share_of_pairs_kept_together():
    rng = np.random.default_rng(7)
    own, other = rng.integers(0, 3, 40).astype(np.int16), rng.integers(0, 4, 40).astype(np.int16)
    shares = []
    for j in range(3):
        members = np.flatnonzero(own == j)
        pairs = [(a, b) for a in members for b in members if a != b]
        shares.append(np.mean([other[a] == other[b] for a, b in pairs]))
    assert prediction_strength(own, other) == pytest.approx(min(shares), abs=1e-12)
    assert prediction_strength(own, own) == 1.0


def test_held_out_likelihood_is_that_of_neurons_not_seen():
    x = types(np.random.default_rng(8), n=100)
    gmm = Clusterer("gmm", {"n_init": 1, "reg": 1e-3})
    found = value(count_criteria(x, gmm, 2, QUICK), "held_out_likelihood")
    literal = []
    for train, held_out in halvings(100, 1, 0):
        result = gmm.fit(x[train], 2, 0)
        p = result.parameters
        log = [
            np.log(w) - 0.5 * (((x[held_out] - m) ** 2 / s).sum(axis=1) + np.log(2 * np.pi * s).sum())
            for w, m, s in zip(p["weights"], p["centres"], p["scales"], strict=True)
        ]
        literal += list(logsumexp(log, axis=0))
    assert found.value == pytest.approx(np.mean(literal), abs=1e-10)
    assert found.n_used == 100


def test_excess_is_signed_and_its_p_is_never_zero():
    def at(criterion, v):
        return CriterionValue(criterion, 3, v, None, None, 50, "ok")

    null = [at("stability", v) for v in (0.1, 0.2, 0.3)]
    found = excess(at("stability", 0.6), "gaussian", null)
    assert (found.z, found.p, found.n_surrogates) == (pytest.approx(4.0), 0.25, 3)
    low = [at("davies_bouldin", v) for v in (1.0, 1.2, 1.4)]
    assert excess(at("davies_bouldin", 0.8), "t", low).z == pytest.approx(2.0)
    assert excess(at("davies_bouldin", 1.3), "t", low).p == 0.75
    assert excess(at("stability", 0.2), "t", null).p == 0.75  # a tie counts
    flat = excess(at("stability", 1.0), "t", [at("stability", 0.5)] * 3)
    assert (flat.status, flat.z, flat.p) == ("constant_null", None, 0.25)
    none = excess(at("stability", 1.0), "t", [])
    assert (none.status, none.z, none.p) == ("too_few_surrogates", None, None)
    missing = excess(CriterionValue("stability", 3, None, None, None, 5, "too_few_neurons"), "t", null)
    assert (missing.status, missing.p) == ("too_few_neurons", None)


def curves(stability, shares, groups, z=5.0, p=0.05, nulls=("gaussian", "copula")):
    values, excesses = [], []
    for k, (s, share, group) in enumerate(zip(stability, shares, groups, strict=True), start=2):
        for name, v in (("stability", s), ("valley_share", share), ("separated_groups", group)):
            values.append(CriterionValue(name, k, v, v, v, 100, "ok" if v is not None else "one_cluster"))
        for kind in nulls:
            above = excess(
                values[-3],
                kind,
                [CriterionValue("stability", k, 0.5 + 0.01 * i, None, None, 100, "ok") for i in range(19)],
            )
            excesses.append(above)
    return values, excesses


def test_the_decision_needs_both_and_says_why():
    config = SelectionConfig(nulls=("gaussian", "copula"))
    decide = lambda *c: decide_k(*curves(*c), config)  # noqa: E731
    assert decide((0.9, 0.9, 0.9), (1.0, 1.0, 0.6), (2.0, 3.0, 3.0)).k == 3
    assert decide((0.9, 0.9, 0.9, 0.9), (1.0, 1.0, 0.8, 0.7), (2.0, 2.4, 2.5, 2.8)).k == 3  # groups, not K
    assert decide((0.9, 0.5, 0.9), (1.0, 1.0, 0.8), (2.0, 3.0, 3.0)).k == 2  # of two as near, the smaller
    above_only = decide((0.9, 0.9), (0.5, 0.1), (1.0, 1.0))
    assert (above_only.k, above_only.reason) == (None, "no_valleys")
    assert above_only.support[0].reasons == ("few_valleys",)
    apart_only = decide((0.5, 0.6), (1.0, 1.0), (2.0, 3.0))
    assert (apart_only.k, apart_only.reason) == (None, "not_above_nulls")
    assert apart_only.support[0].reasons == ("not_above_gaussian", "not_above_copula")
    assert decide((0.9, 0.5), (0.1, 1.0), (1.0, 3.0)).reason == "never_both"
    assert decide((0.5,), (0.1,), (1.0,)).reason == "neither"
    undefined = decide((None,), (None,), (None,))
    assert (undefined.k, undefined.reason) == (None, "undefined")
    assert undefined.support[0].reasons == ("stability_one_cluster", "valleys_one_cluster")
    missing = decide_k(*curves((0.9,), (1.0,), (2.0,), nulls=("gaussian",)), config)
    assert missing.support[0].reasons == ("no_copula",)


def test_a_fragmented_partition_is_no_evidence_for_a_k():
    config = SelectionConfig(nulls=("gaussian", "copula"))

    def decide(fragmented, shares=(1.0, 1.0)):
        values, excesses = curves((0.9, 0.9), shares, (2.0, 3.0))
        values += [CriterionValue("fragmented", k, v, v, v, 100, "ok") for k, v in fragmented.items()]
        return decide_k(values, excesses, config)

    assert decide({2: 0.0, 3: 0.0}).k == 3
    assert decide({2: 0.0, 3: 1.0}).k == 2
    assert decide({2: 0.0, 3: 1.0}).support[1].reasons == ("fragmented",)
    assert decide({2: 0.5, 3: 0.4}).k == 3  # of half of the networks at most
    nothing = decide({2: 1.0, 3: 1.0})
    assert (nothing.k, nothing.reason) == (None, "fragmented")
    assert decide({2: 1.0, 3: 1.0}, (0.1, 0.1)).reason == "no_valleys"


def test_islands_cut_off_by_a_graph_method_reach_the_rule():
    rng = np.random.default_rng(4)
    x = np.vstack([rng.normal(size=(190, 3)), rng.normal(size=(14, 3)) + 40])
    found = count_criteria(x, Clusterer("spectral", {}), 2, replace_config(QUICK, n_references=2))
    assert found.fit_status == "fragmented"
    assert value(found, "fragmented").value == 1
    types_apart = types(np.random.default_rng(9), k=3, n=90, d=4)  # as many components as types
    found = count_criteria(types_apart, Clusterer("spectral", {}), 3, replace_config(QUICK, n_references=2))
    assert value(found, "fragmented").value == 0


def test_prediction_strength_has_no_value_where_a_half_has_one_cluster():
    equal = np.ones((60, 3))
    found = count_criteria(equal, KMEANS, 2, QUICK)
    strength = value(found, "prediction_strength")
    assert (strength.value, strength.status) == (None, "one_cluster")


@pytest.mark.parametrize(
    ("method", "params"),
    [("gmm", {"n_init": 3}), ("tmixture", {"n_init": 3}), ("spectral", {}), ("sec", {})],
)
def test_every_kind_of_method_is_judged(method, params):
    x = types(np.random.default_rng(9), k=3, n=90, d=4)
    found = count_criteria(x, Clusterer(method, params), 3, replace_config(QUICK, n_references=2))
    assert value(found, "stability").value > 0.9
    assert value(found, "separated_groups").value == 3
    assert all(one.status == "ok" for one in found.values)


def test_rotation_mixtures_have_no_line_between_centres():
    x = np.random.default_rng(10).normal(size=(40, 8))
    method = Clusterer("rotation_tmixture", {"n_orientations": 4, "n_init": 1, "max_iter": 20})
    found = count_criteria(x, method, 2, replace_config(QUICK, n_references=2))
    assert value(found, "valley_share").status == "not_defined"
    assert value(found, "prediction_strength").value is not None


@pytest.mark.parametrize(
    ("x", "counts"),
    [
        (np.ones((12, 3)), (2, 3)),
        (np.repeat(np.eye(3), 4, axis=0), (2, 3, 4)),
        (np.random.default_rng(0).normal(size=(5, 2)), (2, 3, 4, 5)),
        (np.random.default_rng(0).normal(size=(2, 1)), (2,)),
        (np.column_stack([np.arange(12.0), np.zeros(12)]), (2, 6, 11)),
    ],
)
def test_degenerate_embeddings_give_statuses_and_no_k(x, counts):
    config = replace_config(QUICK, n_surrogates=2)
    found = choose_k(x, counts=counts, config=config, n_init=1)
    assert found.decision.k is None
    for one in (value for each in found.criteria for value in each.values):
        assert (one.value is None) == (one.status != "ok")
        assert one.value is None or np.isfinite(one.value)
    json.dumps([one.reasons for one in found.decision.support])


def test_messages():
    x = np.random.default_rng(0).normal(size=(10, 2))
    with pytest.raises(InputError, match="n_clusters = 11 is larger than the number of neurons"):
        choose_k(x, counts=(2, 11))
    with pytest.raises(InputError, match="at least 2, got \\[1, 2\\]"):
        choose_k(x, counts=(1, 2))
    with pytest.raises(InputError, match="got \\[\\]"):
        choose_k(x, counts=())
    with pytest.raises(InputError, match="finite"):
        choose_k(np.where(x > 1, np.nan, x), counts=(2,))
    with pytest.raises(InputError, match="'wishes' is not a clustering method"):
        choose_k(x, "wishes", counts=(2,))
    with pytest.raises(InputError, match="and share = 1\\.5"):
        subsamples(10, 2, 1.5, 0)


def test_cost_is_known_beforehand():
    config = SelectionConfig(n_surrogates=19, n_subsamples=3, n_splits=2, n_references=10)
    assert refits(14, config) == {"data": 112, "references": 140, "surrogates": 14 * 4 * 19 * 4}


def groups(centres, n=60, d=8):
    placed = np.zeros((len(centres), d))
    placed[:, : len(centres[0])] = centres
    return np.repeat(placed, n, axis=0) + np.random.default_rng(0).standard_normal((len(centres) * n, d))


@pytest.mark.parametrize(
    ("k", "centres"),
    [
        (2, [[0.0], [12.0]]),
        (3, (12 / np.sqrt(2) * np.eye(3)).tolist()),
        (3, [[0.0], [8.5], [17.0]]),
    ],
    ids=["two, 12 sd apart", "three, 12 sd apart", "three on a line, 8.5 sd apart"],
)
def test_obvious_types_are_the_answer_whatever_the_rule_on_partitions_says(k, centres):
    found = choose_k(groups(centres), counts=range(2, 5), config=QUICK, n_init=1)
    assert (found.types.status, found.types.n_types, found.k) == ("types", k, k)
    assert found.sentence.startswith(f"{k} types stand apart (smallest p ")
    # Every surrogate that keeps the marginals is as stable: alone this rule would have said none.
    assert found.decision.k is None
    assert found.sentence.endswith(
        "no K is supported (not_above_nulls), which says nothing against them: that rule refuses few, clear types."
    )


def test_no_types_and_no_k_are_said_together():
    found = choose_k(np.random.default_rng(3).normal(size=(80, 4)), counts=(2, 3), config=QUICK, n_init=1)
    assert (found.k, found.types.status) == (None, "none")
    assert found.sentence.startswith("No types stand apart (smallest p ")
    assert "Of the partitions by kmeans, no K is supported" in found.sentence
    assert "few, clear types" not in found.sentence


def test_types_that_are_animals_are_not_the_answer():
    x = groups([[0.0], [12.0]])
    animals = np.repeat(["a", "b", "c", "d"], 30)  # two animals have the one group, two the other
    mixed = choose_k(x, counts=(2,), config=QUICK, donors=np.arange(120) % 4, n_init=1)
    alone = choose_k(x, counts=(2,), config=QUICK, donors=np.where(animals < "c", "a", "c"), n_init=1)
    assert (mixed.k, alone.k) == (2, None)
