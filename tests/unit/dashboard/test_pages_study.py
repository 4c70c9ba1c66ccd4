"""Study, Association and Types without a database: verdicts, numbers with their comparison, and what is missing."""

from __future__ import annotations

import io
from datetime import datetime
from typing import Any

import pandas as pd
import pytest
from dashboard_lab import HOSTILE, STUDY, Lab, text_of

from decortex_ops.dashboard import router
from decortex_ops.dashboard.pages import PAGES
from decortex_schemas.queries.answering import ANSWERS, MARKS, QUESTIONS

FACTS = {
    "study": "sweep",
    "description": "Eight known types",
    "created_by": "ada",
    "created_at": datetime(2026, 1, 2),
    "frozen_at": datetime(2026, 1, 3),
    "species": ["macaque"],
    "areas": ["V4"],
    "n_neurons": 360,
    "n_sessions": 3,
    "n_animals": 1,
    "n_networks": 2,
}
REFERENCE = {
    "dataset": "v4",
    "model_spec_id": 1,
    "embedding_spec_id": 2,
    "method": "kmeans",
    "method_id": 1,
    "k": 8,
    "finetune_id": 1,
}


def answer(i: int, verdict: str, **changed: Any) -> dict[str, Any]:
    return {
        "question": QUESTIONS[i],
        "answer": verdict,
        "sentence": f"Sentence {i}.",
        "effect": 0.5,
        "low": 0.4,
        "high": 0.6,
        "measure": f"measure {i}",
        "compared_with": f"comparison {i}",
        "n_networks": 2,
        "n_sessions": 3,
        "n_animals": 1,
        "missing": f"missing {i}",
        **changed,
    }


def told(**changed: Any) -> list[dict[str, Any]]:
    return [answer(i, verdict, **changed) for i, verdict in enumerate(ANSWERS)]


def lab(**answers: Any) -> Lab:
    return Lab(**{"study_facts": FACTS, "answers": told(), "reference": REFERENCE, **answers})


def links(component: Any) -> list[str]:
    """Every address inside a component."""
    if isinstance(component, (list, tuple)):
        return [link for one in component for link in links(one)]
    own = [component.href] if isinstance(getattr(component, "href", None), str) else []
    return own + (links(component.children) if getattr(component, "children", None) is not None else [])


def test_the_first_page_is_the_study_and_queue_is_last() -> None:
    assert next(page.PATH for page in PAGES) == "/"
    assert PAGES[0].TITLE == "Study"
    assert PAGES[-1].TITLE == "Queue"
    assert len({page.PATH for page in PAGES}) == len(PAGES)


def test_its_title_says_what_it_is_of() -> None:
    text = text_of(router.show("/", "", lab()).main)
    assert "Eight known types" in text
    of = "sweep · macaque, V4 · 360 neurons · 1 animal · 3 sessions · 2 networks · by ada, 02 Jan 2026"
    assert f"{of} · frozen 03 Jan 2026" in text
    nameless = lab(
        study_facts={
            **FACTS,
            "description": "",
            "frozen_at": None,
            "n_animals": 0,
            "species": [],
            "areas": [],
        }
    )
    text = text_of(router.show("/", "", nameless).main)
    assert "sweep 360 neurons · 3 sessions" in " ".join(text.split())
    assert "not frozen" in text


def test_a_card_says_verdict_number_comparison_and_what_is_missing() -> None:
    text = text_of(router.show("/", "", lab()).main)
    for i, verdict in enumerate(ANSWERS):
        for words in (
            QUESTIONS[i],
            MARKS[verdict],
            verdict,
            f"Sentence {i}.",
            f"measure {i}; compared with comparison {i}",
            f"missing {i}",
        ):
            assert words in text
    assert len(set(MARKS.values())) == len(ANSWERS), "verdicts differ in shape"


def test_a_number_that_is_not_known_has_no_line_and_no_comparison() -> None:
    text = text_of(
        router.show("/", "", lab(answers=told(effect=None, low=None, high=None, compared_with=None))).main
    )
    assert "compared with" not in text.replace("comparison of every answer", "").replace(
        "compared with networks", ""
    )


def test_a_table_has_no_network_and_its_clusters_have_no_tuning() -> None:
    rows = told(n_networks=0, answer="in these sessions")
    asked = lab(answers=rows, study_tables=["cells"], reference={**REFERENCE, "k": 4})
    main = router.show("/", "", asked).main
    assert "a table, no network" in text_of(main)
    assert not [one for one in links(main) if one.startswith("/tuning")]
    assert "measure 4; compared with" in text_of(main)
    opened = router.show("/map", "", lab(study_tables=["cells"], reference={**REFERENCE, "k": 4})).url
    assert "k=4" in opened
    assert "k=8" in router.show("/map", "", lab()).url


