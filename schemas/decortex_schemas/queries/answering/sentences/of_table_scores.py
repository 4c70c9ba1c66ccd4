"""Is predictability tied to cluster, where neurons come from a table: the scores that the table brought."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import ASSOCIATION, made, not_compared
from decortex_schemas.queries.answering.facts import LEVEL, Sample
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import interval, number_text, p_text, why
from decortex_schemas.queries.basis import Row

WITHIN = {"session": "within sessions", "animal": "within animals", "none": "over all neurons"}


def table_scores_answer(sample: Sample, rows: Sequence[Row]) -> Answer:
    """Put the tie of a table's scores to its clusters in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    rows : sequence of dict
        Of `queries.table_scores`, of one method at one K without fine-tuning; one per score.

    Returns
    -------
    Answer
        Its number is the effect of the score with the smallest p. 'in these sessions' needs a p below 5 % in every
        start, corrected for the number of scores (Holm: the smallest times their number).
    """
    if not sample.frozen or not rows:
        return not_compared(ASSOCIATION, sample)
    told = [
        f"Score {row['score']!r} and cluster at K = {row['k']} of {row['method']}: {_words(row)}."
        for row in rows
    ]
    tested = [row for row in rows if row["p_max"] is not None]
    text = " ".join(told)
    if not tested:
        return made(
            ASSOCIATION, "undecided", text, sample, missing="scores and clusters that can be compared"
        )
    best = min(tested, key=lambda row: (float(row["p_max"]), rows.index(row)))
    held = min(1.0, float(best["p_max"]) * len(tested)) <= LEVEL
    number = (best["epsilon2"], best["epsilon2_low"], best["epsilon2_high"])
    return made(
        ASSOCIATION,
        "in these sessions" if held else "not established",
        text if held else f"Not shown: {text}",
        sample,
        number,
        measure="epsilon², share of the variance of ranks between clusters",
        compared=f"permutations of neurons {WITHIN[best['within']]}",
        missing="a test of the population, with animals as units: it is made of a network's scores alone",
    )


def _words(row: Row) -> str:
    if row["epsilon2"] is None:
        return f"not compared ({why(row['status'])})"
    spread = interval(row["epsilon2_low"], row["epsilon2_high"])
    share = f"epsilon² {number_text(row['epsilon2'])}" + (f" (95 % interval {spread})" if spread else "")
    if row["p_max"] is None:
        return f"{share}; no permutation {WITHIN[row['within']]} changes anything"
    return (
        f"{share}; permuted {WITHIN[row['within']]}: {p_text(row['p_max'], 1 / (row['n_permutations'] + 1))}"
    )
