"""A user's own table through the tables: one dataset without recordings, clustered and judged as networks are."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from datajoint.jobs import Job
from small_lab import fill

import decortex_schemas as schemas
from decortex import association
from decortex.analysis import analyse
from decortex.data import TableColumns, read_table
from decortex.errors import ConfigError, DatasetError, InputError
from decortex.evaluation.splits import SplitConfig
from decortex_ops.cli.registering import own_table
from decortex_ops.reports import draw_figure, report
from decortex_ops.table_study import TableStudy, analyse_file
from decortex_ops.workers import sweep
from decortex_schemas import queries
from decortex_schemas.database import computed_tables, queue_of, schema
from decortex_schemas.register import PlanFile, declare_plan, register_table, table_of
from decortex_schemas.tables import (
    Dataset,
    load_embedding,
    load_recordings,
    register_split_spec,
    request_tuning,
)
from decortex_schemas.tables.evaluation import animals_of, insert_table_scores, request_agreement_null

COLUMNS = TableColumns(ids="cell", animal="donor", scores=("score",), labels=("type",))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(0)
    types = np.arange(150) % 3
    table = pd.DataFrame(rng.normal(size=(150, 4)) + 9 * np.eye(3, 4)[types], columns=list("abcd"))
    table["cell"] = [f"c{i}" for i in range(150)]
    table["donor"] = [f"m{i % 4}" for i in range(150)]
    table["type"] = [("ON", "OFF", "")[one] for one in types]
    table["score"] = types + 0.1 * rng.normal(size=150)
    path = tmp_path_factory.mktemp("own") / "My cells.csv"
    table.to_csv(path, index=False)
    return path


def filled(*, then: Callable[[], object], **_: object) -> None:
    """As `run_until_empty`, in this process, with the external labels of few partitions and of those that speak."""
    fill(few=[schemas.LabelAgreement])
    schemas.LabelAgreement.populate({"k": 3, "method": "kmeans"})
    then()
    fill(few=[schemas.LabelAgreement])


@pytest.fixture(scope="module")
def made(database: dict[str, str], file: Path) -> Iterator[TableStudy]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("decortex_ops.table_study.run_until_empty", filled)
        yield analyse_file(file, COLUMNS)


def test_partition_types_and_answers_are_those_of_the_notebook(made: TableStudy, file: Path) -> None:
    alone = analyse(file, COLUMNS)
    assert (made.found.k, made.found.k_from, made.found.n_types) == (3, "types", 3)
    assert made.found.labels.tolist() == alone.labels.tolist()
    assert [one["answer"] for one in made.found.answers()] == [one["answer"] for one in alone.answers()]
    written = pd.read_csv(made.partition_file)
    assert written["id"].tolist() == [f"c{i}" for i in range(150)]
    assert written["cluster"].tolist() == alone.labels.tolist()
    assert made.picture.read_bytes()[:4] == b"\x89PNG"


@pytest.mark.parametrize(
    ("k", "said"),
    [(151, r"n_clusters = 151 is larger than the number of neurons \(150\)"), (1, "Ask for 2 to 150")],
)
def test_a_number_of_clusters_that_cannot_be_shown_is_refused(
    file: Path, monkeypatch: pytest.MonkeyPatch, k: int, said: str
) -> None:
    with pytest.raises(InputError, match=said):
        analyse_file(file, COLUMNS, n_clusters=k)
    monkeypatch.delenv("DJ_HOST", raising=False)  # by the command too, before a server starts
    with pytest.raises(InputError, match=said):
        own_table.analyse(file, ids="cell", animal="donor", score=["score"], label=["type"], k=k)


def test_the_rows_say_where_the_table_came_from(made: TableStudy, file: Path) -> None:
    key = {"dataset": made.study}
    dataset = (schemas.Dataset & key).fetch1()
    assert (dataset["kind"], dataset["n_neurons"]) == ("neurons_only", 150)
    source, family = (schemas.ModelTask & key).fetch1("source", "family")
    table = read_table(file, COLUMNS)
    assert source == str(file.resolve())
    assert family["table_sha256"] == table.sha256
    animals = (schemas.Dataset.Neuron & key).to_arrays("animal", order_by="neuron_idx")
    assert animals.tolist() == table.animals.tolist()
    assert len(schemas.Dataset.Session & key) == 4  # an animal is a session where none is named
    labels = (schemas.LabelSet & key).fetch1()
    assert (labels["label_set"], labels["classes"], labels["n_labelled"]) == ("type", ["OFF", "ON"], 100)
    assert labels["source_sha256"] == table.sha256
    x = load_embedding((schemas.Embedding & key).fetch1("KEY"))
    z = (table.features - table.features.mean(axis=0)) / table.features.std(axis=0)
    np.testing.assert_allclose(x, z, atol=1e-5)  # read in single precision, as readouts are


def test_a_registered_table_comes_back_whole(made: TableStudy, file: Path) -> None:
    back, table = table_of(made.study), read_table(file, COLUMNS)
    np.testing.assert_array_equal(back.features, table.features)
    assert back.ids.tolist() == table.ids.tolist()
    np.testing.assert_array_equal(back.scores["score"], table.scores["score"])
    assert back.labels["type"].tolist() == table.labels["type"].tolist()
    assert (back.feature_names, back.sha256) == (table.feature_names, table.sha256)
    with pytest.raises(InputError, match="is no registered table"):
        table_of("nobody")


def test_scores_of_a_table_are_compared_at_every_k_and_answered(made: TableStudy, file: Path) -> None:
    key = {"dataset": made.study}
    kept = (schemas.TableScore & key).fetch1()
    assert (kept["table_score"], kept["n_scored"], kept["session_kind"]) == ("score", 150, "animal")
    partitions = len(schemas.DECFinetune & key)
    assert partitions == len(schemas.TableScoreAssociation & key) >= 36
    row = (schemas.TableScoreAssociation & key & {"k": 3, "method": "kmeans", "seed": 0}).fetch1()
    table = read_table(file, COLUMNS)
    alone = association(
        table.scores["score"], made.found.labels, sessions=table.animals, seed=0, n_permutations=999
    )
    for name in ("epsilon2_corrected", "epsilon2_low", "epsilon2_within", "omega2", "p_permutation"):
        assert row[name] == pytest.approx(getattr(alone, name)), name
    assert made.found.scores["score"] == alone  # analyse reads the row
    told = queries.table_scores(made.study)
    assert {(one["method"], one["k"]) for one in told} == {
        (m, k) for m in ("kmeans", "gmm") for k in range(2, 11)
    }
    best = next(one for one in told if (one["method"], one["k"]) == ("kmeans", 3))
    assert (best["score"], best["within"], best["status"], best["n_partitions"]) == (
        "score",
        "animal",
        "ok",
        2,
    )
    assert best["epsilon2"] > 0.7
    assert best["p_max"] == pytest.approx(1e-3)
    tied = queries.answers(made.study)[2]
    assert tied["answer"] == "in these sessions"
    assert tied["sentence"].startswith("Score 'score' and cluster at K = ")
    assert tied["compared_with"] == "permutations of neurons within animals"
    assert queries.asked_rows(made.study)["TableScoreAssociation"] == partitions


def test_another_score_under_a_name_that_is_taken_is_refused(made: TableStudy) -> None:
    with pytest.raises(InputError, match="has another score 'score'"):
        insert_table_scores(made.study, {"score": np.zeros(150)}, session_kind="animal")
    with pytest.raises(InputError, match="1 to 64 characters, got 65"):
        insert_table_scores(made.study, {"s" * 65: np.zeros(150)}, session_kind="animal")


def test_nothing_that_needs_a_network_or_recordings_is_queued(made: TableStudy) -> None:
    fill()
    key = {"dataset": made.study}
    for name in ("Performance", "RecordingSummary", "ClusterPerformance", "ContinuedTraining"):
        table = next(one for one in computed_tables() if one.__name__ == name)
        assert not len(table & key), name
        assert not len(table.key_source & key), name
    with pytest.raises(DatasetError, match="holds neurons only, no recordings"):
        load_recordings(made.study)
    asked = {
        "networks": [{"dataset": made.study, "imported": made.study}],
        "embeddings": [{"name": "raw", "params": {"kind": "raw"}}],
        "methods": [{"method": "kmeans"}],
        "counts": [2],
        "finetunings": [{"name": "dec", "params": {"kind": "dec"}, "schedule": {"max_epochs": 1}}],
    }
    with pytest.raises(ConfigError, match="imported by their readout alone and cannot be fine-tuned"):
        declare_plan("dec-of-a-table", PlanFile.from_params(asked))


def test_the_same_again_changes_nothing_and_another_table_needs_another_name(
    made: TableStudy, file: Path, tmp_path: Path
) -> None:
    before = len(schemas.ModelTask()), len(schemas.Dataset())
    register_table(file, COLUMNS, name=made.study)
    assert (len(schemas.ModelTask()), len(schemas.Dataset())) == before
    changed = pd.read_csv(file, keep_default_na=False)
    changed["a"] += 1.0
    changed.to_csv(tmp_path / "other.csv", index=False)
    with pytest.raises(DatasetError, match="is taken"):
        register_table(tmp_path / "other.csv", COLUMNS, name=made.study)
    changed.loc[0, "b"] = 1e39
    changed.to_csv(tmp_path / "beyond.csv", index=False)
    with pytest.raises(InputError, match=r"1 features .* beyond 3\.4e\+38, .*first: 'b'"):
        register_table(tmp_path / "beyond.csv", COLUMNS)
    changed[list("abcd")] = 1.0
    changed.to_csv(tmp_path / "flat.csv", index=False)
    with pytest.raises(InputError, match="all have the same features"):
        register_table(tmp_path / "flat.csv", COLUMNS)


def test_types_are_those_of_todays_settings_whatever_an_older_default_counted(
    made: TableStudy, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = register_split_spec("default", SplitConfig(alpha=0.001))
    (counted,) = (schemas.TypeCount & {"dataset": made.study}).to_dicts()
    old = {**counted, "split_spec_id": other, "types_status": "none", "n_types": None}
    schemas.TypeCount.insert1(old, allow_direct_insert=True)
    monkeypatch.setattr("decortex_ops.table_study.run_until_empty", lambda **_: None)
    try:
        again = analyse_file(file, COLUMNS, folder=tmp_path / "again")
        assert (again.found.n_types, again.found.k) == (made.found.n_types, made.found.k)
        assert again.found.n_types == 3
    finally:
        (schemas.SplitSpec & {"split_spec_id": other}).delete(prompt=False)


def test_leiden_by_resolution_through_a_study(made: TableStudy) -> None:
    plan = {
        "networks": [{"dataset": made.study, "imported": made.study}],
        "embeddings": [{"name": "zscore", "params": {"kind": "zscore"}}],
        "methods": [{"method": "leiden", "grid": {"resolution": [0.05, 1.0]}}],
        "counts": [40],
        "seeds": [0],
    }
    declare_plan("resolutions", PlanFile.from_params(plan))
    fill()
    rows = (schemas.Clustering & {"dataset": made.study, "method": "leiden"}).to_dicts()
    assert len(rows) == 2
    assert {row["fit_status"] for row in rows} == {"ok"}
    assert all(3 <= row["k_effective"] <= 40 for row in rows)
    assert len(schemas.Clustering.Cluster & rows[0]) == rows[0]["k_effective"]


def statements(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements that the connection is asked from now on."""
    asked: list[str] = []
    query = schema.connection.query

    def listed(text: str, *rest: object, **options: object) -> object:
        asked.append(text)
        return query(text, *rest, **options)

    monkeypatch.setattr(schema.connection, "query", listed)
    return asked