def test_a_card_leads_to_the_page_with_the_same_choices() -> None:
    found = links(router.show("/", "", lab()).main)
    for path in ("/types", "/agreement", "/association", "/fine-tune", "/cluster"):
        link = next(one for one in found if one.startswith(path + "?"))
        assert router.is_page(path)
        for pair in ("study=sweep", "dataset=v4", "model=1", "emb=2", "method=1", "k=8"):
            assert pair in link
    tuned = [{**row, "answer": "in these sessions"} for row in told()]
    assert any(one.startswith("/tuning?") for one in links(router.show("/", "", lab(answers=tuned)).main))
    unknown = links(router.show("/", "", lab(reference=None)).main)
    assert "/agreement?study=sweep" in unknown


def test_the_table_of_answers_can_be_downloaded() -> None:
    table = pd.read_csv(io.StringIO(router.csv_of("study", "answers", "", lab()) or ""))
    assert list(table["answer"]) == list(ANSWERS)
    assert list(table["low"]) == [0.4] * 5


def test_hostile_descriptions_stay_text() -> None:
    assert HOSTILE in text_of(router.show("/", "", lab(study_facts={**FACTS, "description": HOSTILE})).main)


def test_without_a_study_it_says_how_one_is_made() -> None:
    assert "decortex study create" in text_of(router.show("/", "", lab(study_counts=[])).main)


def estimand(**changed: Any) -> dict[str, Any]:
    return {
        "dataset": "v4",
        "model": "cnn",
        "embedding": "l2",
        "method": "kmeans",
        "k": 8,
        "finetune": "none",
        "covariates": "none",
        "status": "ok",
        "n_partitions": 4,
        "n_neurons": 60,
        "omega2": 0.3,
        "omega2_low": 0.2,
        "omega2_high": 0.4,
        "p_sessions": 0.0001,
        "p_sessions_bh_max": 0.00012,
        "p_grid": 0.0002,
        "population": "too_few_units 4/4",
        "p_population": None,
        "p_population_bh_max": None,
        **changed,
    }


CONFOUND = {
    "dataset": "v4", "model": "cnn", "embedding": "l2", "method": "kmeans", "k": 8, "finetune": "none",
    "ami_session": 0.01, "ami_animal": -0.02, "cramers_v_corrected_session": 0.0, "cramers_v_corrected_animal": 0.0,
    "transfer_share_kept": 0.97, "transfer_ari": 0.9, "transfer_score_correlation": 0.5,
}  # fmt: skip
READ = {
    "dataset": "v4", "n_neurons": 60, "n_recorded": 60, "mean_response": 1.5, "reliability": 0.8, "n_reliability": 59,
    "n_test_images": 30, "n_shared_images": 0,
}  # fmt: skip
UNIT = {
    "covariates": "all known", "unit_kind": "animal", "n_units": 3, "n_partitions": 4,
    "status": "too_few_units 4/4", "p_median": None, "p_max": None,
}  # fmt: skip


def association_lab(**answers: Any) -> Lab:
    rows = [estimand(k=k, covariates=name) for k in (4, 8) for name in ("none", "all known")]
    return Lab(
        **{
            "predictability": rows,
            "confounds": [CONFOUND],
            "population_tests": [UNIT],
            "recordings": [READ],
            "table_scores": [],
            **answers,
        }
    )


def of_table(**changed: Any) -> dict[str, Any]:
    names = {name: estimand()[name] for name in ("dataset", "model", "embedding", "method", "k", "finetune")}
    return {
        **names,
        "score": "quality",
        "within": "animal",
        "status": "ok",
        "n_partitions": 2,
        "n_neurons": 60,
        "epsilon2": 0.31,
        "epsilon2_low": 0.2,
        "epsilon2_high": 0.4,
        "epsilon2_within": 0.29,
        "p_median": 0.001,
        "p_max": 0.002,
        "n_permutations": 999,
        **changed,
    }


def test_association_of_a_table_shows_its_own_scores_at_the_chosen_k() -> None:
    rows = [
        of_table(k=4, epsilon2=0.11),
        of_table(),
        of_table(score="depth", epsilon2=None, status="constant_scores"),
    ]
    asked = association_lab(predictability=[], confounds=[], table_scores=rows)
    text = text_of(router.show("/association", "?k=8", asked).main)
    for words in ("Scores of the table by cluster", "quality", "0.310", ".0020", "permuted within animals"):
        assert words in text
    assert "0.110" not in text
    assert "constant_scores" not in text  # said in words
    assert "networks without recordings have no scores" not in text
    rows_of = pd.read_csv(io.StringIO(router.csv_of("association", "table-scores", "?k=8", asked) or ""))
    assert sorted(rows_of["k"]) == [4, 8, 8]


