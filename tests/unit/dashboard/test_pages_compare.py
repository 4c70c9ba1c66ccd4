"""Agreement and Provenance without a database: numbers of the figures, and what is missing."""

from __future__ import annotations

import io
from typing import Any

import numpy as np
import pandas as pd
import pytest
from dashboard_lab import LABELS, Lab, text_of
from sklearn.metrics import adjusted_rand_score
from support.finetune_page_lab import tuned_lab

from decortex.evaluation.agreement import rand_matrix
from decortex_ops.dashboard import router
from decortex_ops.dashboard.pages import PAGES, agreement
from decortex_ops.reports import communities_sentence, geometry_sentence


def partitions() -> list[dict[str, Any]]:
    rng = np.random.default_rng(0)
    found = []
    for method, name in ((1, "kmeans"), (7, "gmm diag")):
        for seed in (0, 1):
            labels = np.where(rng.random(len(LABELS)) < 0.2, rng.integers(0, 3, len(LABELS)), LABELS)
            found.append(
                {
                    "method_id": method,
                    "method_name": name,
                    "model_seed": seed,
                    "seed": 0,
                    "labels": labels.astype(np.int16),
                }
            )
    return found


def lab(**answers: Any) -> Lab:
    return Lab(**{"partitions_at": partitions(), "agreement_by_count": [], **answers})


def test_the_matrix_is_the_adjusted_rand_index() -> None:
    own = partitions()
    table = pd.read_csv(io.StringIO(router.csv_of("agreement", "matrix", "", lab())))
    assert len(table) == 6
    a, b = own[0]["labels"], own[3]["labels"]
    placed = (a >= 0) & (b >= 0)
    row = table[(table["a"] == agreement.name_of(own[0])) & (table["b"] == agreement.name_of(own[3]))]
    assert row["ari"].item() == pytest.approx(adjusted_rand_score(a[placed], b[placed]))


def test_trivial_partitions_have_no_index() -> None:
    one, two = np.zeros(6, dtype=int), np.array([0, 0, 0, 1, 1, 1])
    matrix = rand_matrix([one, two, two, np.full(6, -1)])
    assert np.isnan(matrix[0, 0])
    assert matrix[0, 1] == 0
    assert matrix[1, 2] == 1
    assert np.isnan(matrix[3]).all()


def test_a_cell_leads_to_its_contingency_table() -> None:
    view = router.view_of(agreement, "", lab())
    matrix = next(panel for panel in view.panels if panel.name == "matrix")
    link = matrix.figure.data[0].customdata[0][3]
    path, _, search = link.partition("?")
    assert path == "/agreement"
    own = partitions()
    table = pd.read_csv(io.StringIO(router.csv_of("agreement", "contingency", search, lab())))
    counts = pd.crosstab(own[0]["labels"], own[3]["labels"])
    for row in table.to_dict("records"):
        i, j = row["cluster_a"], row["cluster_b"]
        assert row["neurons"] == (counts.loc[i, j] if i in counts.index and j in counts.columns else 0)
    assert "gmm diag · network 1 · start 0" in text_of(router.show(path, search, lab()).main)


def test_too_few_partitions_name_the_command() -> None:
    text = text_of(router.show("/agreement", "", lab(partitions_at=partitions()[:1])).main)
    assert "decortex work" in text


OF = {"dataset": "v4", "embedding": "l2", "k": 8, "finetune": "none"}
STORED: dict[str, list[dict[str, Any]]] = {
    "partitions": [
        {**OF, "model": "cnn", "method": "kmeans", "ari_seeds": 0.71, "support": 0.9, "worst_cluster": 0.5},
        {**OF, "model": "cnn", "method": "gmm diag", "k": 4, "ari_seeds": 0.11},
    ],
    "methods": [{**OF, "model": "cnn", "method_a": "kmeans", "method_b": "gmm diag", "ari_same": 0.61}],
    "models": [{**OF, "model_a": "cnn", "model_b": "other", "method": "kmeans", "ari_models": 0.41}],
    "subsamples": [
        {
            **OF,
            "model": "cnn",
            "method": "kmeans",
            "model_seed": 0,
            "ari_subsamples": 0.81,
            "n_fits_not_ok": 3,
        }
    ],
    "geometry": [
        {
            **{name: OF[name] for name in ("dataset", "embedding")},
            "model": "cnn",
            "status": "ok",
            "n_networks": 3,
            "n_neurons": 60,
            "n_neuron_pairs": 1770,
            "lower_quantile": lower,
            "upper_quantile": upper,
            "rdm_correlation": correlation,
            "rdm_correlation_low": correlation - 0.1,
            "rdm_correlation_high": correlation + 0.1,
            "rdm_correlation_min": correlation - 0.05,
            "rdm_null": 0.021,
            "p_rdm": 0.01,
            "p_rdm_smallest": 0.01,
            "rdm_rank_correlation": correlation,
        }
        for lower, upper, correlation in ((0.0, 1.0, 0.432), (0.1, 0.1, 0.321))
    ],
    "communities": [
        {
            **OF,
            "model": "cnn",
            "method": method,
            "community_status": "ok",
            "n_partitions": 9,
            "n_communities": 6,
            "n_communities_null": 7.2,
            "ari_communities": 0.713,
            "ari_communities_null": 0.2,
            "firm_share": 0.9,
            "firm_share_null": 0.4,
            "modularity": 0.51,
            "modularity_null": 0.2,
            "p_modularity": p,
            "p_modularity_smallest": 0.05,
            "ari_truth": None,
        }
        for method, p in (("kmeans", 0.05), ("all methods", 0.35))
    ],
    "nulls": [],
}
NULL = {
    **OF, "model": "cnn", "method": "kmeans", "finetune": "dec", "null": "gaussian", "measure": "ari_seeds",
    "before": 0.5, "after": 0.6, "change": 0.1, "change_null": 0.09, "change_p": 0.2, "n_null": 4,
}  # fmt: skip