def test_progress_of_all_tables_is_two_statements(made: TableStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = []
    for table in computed_tables():
        jobs = queue_of(table).progress()
        states = {name: jobs[name] for name in ("pending", "reserved", "error", "ignore")}
        expected.append({"table": table.__name__, "done": len(table()), **states})
    asked = statements(monkeypatch)
    assert queries.progress() == expected
    assert len(asked) == 2
    assert any(row["done"] for row in expected)


def test_progress_of_a_study_leaves_others_out(made: TableStudy, file: Path) -> None:
    """Beside it lies a study of the same table with other K, whose partitions are no part of it."""
    counted = {row["table"]: row["done"] for row in queries.study_progress([made.study])}
    asked = queries.asked_rows(made.study)
    assert (counted["Embedding"], counted["Clustering"]) == (1, asked["Clustering"]) == (1, 36)
    assert counted["TableScoreAssociation"] == asked["TableScoreAssociation"]
    register_table(file, COLUMNS, name="beside")
    plan = {
        "networks": [{"dataset": "beside", "imported": "beside"}],
        "embeddings": [{"name": "zscore", "params": {"kind": "zscore"}}],
        "methods": [{"method": "kmeans"}],
        "counts": [2, 3],
    }
    declare_plan("beside", PlanFile.from_params(plan))
    try:
        sweep()
        jobs = {row["table"]: row["pending"] for row in queries.study_progress(["beside"])}
        assert jobs["TrainedModel"] == 1
        assert not any(row["pending"] for row in queries.study_progress([made.study]))
        both = {row["table"]: row for row in queries.study_progress([made.study, "beside"])}
        assert (both["TrainedModel"]["done"], both["TrainedModel"]["pending"]) == (1, 1)
    finally:
        (schemas.Study & {"study": "beside"}).delete(prompt=False)
        (Dataset & {"dataset": "beside"}).delete(prompt=False)
        sweep()


def test_neurons_are_read_once_and_anew_where_their_dataset_is(
    made: TableStudy, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register_table(file, COLUMNS, name="twice")
    before = animals_of("twice")
    asked = statements(monkeypatch)
    np.testing.assert_array_equal(animals_of("twice"), before)
    assert not [text for text in asked if "neuron`" in text]
    (Dataset & {"dataset": "twice"}).delete(prompt=False)
    other = pd.read_csv(file, keep_default_na=False)
    other[COLUMNS.animal] = "other"
    other.to_csv(tmp_path / "other.csv", index=False)
    register_table(tmp_path / "other.csv", COLUMNS, name="twice")
    assert set(animals_of("twice")) == {"other"}
    (Dataset & {"dataset": "twice"}).delete(prompt=False)


def test_the_graph_of_foreign_keys_is_read_once_for_all_queues(
    made: TableStudy, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.connection.dependencies.load()
    asked = statements(monkeypatch)
    for table in computed_tables():
        assert Job(table()).definition == queue_of(table).definition
    assert not [text for text in asked if "referenced_table" in text.lower()]


def test_map_and_scores_are_drawn_and_the_report_holds_them(made: TableStudy) -> None:
    where = {"method": "kmeans", "k": "3", "seed": "0"}
    for name, more, key in (
        ("map", {}, {"colour": "cluster"}),
        ("map", {"colour": "score"}, {"colour": "score", "score": "score"}),
        ("performance", {}, {"score": "score"}),
    ):
        drawn = draw_figure(name, made.study, where | more)
        assert key.items() <= drawn.key.items()
    with pytest.raises(ConfigError, match="has no score 'rate' of a table; it has score"):
        draw_figure("performance", made.study, where | {"score": "rate"})
    neurons = queries.figure_neurons(queries.partitions(made.study)[0]["key"])
    table = table_of(made.study)
    assert [one["score"] for one in neurons] == table.scores["score"].tolist()
    text = report(made.study)
    assert "Not drawn" not in text
    assert "imported networks bring no scores" not in text
    assert "trained from the seeds" not in text
    assert "Scores of the table by cluster" in text
    assert "Clusters against labels" in text


def test_analyse_answers_and_dashboard_say_the_same(made: TableStudy) -> None:
    told = queries.answers(made.study)
    assert made.answers == told
    assert [one["answer"] for one in told] == [one["answer"] for one in made.found.answers()]
    assert {one["n_networks"] for one in told} == {0}
    types, again, tied, tuned, what = told
    assert types["effect"] == made.found.n_types == 3
    assert again["effect"] == made.found.between_seeds
    assert again["measure"] == "adjusted Rand index between starts"
    assert "at K = 3 of kmeans" in again["sentence"]
    assert (tied["effect"], tied["measure"].split(",")[0]) == (
        pytest.approx(made.found.scores["score"].epsilon2_corrected),
        "epsilon²",
    )
    assert what["effect"] == made.found.label_sets["type"].ari
    assert what["measure"] == "adjusted Rand index with type"
    for one in (again, tuned):
        assert "decortex register model" in (one["missing"] or "")
        assert "--ask" not in (one["missing"] or "")
    assert queries.reference(made.study)["k"] == 3
    assert queries.reference(made.study, 5)["k"] == 5
    assert queries.answers(made.study, 5)[1]["answer"] == "undecided"
    with pytest.raises(ConfigError, match=r"has no K = 40; it has K = 2, 3"):
        queries.answers(made.study, 40)


def test_what_takes_a_network_is_refused_for_a_table(made: TableStudy) -> None:
    for asked in (
        lambda: request_tuning(made.study),
        lambda: request_agreement_null(made.study),
        lambda: queries.cluster_profiles(made.study, method="kmeans", k=3),
    ):
        with pytest.raises(ConfigError, match=r"takes a network, and dataset .* is a table of neurons"):
            asked()
    assert not len(schemas.tables.TuningRequest & {"study": made.study})


def test_neurons_and_features_have_the_names_of_the_table(made: TableStudy) -> None:
    assert queries.study_tables(made.study) == [made.study]
    assert queries.neurons(made.study)["id"].tolist() == [f"c{i}" for i in range(150)]
    spec = queries.reference(made.study)["embedding_spec_id"]
    assert queries.feature_names(made.study, spec) == tuple("abcd")


def test_a_score_is_there_before_its_study_is_frozen(made: TableStudy, file: Path) -> None:
    plan = {
        "networks": [{"dataset": made.study, "imported": made.study}],
        "embeddings": [{"name": "zscore", "params": {"kind": "zscore"}}],
        "methods": [{"method": "kmeans"}],
        "counts": [2, 3],
        "seeds": [0, 1],
    }
    declare_plan("thawed", PlanFile.from_params(plan))
    _, again, tied, tuned, what = queries.answers("thawed")
    for one in (again, tied, what):
        assert one["answer"] == "undecided"
        assert "not frozen" in one["sentence"]
    assert "a table has no network" in tuned["sentence"]