def test_association_shows_both_estimands_and_the_limit_of_the_population() -> None:
    asked = association_lab()
    screen = router.show("/association", "?k=8", asked)
    text = text_of(screen.main)
    for words in (
        "omega², all known held fixed",
        "0.300 [0.200, 0.400]",
        "p .0001",
        "no answer: at least five animals or sessions are needed (3 here)",
        "Are clusters sessions or animals in disguise?",
        "n = 60 neurons with recordings",
    ):
        assert words in text
    assert "too_few_units" not in text
    group = next(args[1] for name, args, _ in asked.asked if name == "population_tests")
    assert group == {
        "dataset": "v4", "model_spec_id": 1, "embedding_spec_id": 2, "method_id": 1, "k": 8, "finetune_id": 1
    }  # fmt: skip
    table = pd.read_csv(
        io.StringIO(router.csv_of("association", "estimands", "?k=8", association_lab()) or "")
    )
    assert list(table["covariates"]) == ["none", "all known"]
    assert set(table["k"]) == {8}
    curve = pd.read_csv(io.StringIO(router.csv_of("association", "curve", "?k=8", association_lab()) or ""))
    assert sorted(set(curve["k"])) == [4, 8]


def test_a_population_that_was_tested_shows_its_p() -> None:
    tested = {**UNIT, "status": "ok", "n_units": 7, "p_median": 0.01, "p_max": 0.02}
    text = text_of(router.show("/association", "?k=8", association_lab(population_tests=[tested])).main)
    assert "p .020 at most, 7 units" in text


def test_association_without_scores_names_what_computes_them() -> None:
    text = text_of(router.show("/association", "?k=8", association_lab(predictability=[], confounds=[])).main)
    assert "networks without recordings have no scores" in text
    assert "decortex work" in text
    thawed = Lab(study_counts=[{**STUDY, "frozen_at": None}])
    assert "decortex study freeze sweep" in text_of(router.show("/association", "?k=8", thawed).main)


def typed(**changed: Any) -> dict[str, Any]:
    return {
        "dataset": "v4", "model_spec_id": 1, "model_seed": 0, "embedding_spec_id": 2, "model": "cnn",
        "embedding": "l2", "spec": "default", "level": 0.05, "status": "types", "n_types": 3,
        "at_least": False, "p_two": 0.00001,
        "p_smallest": 0.00001, "n_neurons": 60, "n_deciding": 59, "n_set_aside": 1, "n_animals": 2,
        "levels": [
            {"n_groups": 2, "p": 0.00001, "passed": True}, {"n_groups": 3, "p": 0.01, "passed": True},
            {"n_groups": 4, "p": 0.6, "passed": False},
        ],
        "splits": [
            {"split": 0, "n_groups": 2, "left_types": [0], "right_types": [1, 2], "n_left": 30, "n_right": 29,
             "p": 0.00001, "depth": 0.0},
            {"split": 1, "n_groups": 3, "left_types": [1], "right_types": [2], "n_left": 20, "n_right": 9, "p": 0.01,
             "depth": 0.2},
        ],
        "sentence": "3 types stand apart.",
        **changed,
    }  # fmt: skip


def test_types_shows_every_level_and_the_tree_of_splits() -> None:
    waiting = typed(
        model_seed=1, status="waiting", n_types=None, levels=[], splits=[], p_two=None, p_smallest=None
    )
    asked = Lab(types=[typed(), waiting, typed(embedding="raw", model_seed=9)])
    text = text_of(router.show("/types", "", asked).main)
    for words in (
        "n = 1 of 2 networks counted",
        "3 types stand apart.",
        "types 0, 1, 2: split, p < .0001",
        "types 1, 2: split, p .010",
        "Tree of splits, network 0",
    ):
        assert words in text
    assert "network 9" not in text
    assert "dotted: 0.05, the largest p that stands" in text
    strict = text_of(router.show("/types", "", Lab(types=[typed(level=0.001)])).main)
    assert "dotted: 0.001, the largest p that stands" in strict
    table = pd.read_csv(io.StringIO(router.csv_of("types", "levels", "", asked) or ""))
    assert list(table["n_groups"]) == [2, 3, 4]
    assert list(table["passed"]) == [True, True, False]


def test_types_that_nobody_counted_name_the_command() -> None:
    nothing = typed(status="waiting", levels=[], splits=[])
    assert "decortex work" in text_of(router.show("/types", "", Lab(types=[nothing])).main)


@pytest.mark.parametrize("path", ["/association", "/types"])
def test_a_link_names_what_is_chosen(path: str) -> None:
    asked = association_lab(types=[typed()])
    assert "study=sweep&dataset=v4&model=1&emb=2" in router.show(path, "", asked).url