def test_agreement_shows_what_is_stored_at_its_k() -> None:
    asked = lab(agreement=STORED)
    text = text_of(router.show("/agreement", "?k=8", asked).main)
    for part, number in (
        ("partitions", "0.710"),
        ("methods", "0.610"),
        ("models", "0.410"),
        ("subsamples", "0.810"),
    ):
        assert number in text
        table = pd.read_csv(io.StringIO(router.csv_of("agreement", f"stored-{part}", "?k=8", asked) or ""))
        assert len(table) == 1, part
    assert "0.110" not in text  # of another K
    assert "n = 1 row at this K" in text
    nothing = text_of(router.show("/agreement", "?k=8", lab()).main)
    assert "decortex work" in nothing


def test_agreement_shows_geometry_and_communities_with_their_nulls() -> None:
    asked = lab(agreement=STORED)
    text = text_of(router.show("/agreement", "?k=8", asked).main)
    assert (
        "distances between neurons correlate 0.432 (95 % over networks 0.332 to 0.532) between networks, 0.021 with "
        "neurons permuted within sessions: more than sessions alone explain (p = .0100 min, 3 networks, 60 neurons)."
    ) in text
    assert "Communities of 1 of 2 combinations of method, K and fine-tuning hold together" in text
    assert "not corrected for their number): 6 communities." in text
    for part, n_rows in (("geometry", 2), ("communities", 2)):
        table = pd.read_csv(io.StringIO(router.csv_of("agreement", part, "?k=8", asked) or ""))
        assert len(table) == n_rows, part
    # Geometry knows no K; communities of another K are not shown.
    other = router.show("/agreement", "?k=4", asked)
    assert "0.432" in text_of(other.main)
    assert '"communities": {} in the plan' in text_of(other.main)


def test_geometry_and_communities_that_say_nothing_are_said_to() -> None:
    geometry = [{**row, "p_rdm": 0.4, "rdm_correlation_low": None} for row in STORED["geometry"]]
    assert "0.432 between networks" in geometry_sentence(geometry)
    assert "no more than chance within sessions (p = .4000" in geometry_sentence(geometry)
    assert "cannot be compared" in geometry_sentence([{**geometry[0], "rdm_correlation": None}])
    none = [{**row, "p_modularity": 0.5} for row in STORED["communities"]]
    assert "Communities of none of 2 combinations" in communities_sentence(none)
    assert "takes two networks" in communities_sentence([{**none[0], "p_modularity": None}])


def test_networks_that_share_a_start_are_said_to_agree_by_construction() -> None:
    said = "fine-tuned networks agree by construction here"
    rows = STORED["partitions"]
    plain = agreement.stored_panel("partitions", "title", "mean", (("method", "method"),), rows)
    shared = [{**row, "by_construction": True} for row in rows]
    warned = agreement.stored_panel("partitions", "title", "mean", (("method", "method"),), shared)
    assert said not in plain.measure
    assert said in warned.measure


SHARED = {
    **OF, "model": "cnn", "labelling_status": "ok", "n_networks": 3, "n_neurons": 59, "n_alive": 7, "balance": 0.93,
    "confidence_mean": 0.88, "loss": -8.1, "loss_worst": -7.9, "ari_truth": 0.61, "cross_entropy": 0.421,
    "cross_entropy_worst": 0.512, "method": "gmm", "ari_vote": 0.477, "ari_truth_members": 0.402,
}  # fmt: skip
SAID = "dec: networks were fine-tuned from one partition and agree by construction."


