"""Performance and cluster, and the price, as tables: what the science functions say; what changed is refused."""

from __future__ import annotations

import numpy as np
import pytest

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex.evaluation.association import benjamini_hochberg, confound, mixed_test, sessions_test
from decortex.evaluation.performance import equivalence
from decortex_schemas import queries
from decortex_schemas.tables import load_recordings, partition_labels, sessions_of
from decortex_schemas.tables.evaluation import (
    N_PERMUTATIONS,
    GridAssociation,
    associated,
    comparison,
    scores_before,
)

NONE = {"covariate_set": "none"}
OWN = "dataset = 'small' AND k <= 3"


def key_of(row: dict[str, object]) -> dict[str, object]:
    """What names a row, without its stamp."""
    columns = (
        *schemas.DECFinetune().primary_key,
        *schemas.AdjustedPValue().primary_key,
    )
    return {name: row[name] for name in columns if name in row}


def one(table: object, **where: object) -> dict[str, object]:
    """The first row of a table for plain k-means of the small lab at K = 3."""
    plain = schemas.FinetuneSpec.proj("kind") & {"kind": "none"}
    named = table * schemas.CovariateSet.proj("covariate_set") & plain
    rows = named & {"dataset": "small", "method": "kmeans", "model_seed": 0, **where}
    return rows.to_dicts(order_by="KEY")[0]


def test_recordings_are_summarised_over_training_trials(lab: str) -> None:
    row = (schemas.RecordingSummary & {"dataset": "small"}).fetch1()
    recordings = load_recordings("small")
    expected = [s.responses.read(s.trials("train")).mean(axis=0) for s in recordings.sessions]
    np.testing.assert_allclose(row["mean_response"], np.concatenate(expected), rtol=1e-6)
    assert (row["n_test_images"] > 0, row["n_shared_images"]) == (True, 0)


def test_every_scored_partition_is_compared_with_every_set_of_covariates(lab: str) -> None:
    sets = len(schemas.CovariateSet())
    assert sets == 3
    assert len(schemas.ClusterAssociation & OWN) == sets * len(schemas.DECFinetune & OWN)
    assert len(schemas.ClusterConfound & OWN) == len(schemas.DECFinetune & OWN)


def test_rows_are_those_of_the_science_functions(lab: str) -> None:
    row = one(schemas.ClusterAssociation, k=3, seed=0, **NONE)
    key = key_of(row)
    labels, scores = partition_labels(key), scores_before(key)
    defined = ~np.isnan(scores)
    sessions = sessions_of("small")[defined]
    mixed = mixed_test(np.arctanh(scores[defined]), labels[defined], sessions)
    assert (row["mixed_status"], row["covariate_status"]) == ("ok", "ok")
    assert row["p_mixed"] == pytest.approx(mixed.p, rel=1e-8)
    assert row["p_fixed"] == pytest.approx(mixed.p_fixed, rel=1e-8)
    assert (row["score_scale"], row["covariate_slopes"]) == ("fisher_z", "by_session")
    z = np.arctanh(scores[defined])
    found = sessions_test(z, labels[defined], sessions, seed=0, n_permutations=N_PERMUTATIONS)
    assert row["omega2_partial"] == pytest.approx(found.effect.corrected, rel=1e-8)
    member = one(GridAssociation.Member, study=lab, k=3, seed=0, **NONE)
    assert (member["p_sessions"], member["n_clusters_left_out"]) == (found.p, found.n_left_out)
    share = sessions_test(
        z, labels[defined], sessions, seed=0, n_permutations=N_PERMUTATIONS, statistic="share"
    )
    assert one(GridAssociation, study=lab, **NONE)["grid_statistic"] == "studentised" != share.statistic
    units = (schemas.ClusterAssociation.Population & key).to_dicts()
    assert {unit["population_status"] for unit in units} == {"too_few_units"}
    assert {unit["p"] for unit in units} == {None}
    assert len(schemas.ClusterAssociation.Contrast & key) == 2 * 3
    assert len(schemas.ClusterAssociation.Session & key) == len(np.unique(sessions))


