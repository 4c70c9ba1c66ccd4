"""What a table of neurons answers, in sentences with what they are compared with. No computation here."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from decortex.evaluation.association import AssociationResult
from decortex.evaluation.labels import LabelAgreement

if TYPE_CHECKING:
    from decortex.analysis.run import Analysis

Answer = dict[str, Any]

SIGNIFICANT = 0.05
ANIMALS_OF_A_POPULATION = 5  # with fewer, what stands apart does so in these animals


def number(value: float | None) -> str:
    """Three decimals, or that it is undefined."""
    return "undefined" if value is None else f"{value:.3f}"


def _p(value: float | None) -> str:
    return "p undefined" if value is None else "p < .0001" if value < 1e-4 else f"p = {value:.4f}"


def _word(p: float | None) -> str:
    """What a test of these sessions or animals alone may be called."""
    return "undecided" if p is None else "in these sessions" if p < SIGNIFICANT else "not established"


def types_in_words(found: Analysis) -> str:
    """How many types stand apart."""
    if found.types_status == "types":
        return f"{found.n_types} types stand apart"
    return "no types stand apart" if found.types_status == "none" else "number of types undecided"


def association_in_words(one: AssociationResult) -> str:
    """Effect of cluster on a score, with interval and p."""
    if one.status != "ok":
        return f"not compared ({one.status})"
    interval = f"{number(one.epsilon2_low)} to {number(one.epsilon2_high)}"
    return (
        f"epsilon2 {number(one.epsilon2_corrected)} (95 % interval {interval}; within sessions"
        f" {number(one.epsilon2_within)}, {_p(one.p_permutation)})"
    )


def labels_in_words(one: LabelAgreement) -> str:
    """Agreement of clusters and labels, with its null."""
    if one.status not in ("ok", "no_permutation"):
        return f"not compared ({one.status})"
    return f"ARI {number(one.ari)} (shuffled within animals {number(one.ari_null)}, {_p(one.p_ari)})"


def five_answers(found: Analysis) -> list[Answer]:
    """The five questions; see `Analysis.answers`."""
    table = found.table
    units = {
        "n_networks": 0,
        "n_sessions": None if table.sessions is None else len(np.unique(table.sessions)),
        "n_animals": None if table.animals is None else len(np.unique(table.animals)),
    }

    def answer(question: str, word: str, sentence: str, **more: Any) -> Answer:
        empty = {"effect": None, "low": None, "high": None, "compared_with": None, "missing": None}
        return {"question": question, "answer": word, "sentence": sentence, **units, **empty, **more}

    beyond = (units["n_animals"] or 0) >= ANIMALS_OF_A_POPULATION
    stand = "established" if beyond else "in these sessions"
    word = {"types": stand, "none": "not established"}.get(found.types_status, "undecided")
    shown = f" K = {found.k} describes the neurons and finds nothing." if found.k_from == "default" else ""
    types = answer(
        "How many types?",
        word,
        f"{types_in_words(found).capitalize()}, on neurons held out from all choices.{shown}",
        effect=found.n_types,
        compared_with="one type",
        missing=None if units["n_animals"] and units["n_animals"] > 1 else "several animals, held out whole",
    )
    again = answer(
        "Do other networks, seeds and methods find them?",
        "in these sessions" if found.k == found.n_types else "undecided",
        f"Starts of {found.method} at K = {found.k} agree to {number(found.between_seeds)} (adjusted Rand index),"
        f" methods to {number(found.between_methods)}."
        + ("" if found.k == found.n_types else " How much neurons without types would give is not known."),
        effect=found.between_seeds,
        compared_with="0: chance",
        missing="networks trained from other seeds: a table has none",
    )
    tied = answer(
        "Is predictability tied to cluster?", "not asked", "The table has no score.", missing="a score column"
    )
    if found.scores:
        first = next(iter(found.scores.values()))
        tied = answer(
            "Is predictability tied to cluster?",
            _word(first.p_permutation),
            " ".join(
                f"Score {name!r} and cluster: {association_in_words(one)}."
                for name, one in found.scores.items()
            ),
            effect=first.epsilon2_corrected,
            low=first.epsilon2_low,
            high=first.epsilon2_high,
            compared_with="0 on average where nothing depends on cluster; p: scores shuffled within sessions",
        )
    dec = answer(
        "Does DEC help, and what does it cost?",
        "not asked",
        "DEC fine-tunes a network, and a table has none.",
        missing="the network that made the features (decortex register model)",
    )
    what = answer("What is a cluster?", "not asked", "The table has no labels.", missing="a label column")
    if found.label_sets:
        one = next(iter(found.label_sets.values()))
        what = answer(
            "What is a cluster?",
            _word(one.p_ari),
            " ".join(
                f"Clusters and {name!r}: {labels_in_words(one)}." for name, one in found.label_sets.items()
            ),
            effect=one.ari,
            compared_with=f"labels shuffled within animals: {number(one.ari_null)}",
        )
    return [types, again, tied, dec, what]