@pytest.mark.parametrize(("path", "search"), [("/agreement", "?k=8&ft=3"), ("/fine-tune", "")])
def test_what_agrees_by_construction_is_on_both_pages(path: str, search: str) -> None:
    rows = [{"kind": "start", "finetunings": ["dec"], "sentence": SAID}]
    other = {"kind": "start", "finetunings": ["another"], "sentence": "another: of no concern here."}
    of_other_k = {**SHARED, "k": 9, "ari_vote": 0.123}

    def asked(**answers: Any) -> Lab:
        made = tuned_lab()
        made.answers |= {"partitions_at": partitions(), **answers}
        return made

    plain = text_of(router.show(path, search, asked()).main)
    for words in ("(TURTLE)", "What agrees by construction"):
        assert words not in plain
    full = asked(shared_labellings=[SHARED, of_other_k], by_construction=[*rows, other])
    text = text_of(router.show(path, search, full).main)
    for words in (
        "(TURTLE)",
        "0.477",
        "0.512",
        "n = 3 networks, 59 neurons",
        "by construction, so that",
        SAID,
    ):
        assert words in text, words
    assert "0.123" not in text
    assert "of no concern here" not in text
    table = pd.read_csv(io.StringIO(router.csv_of(path.strip("/"), "shared-labelling", search, full) or ""))
    assert list(table["ari_vote"]) == [0.477]
    said = pd.read_csv(io.StringIO(router.csv_of(path.strip("/"), "construction", search, full) or ""))
    assert list(said["sentence"]) == [SAID]


def test_fine_tuning_is_shown_beside_that_of_surrogates() -> None:
    asked = tuned_lab()
    asked.answers |= {"agreement": {**STORED, "nulls": [NULL]}, "null_recordings": [{"dataset": "v4-null-0"}]}
    text = text_of(router.show("/fine-tune", "", asked).main)
    for words in ("gaussian", ".2000", "n = 4 surrogates", "v4-null-0"):
        assert words in text
    assert '"finetuned_null" in the plan' in text_of(router.show("/fine-tune", "", tuned_lab()).main)


def test_provenance_shows_chain_versions_and_the_commands() -> None:
    found = {
        "table": "DECFinetune",
        "key": {"k": 4},
        "chain": [{"table": "Dataset", "content_sha256": "ab" * 32}, {"table": "Environment", "env_id": 1}],
        "row": {"labels_sha256": "cd" * 32},
        "environment": {"git_commit": "ef" * 20, "python": "3.11", "packages": {"numpy": "2.0"}},
        "recompute": ["one", "two", "three"],
    }
    text = text_of(router.show("/provenance", "", Lab(provenance=found)).main)
    for expected in ("ab" * 32, "cd" * 32, "ef" * 20, "one\ntwo\nthree", "n = 2 rows", "n = 1 package"):
        assert expected in text
    assert text.index("ab" * 32) < text.index("one\ntwo\nthree"), (
        "what it rests on first, how to replace it last"
    )


def test_links_between_pages_keep_the_partition() -> None:
    screen = router.show("/map", "?study=sweep&method=7&k=4&seed=0", Lab())
    links = {item.children.children: item.children.href for item in screen.nav}
    assert len(links) == len(PAGES)
    assert "method=7&k=4" in links["Cluster"]
    assert "view=" not in links["Cluster"]
    assert links["Which K"].startswith("/which-k?study=sweep")
    back = router.show("/which-k", links["Which K"].partition("?")[2], Lab(study_counts=[]))
    assert "k=4" in back.url  # kept for the page after next


def test_every_page_answers_any_query() -> None:
    for page in PAGES:
        for search in ("?study=%00", "?k=-1&method=x&page=0", "?" + "a" * 5000, "?dataset=../../etc&model=9"):
            assert router.show(page.PATH, search, Lab(study_counts=[])).main


def test_a_study_that_is_no_longer_what_was_frozen_says_so_first() -> None:
    said = "study 'v4' is no longer what was frozen: 1 of its members missing"
    view = router.view_of(agreement, "", lab(frozen_changes=said))
    assert view.panels[0].name == "changed"
    assert view.panels[0].empty.why == said


def labelled(**changed: Any) -> dict[str, Any]:
    """A row of both parts of `against_labels`."""
    row = {"dataset": "v4", "model": "cnn", "embedding": "l2", "method": "kmeans", "k": 8, "label_set": "cre"}
    numbers = {
        "n_neurons": 50,
        "ari": 0.31,
        "ari_null": 0.02,
        "p_ari": 0.0001,
        "purity": 0.7,
        "verdict": "nearer",
    }
    return {**row, **numbers, "finetune": "dec", "ari_gain": 0.05, **changed}


def test_clusters_stand_beside_external_labels_where_there_are_some() -> None:
    found = {"partitions": [labelled(), labelled(k=9)], "answers": [labelled(), labelled(model="other")]}
    own = lab(label_sets=[{"label_set": "cre"}], against_labels=found)
    panels = {panel.name: panel for panel in router.view_of(agreement, "", own).panels}
    assert [len(panels[f"labels-{part}"].rows) for part in ("partitions", "answers")] == [1, 1]
    assert "0.31" in text_of(panels["labels-partitions"].content)
    assert "nearer" in text_of(panels["labels-answers"].content)
    waiting = lab(label_sets=[{"label_set": "cre"}], against_labels={"partitions": [], "answers": []})
    (panel,) = [
        one for one in router.view_of(agreement, "", waiting).panels if one.name.startswith("labels-")
    ]
    assert panel.empty is not None
    without = router.view_of(agreement, "", lab())
    assert not [one for one in without.panels if one.name.startswith("labels-")]