def test_a_covariate_that_is_refused_leaves_no_numbers(lab: str) -> None:
    row = one(schemas.ClusterAssociation, k=3, seed=0, covariate_set="all known")
    assert {"log_rate", "norm"} <= set(row["covariates_used"])
    key = key_of(row)
    case = comparison(key, "none", {"names": ["norm"], "degree": 1, "missing": "refuse"})
    assert case.columns.shape == (int(case.keep.sum()), 1)
    summary = (schemas.RecordingSummary & key).fetch1("KEY")
    schemas.RecordingSummary.update1({**summary, "n_shared_images": 2})
    try:
        shared = comparison(key, "none", {"names": ["norm"]})
    finally:
        schemas.RecordingSummary.update1({**summary, "n_shared_images": 0})
    assert (shared.status, len(shared.scores)) == ("shared_images", 0)
    # The lab's neurons have no position in depth: asked for, it is refused, and every number is NULL.
    refused = comparison(key, "none", {"names": ["norm", "z"]})
    assert (refused.status, refused.missing) == ("covariate_missing", ("z",))
    made = associated(refused, partition_labels(key))
    empty, population, contrasts, of_sessions = made.row, *made.parts.values()
    assert {empty[name] for name in ("omega2_partial", "p_mixed", "p_fixed")} == {None}
    assert (empty["effect_status"], empty["mixed_status"]) == ("no_scores", "no_scores")
    assert {row["population_status"] for row in population} == {"no_scores"}
    assert contrasts == of_sessions == []


def test_reliabilities_over_repeats_are_covariates(lab: str) -> None:
    key = key_of(one(schemas.ClusterAssociation, k=3, seed=0, **NONE))
    summary = (schemas.RecordingSummary & {"dataset": "small"}).fetch1()
    held = comparison(
        key, "none", {"names": ["spearman_brown", "oracle"], "degree": 1, "missing": "leave_out"}
    )
    assert held.status == "ok"
    assert held.used == ("spearman_brown", "oracle")
    for column, name in enumerate(held.used):
        own = summary[name][held.keep]
        np.testing.assert_allclose(held.columns[:, column], (own - own.mean()) / own.std())


def test_confounds_are_those_of_the_stored_labels(lab: str) -> None:
    key = dict((schemas.DECFinetune & "dataset = 'small' AND method = 'gmm' AND k = 3").keys()[0])
    expected = confound(partition_labels(key), sessions_of("small"))
    row = (schemas.ClusterConfound.Grouping & key & {"grouping": "session"}).fetch1()
    assert row["ami"] == pytest.approx(expected.ami)
    assert row["cramers_v_corrected"] == pytest.approx(expected.cramers_v_corrected)
    left_out = (schemas.ClusterConfound.LeftOut & key).to_dicts()
    assert len(left_out) == 2
    assert all(0 <= animal["share_kept"] <= 1 for animal in left_out)


def test_a_grid_has_one_p_and_the_study_corrects_all(lab: str) -> None:
    study = {"study": lab}
    grid = one(GridAssociation, **study, **NONE)
    members = (GridAssociation.Member & key_of(grid)).to_dicts()
    assert (grid["n_partitions"], grid["grid_correction"]) == (4, "max_t")
    assert grid["p_grid"] == min(member["p_adjusted"] for member in members)
    assert all(member["p_sessions"] <= member["p_adjusted"] for member in members)
    best = [m for m in members if (m["k"], m["seed"]) == (grid["best_k"], grid["best_seed"])]
    assert best[0]["p_adjusted"] == grid["p_grid"]

    sets = len(schemas.CovariateSet())
    assert len(schemas.AdjustedPValue & study) == sets
    master = one(schemas.AdjustedPValue.proj() * schemas.DECFinetune.proj(), **study, **NONE)
    rows = (
        schemas.AdjustedPValue.Partition & study & {"covariate_set_id": master["covariate_set_id"]}
    ).to_dicts()
    assert len(rows) == 20
    # Partitions with one cluster of eight neurons or more have no p, and are counted nowhere.
    tested = [row for row in rows if row["p_sessions"] is not None]
    assert {row["p_sessions_bh"] for row in rows if row["p_sessions"] is None} <= {None}
    corrected = benjamini_hochberg(np.array([row["p_sessions"] for row in tested]))
    np.testing.assert_allclose([row["p_sessions_bh"] for row in tested], corrected)
    own = {**study, "covariate_set_id": master["covariate_set_id"]}
    n_tests = (schemas.AdjustedPValue & own).fetch1("n_sessions_tests")
    assert n_tests == len(tested) >= 16
    assert {row["p_population_bh"] for row in rows} == {None}


