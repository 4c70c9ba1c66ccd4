"""Representational geometry and communities through the tables: rows, what is read of them, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from small_lab import SMALL, compute, plan_for

import decortex_schemas as schemas
from decortex.data import SimulationConfig
from decortex.errors import ConfigError, InputError
from decortex.evaluation import agreement
from decortex.evaluation.nulls import excess_over_null
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.register import declare_plan
from decortex_schemas.tables import freeze_study, load_embedding, register_simulation
from decortex_schemas.tables.datasets import sessions_of, true_types
from decortex_schemas.tables.evaluation import (
    CoAssociation,
    GeometryAgreement,
    PooledCoAssociation,
    request_communities,
)
from decortex_schemas.tables.finetuning import partition_labels

DATA, STUDY, OTHER = "small-for-geometry", "geometry", "no geometry"


@pytest.fixture(scope="module")
def frozen(database: dict[str, str]) -> str:
    """A frozen study of two networks, two methods, three starts, at K = 1 and 3; another asks for no communities."""
    register_simulation(DATA, SimulationConfig.from_params(SMALL), seed=7)
    methods = [{"method": "kmeans"}, {"method": "gmm", "name": "gmm", "params": {"covariance": "diag"}}]
    of_both = {"methods": methods, "counts": [1, 3], "seeds": [0, 1, 2], "finetunings": []}
    declare_plan(STUDY, plan_for(DATA, **of_both, communities={"n_draws": 3}))
    declare_plan(OTHER, plan_for(DATA, **{**of_both, "methods": methods[:1], "counts": [3]}))
    compute([schemas.TrainedModel, schemas.Embedding, schemas.Clustering, schemas.DECFinetune])
    freeze_study(STUDY)
    freeze_study(OTHER)
    compute([GeometryAgreement, CoAssociation, PooledCoAssociation])
    return STUDY


def test_geometry_rows_are_what_the_function_gives(frozen: str) -> None:
    row = (GeometryAgreement & {"study": frozen}).fetch1()
    views = [
        load_embedding({**one, "embedding_spec_id": row["embedding_spec_id"]})
        for one in (schemas.Study.Model & {"study": frozen}).keys(order_by="model_seed")
    ]
    expected = agreement.geometry_agreement(views, seed=0, blocks=sessions_of(DATA), n_permutations=99)
    assert (row["n_networks"], row["n_neurons"], row["n_neuron_pairs"], row["is_exact"]) == (2, 36, 630, 1)
    shown = queries.agreement(frozen)["geometry"]
    assert [(one["lower_quantile"], one["upper_quantile"]) for one in shown] == list(agreement.SETTINGS)
    for one, found in zip(shown, expected, strict=True):
        assert one["rdm_correlation"] == one["rdm_correlation_min"] == pytest.approx(found.mean)
        assert one["rdm_rank_correlation"] == pytest.approx(found.rank_mean)
        against = excess_over_null(found.mean, found.null_means)
        assert (one["rdm_null"], one["p_rdm"]) == pytest.approx((against.null_mean, against.p))
        assert (one["rdm_correlation_low"], one["p_rdm_smallest"]) == (None, pytest.approx(0.01))
    # Not asked for by anybody: every frozen study with two networks has it.
    assert len(GeometryAgreement & {"study": OTHER}) == 1


def test_too_few_networks_or_neurons_are_a_status(frozen: str) -> None:
    key = (GeometryAgreement & {"study": frozen}).fetch1("KEY")
    (networks,) = GeometryAgreement().make_fetch(key)
    for some, status in ((networks[:1], "few_networks"), ([], "few_networks")):
        made = GeometryAgreement().compute(key, some)
        assert (made.row["geometry_status"], made.row["n_networks"]) == (status, len(some))
        assert made.parts == {"Setting": [], "Pair": []}


def test_communities_are_those_of_the_members_by_method_and_over_all(frozen: str) -> None:
    assert not len(CoAssociation & {"study": OTHER})
    assert set((CoAssociation & {"study": frozen}).to_arrays("k")) == {3}
    tables = (
        (CoAssociation & {"study": frozen, "method": "kmeans"}, 6),
        (PooledCoAssociation & {"study": frozen}, 12),
    )
    for table, n_members in tables:
        row = table.fetch1()
        of = {"k": 3} | ({"method_id": row["method_id"]} if "method_id" in row else {})
        asked = schemas.tables.members_of(
            frozen, {name: row[name] for name in ("embedding_spec_id", "dataset")}
        )
        members = (asked & of).keys(order_by="KEY")
        partitions = [partition_labels(one) for one in members]
        expected = agreement.communities(partitions, seed=0)
        drawn = agreement.independent_communities(
            partitions, [one["model_seed"] for one in members], seed=0, n_draws=3, blocks=sessions_of(DATA)
        )
        np.testing.assert_array_equal(row["labels"], expected.labels)
        assert (row["n_partitions"], row["n_networks"], row["n_null"]) == (n_members, 2, 3)
        assert row["n_communities"] == expected.n_communities
        assert row["modularity"] == pytest.approx(expected.modularity)
        assert row["modularity_null"] == pytest.approx(np.mean([one.modularity for one in drawn]))
        assert row["p_modularity"] == excess_over_null(expected.modularity, [d.modularity for d in drawn]).p
        assert row["ari_truth"] == pytest.approx(agreement.agreement(expected.labels, true_types(DATA)).ari)
    shown = queries.agreement(frozen)["communities"]
    assert [one["method"] for one in shown] == ["kmeans", "gmm", queries.ALL_METHODS]
    members = (CoAssociation.Member & {"study": frozen, "method": "kmeans"}).to_arrays("ari")
    assert shown[0]["ari_communities"] == pytest.approx(members.mean())
    assert shown[0]["ari_communities_min"] == pytest.approx(members.min())
    assert len(PooledCoAssociation.Member & {"study": frozen}) == 12


@pytest.mark.parametrize(
    ("part", "column", "sentence"),
    [
        ("geometry", "rdm_correlation", "distances between neurons correlate"),
        ("communities", "n_communities", "Communities of"),
    ],
)
def test_the_command_prints_them(
    frozen: str,
    part: str,
    column: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def printed(*words: str) -> str:
        monkeypatch.setattr("sys.argv", ["decortex", "agreement", frozen, *words])
        with pytest.raises(SystemExit):
            main()
        return capsys.readouterr().out

    assert column in printed("--csv", "--part", part).splitlines()[0]
    alone, whole = printed("--part", part), printed()
    for text in (alone, whole):
        assert sentence in text
        assert text.index(sentence) < text.index(column)


def test_a_second_number_of_draws_is_refused(frozen: str) -> None:
    request_communities(frozen, n_draws=3)
    with pytest.raises(ConfigError, match="asked for communities with 3 draws, not 19"):
        request_communities(frozen)
    with pytest.raises(InputError, match="2 to 10,000 draws"):
        request_communities(OTHER, n_draws=1)
    with pytest.raises(ConfigError, match="there is no study"):
        request_communities("nobody's")
