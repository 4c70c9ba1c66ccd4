"""Sentences of the five answers: a table of situations, and a text for every status that a table may store."""

from __future__ import annotations

import re
from typing import Any, get_args

import pytest
from support.answer_situations import SITUATIONS as OF_NETWORKS
from support.table_situations import OF_TABLES

from decortex.clustering.result import FitStatus
from decortex.evaluation.association.confounds import ConfoundStatus, TransferStatus
from decortex.evaluation.association.covariates import CovariateStatus
from decortex.evaluation.association.freedman_lane import SessionsStatus
from decortex.evaluation.association.random_sessions import MixedStatus, PopulationStatus
from decortex.evaluation.association.unadjusted import AssociationStatus, PermutationStatus
from decortex.evaluation.nulls.comparison import ExcessStatus
from decortex.evaluation.performance.equivalence import EquivalenceStatus
from decortex.evaluation.performance.retained import IntervalStatus, RetainedStatus
from decortex.evaluation.selection.config import CriterionStatus
from decortex.evaluation.selection.decision import KDecision
from decortex.evaluation.splits.result import TypesStatus
from decortex.finetune.result import FinetuneStatus
from decortex_schemas.queries.answering import (
    ANSWERS,
    QUESTIONS,
    STATUS_TEXTS,
    ProfileFacts,
    profile_facts,
)

SITUATIONS = {**OF_NETWORKS, **OF_TABLES}
# What one would find in a program, not in a sentence.
NOT_WORDS = re.compile(
    r"None|nan\b|\{|\}\}|[a-z]_[a-z]|  |\.\.|;\.|\( |\$|array|-0\b|\b1 (networks|animals|jobs)\b"
)


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_situation_reads_right(name: str) -> None:
    make, verdict, parts, missing = SITUATIONS[name]
    answer = make()
    assert answer.answer == verdict
    for part in parts:
        assert part in answer.sentence
    if missing is None:
        assert answer.missing is None
    else:
        assert missing in (answer.missing or "")


@pytest.mark.parametrize("name", SITUATIONS)
def test_a_sentence_is_a_sentence(name: str) -> None:
    answer = SITUATIONS[name][0]()
    assert answer.question in QUESTIONS
    assert answer.answer in ANSWERS
    assert answer.sentence[0].isupper() or answer.sentence[0] in ".0123456789"
    assert answer.sentence.endswith(".")
    assert not NOT_WORDS.search(answer.sentence), answer.sentence
    assert "`" not in answer.sentence or answer.sentence.count("`") % 2 == 0
    assert (answer.effect is None) == (answer.compared_with is None), "no number without its comparison"
    assert (answer.effect is None) == (answer.measure is None), "no number without what it is"
    if answer.low is not None and answer.high is not None and answer.effect is not None:
        assert answer.low <= answer.effect <= answer.high
    assert "nobody" not in (answer.missing or "") or answer.n_animals == 0


def test_the_table_holds_situations_of_every_verdict_and_question() -> None:
    made = [make() for make, *_ in SITUATIONS.values()]
    assert len(made) >= 40
    assert {one.question for one in made} == set(QUESTIONS)
    assert {one.answer for one in made} == set(ANSWERS)


STATUSES: tuple[Any, ...] = (
    TypesStatus,
    CriterionStatus,
    PopulationStatus,
    MixedStatus,
    SessionsStatus,
    CovariateStatus,
    AssociationStatus,
    PermutationStatus,
    ConfoundStatus,
    TransferStatus,
    RetainedStatus,
    IntervalStatus,
    EquivalenceStatus,
    ExcessStatus,
    FitStatus,
    FinetuneStatus,
)
# Statuses that tables give without a type of their own: the choice of K, a consensus, a count that waits.
OTHERS = (
    "supported", "not_above_nulls", "no_valleys", "neither", "never_both", "fragmented", "undefined",
    "one_partition", "no_partition", "waiting",
)  # fmt: skip


def test_every_status_has_a_text() -> None:
    asked = {one for kind in STATUSES for one in get_args(kind)} | set(OTHERS)
    assert asked - set(STATUS_TEXTS) == set()
    assert all(text and text[0].islower() and not text.endswith(".") for text in STATUS_TEXTS.values())


def test_the_reasons_of_the_choice_of_k_are_those_that_its_rule_gives() -> None:
    source = (KDecision.__doc__ or "").replace("\n", " ")
    named = re.findall(r"'([a-z_]+)' \(", source) + re.findall(r"'(supported)'", source)
    assert {"never_both", "supported", "neither"} <= set(named)
    assert set(named) <= set(STATUS_TEXTS)


def test_the_index_that_tells_clusters_best_speaks() -> None:
    rows = [
        {"n_networks": 3, "n_discriminated": 2, "n_stimuli": 3, "period": 5.0 + i, "period_sd": 2.0,
         "sign": 0.1 * i, "sign_sd": 0.01, "radius": None, "radius_sd": None}
        for i in range(4)
    ]  # fmt: skip
    found = profile_facts(rows)
    assert (found.index, found.lowest, found.n_discriminated, found.n_stimuli) == ("sign", 0.0, 8, 12)
    assert found.spread == pytest.approx(0.01)
    alone = profile_facts([{**row, "period_sd": None, "sign_sd": None} for row in rows])
    assert alone.spread is None
    assert alone.n_clusters == 4
    assert profile_facts([]) == ProfileFacts()