def test_nothing_is_corrected_before_everything_is_tested(lab: str) -> None:
    key = dict((GridAssociation & {"study": lab}).keys()[0])
    own = {"study": lab, "covariate_set_id": key["covariate_set_id"]}
    assert len(schemas.AdjustedPValue().key_source & own) == 1
    before = (GridAssociation & key).fetch1("p_grid")
    (GridAssociation & key).delete(prompt=False)
    try:
        assert len(schemas.AdjustedPValue().key_source & own) == 0
    finally:
        GridAssociation.populate(key)
    assert (GridAssociation & key).fetch1("p_grid") == before
    assert len(schemas.AdjustedPValue().key_source & own) == 1


def test_a_changed_member_is_refused(lab: str) -> None:
    key = (schemas.AdjustedPValue & {"study": lab}).keys()[0]
    member = (schemas.DECFinetune & {"dataset": "small", "k": 3, "method": "kmeans"}).keys()[0]
    digest = (schemas.DECFinetune & member).fetch1("labels_sha256")
    schemas.DECFinetune.update1({**member, "labels_sha256": "0" * 64})
    try:
        with pytest.raises(ConfigError, match="are not those that were frozen"):
            schemas.AdjustedPValue().make_fetch(dict(key))
        grid = (GridAssociation & {"study": lab, "method": "kmeans"}).keys()[0]
        with pytest.raises(ConfigError, match="are not those that were frozen"):
            GridAssociation().make_fetch(dict(grid))
    finally:
        schemas.DECFinetune.update1({**member, "labels_sha256": digest})


def test_the_price_is_tested_against_its_margin_and_cluster_by_cluster(lab: str) -> None:
    for row in (schemas.RetainedPerformance & OWN).to_dicts():
        key = key_of(row)
        means = (schemas.RetainedPerformance.Session & key).to_arrays("difference", order_by="session")
        expected = equivalence(np.asarray(means, dtype=float))
        assert (row["margin"], row["equivalence_status"]) == (0.005, "ok")
        assert row["p_equivalence"] == pytest.approx(expected.p)
        assert bool(row["equivalent"]) == expected.equivalent
        clusters = (schemas.RetainedPerformance.Cluster & key).to_dicts()
        worst = min(clusters, key=lambda cluster: cluster["difference"])
        assert (row["worst_cluster"], row["worst_cluster_difference"]) == (
            worst["cluster"],
            pytest.approx(worst["difference"]),
        )


def test_the_queries_answer_with_the_tables_numbers(lab: str) -> None:
    rows = queries.predictability(lab)
    assert len(rows) == 3 * (4 + 2)
    row = next(
        r for r in rows if (r["method"], r["k"], r["finetune"], r["covariates"]) == ("gmm", 3, "none", "none")
    )
    own = schemas.CovariateSet.proj("covariate_set") & NONE
    kind = schemas.FinetuneSpec.proj("kind") & {"kind": "none"}
    where = {"dataset": "small", "method": "gmm", "k": 3}
    shares = (schemas.ClusterAssociation * own * kind & where).to_arrays("omega2_partial")
    assert row["n_partitions"] == len(shares) == 4
    assert row["omega2"] == pytest.approx(np.mean(shares.astype(float)))
    assert row["population"] == "too_few_units 4/4"
    assert row["p_grid"] >= row["p_sessions"] / 4

    (first, *_) = queries.confounds(lab)
    assert -0.2 < first["ami_session"] <= 1
    assert 0 <= first["transfer_share_kept"] <= 1


def test_the_price_and_the_front_are_those_of_the_study(lab: str) -> None:
    prices = queries.price(lab)
    assert len(prices) == 4
    assert {row["finetune"] for row in prices} == {"dec", "dec_joint"}
    table = queries.improvement(lab)
    assert (len(table["pairs"]), len(table["summary"])) == (4, 2)
    for row in table["pairs"]:
        assert row["silhouette_change"] == pytest.approx(row["silhouette_after"] - row["silhouette_before"])
    for row in table["summary"]:
        assert row["n_networks"] == 2
        pair = schemas.SeedAgreement.Pair * schemas.FinetuneSpec.proj("finetune") & {
            "study": lab,
            "finetune": row["finetune"],
        }
        assert row["ari_networks_after"] == pytest.approx(pair.fetch1("ari"))
    front = queries.front(lab)
    assert {row["finetune"] for row in front} == {"none", "dec", "dec_joint"}
    best = max(front, key=lambda row: (row["ari_networks"], row["difference"]))
    assert best["on_front"]
    assert {row["beta"] for row in front if row["finetune"] == "none"} == {0.0}


LIKE_WITH_LIKE = """
SELECT f.finetune, m.k, m.method,
  COUNT(*) AS n_pairs, AVG(s.ari) AS ari_before, AVG(m.ari) AS ari_after
FROM {pair} m JOIN {pair} s USING (study, dataset, model_spec_id, embedding_spec_id, method, method_id, k, pair_kind,
  model_seed_a, seed_a, model_seed_b, seed_b)
JOIN {spec} f ON f.finetune_id = m.finetune_id JOIN {spec} n ON n.finetune_id = s.finetune_id
WHERE m.study = %s AND m.pair_kind = 'model_seeds' AND f.kind != 'none' AND n.kind = 'none'
GROUP BY f.finetune, m.k, m.method
"""


def test_every_before_and_after_is_of_the_same_networks_and_starts(lab: str) -> None:
    # The lab clusters from two starts and fine-tunes one: a mean over both is another figure.
    names = {
        "pair": schemas.SeedAgreement.Pair().full_table_name,
        "spec": schemas.FinetuneSpec().full_table_name,
    }
    found = schemas.schema.connection.query(LIKE_WITH_LIKE.format(**names), args=(lab,)).fetchall()
    expected = {row[:3]: row[3:] for row in found}
    assert {key[0] for key in expected} == {"dec", "dec_joint"}
    results = queries.results(lab)
    summary = queries.improvement(lab)["summary"]
    prices = queries.price(lab)
    for (finetune, k, method), (n_pairs, before, after) in expected.items():

        def of(
            rows: list[dict[str, object]], finetune: str = finetune, k: int = k
        ) -> list[dict[str, object]]:
            return [row for row in rows if (row["finetune"], row["k"]) == (finetune, k)]

        (row,) = [one for one in of(results) if one["method"] == method]
        assert (row["n_pairs"], row["n_networks"], row["n_starts"]) == (n_pairs, 2, 2)
        assert (row["ari_seeds_before"], row["ari_seeds_after"]) == pytest.approx((before, after))
        assert row["ari_seeds"] == pytest.approx(after)
        (mean,) = of(summary)
        assert (mean["ari_networks_before"], mean["ari_networks_after"]) == pytest.approx((before, after))
        for name in ("before", "after", "control"):
            values = [one[name] for one in of(prices)]
            assert row[f"correlation_{name}"] == pytest.approx(np.mean(values))
        tuned = {"finetune": finetune, "k": k, "method": method, "dataset": "small"}
        key = (schemas.DECFinetune * schemas.FinetuneSpec.proj("finetune") & tuned).to_dicts()[0]
        page = queries.before_and_after(lab, key)
        assert {name: row[name] for name in queries.PAIRED} == {name: page[name] for name in queries.PAIRED}
        assert page["epsilon2_after"] == pytest.approx(row["epsilon2"])
    starts = [row for row in results if row["finetune"] == "none"]
    assert {row["ari_seeds_before"] for row in starts} == {None}
    (_, k, method), (_, before, _) = min(expected.items())
    (start,) = [row for row in starts if (row["k"], row["method"]) == (k, method)]
    assert (start["n_partitions"], start["ari_seeds"]) != (2, pytest.approx(before))
    (front,) = [row for row in queries.front(lab) if row["finetune"] == "none"]
    assert front["ari_networks"] == pytest.approx(before)


def test_a_study_that_is_not_frozen_has_no_answer(lab: str) -> None:
    for query in (
        queries.predictability,
        queries.confounds,
        queries.price,
        queries.improvement,
        queries.front,
    ):
        with pytest.raises(ConfigError, match="there is no study"):
            query("no such study")
