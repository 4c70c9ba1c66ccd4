"""What the five answers have in common: their questions, their assembly, and comparisons that several of them make.

*Established*: the comparison holds at 5 % and five animals or more were recorded, so that it reaches beyond them.
*In these sessions*: it holds, of the recorded neurons. *Not established*: it was made and does not hold, which does not
show the contrary. *Undecided*: it could not be made. *Not asked*: the study's plan does not ask.
"""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.facts import FEWEST_UNITS, LEVEL, NullComparison, Sample
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import count, number_text, number_word, p_text, starting_small
from decortex_schemas.queries.basis import Row

TYPES, AGREEMENT, ASSOCIATION, FINETUNING, CLUSTER = QUESTIONS = (
    "How many types of neurons are there?",
    "Do other networks, starts and methods find the same clusters?",
    "Is predictability tied to cluster?",
    "Does fine-tuning (DEC) help, and what does it cost?",
    "What is a cluster?",
)
# What the number of each answer is where the answer does not name another one.
MEASURES = {
    TYPES: "types, median of the networks",
    AGREEMENT: "adjusted Rand index between networks",
    ASSOCIATION: "omega², share of variance between clusters",
    FINETUNING: "change of the agreement between networks",
    CLUSTER: "agreement with known types, animals or sessions",
}
Number = tuple[float | None, float | None, float | None]
NO_NUMBER: Number = (None, None, None)
WORK = "`decortex schedule`, then `decortex work`"


def made(
    question: str,
    verdict: str,
    sentence: str,
    sample: Sample,
    number: Number = NO_NUMBER,
    *,
    measure: str | None = None,
    compared: str | None = None,
    missing: str | None = None,
) -> Answer:
    """One answer; what holds of the whole study (changed, several environments) is said in it."""
    wants = [missing] if missing else []
    if sample.mixed:
        wants.append("rows of one environment (these are of several: equal in substance, not in every bit)")
    if sample.changed:
        sentence = f"Of a study that is no longer what was frozen: {starting_small(sentence)}"
        again = f"`decortex recompute FrozenStudy study={sample.study}`"
        wants.append(f"what was frozen ({sample.changed}; {again} computes it again)")
    effect, low, high = number
    return Answer(
        question=question,
        answer=verdict,
        sentence=" ".join(sentence.split()),
        effect=effect,
        low=low,
        high=high,
        measure=(measure or MEASURES[question]) if effect is not None else None,
        compared_with=compared if effect is not None else None,
        n_networks=sample.n_networks,
        n_sessions=sample.n_sessions,
        n_animals=sample.n_animals,
        missing="; ".join(wants) or None,
    )


def not_compared(question: str, sample: Sample) -> Answer:
    """Undecided: what looks across a study's rows does not exist yet."""
    if sample.frozen:
        return made(question, "undecided", "Nothing is compared yet.", sample, missing=WORK)
    text = "The study is not frozen, so that nothing is compared across its rows yet."
    freeze = f"`decortex study freeze {sample.study}` once all is computed; then {WORK}"
    return made(question, "undecided", text, sample, missing=freeze)


def holds(sample: Sample) -> str:
    """Verdict of a comparison that holds."""
    return "established" if sample.reaches_population else "in these sessions"


def more(sample: Sample, also: str = "") -> str | None:
    """What is missing for the population, after something else; None where nothing is."""
    wants = [also] if also else []
    if not sample.reaches_population:
        wants.append(more_animals(sample.n_animals))
    return "; ".join(wants) or None


def more_animals(n: int) -> str:
    """How many animals there are, and how many are needed."""
    have = count(n, "animal") if n else "nobody recorded which animal a neuron is of"
    return f"{have}: {number_word(FEWEST_UNITS)} are needed for the population"


def against_nulls(nulls: Sequence[NullComparison], verb: str) -> tuple[str, str]:
    """One number against every null model that has a p.

    Returns
    -------
    tuple of str
        'above' (every p at most 5 %), 'too few' (so few surrogates that no p can be), or 'not above'; and in words.
    """
    worst = max(nulls, key=lambda one: 1.0 if one.p is None else one.p)
    p = 1.0 if worst.p is None else worst.p
    means = [one.mean for one in nulls if one.mean is not None]
    most = "" if len(nulls) == 1 else "at most "
    mean = f"{verb} {most}{number_text(max(means))}" if means else "give as much"
    told = f"{p_text(p, worst.smallest_p)}, {count(worst.n, 'surrogate')}"
    text = f"surrogates without types {mean} ({told})"
    if p <= LEVEL:
        return "above", text
    at_floor = p <= worst.smallest_p * (1 + 1e-9)
    return ("too few" if at_floor else "not above"), text


def change_null(rows: Sequence[Row]) -> NullComparison | None:
    """The null model that speaks most against a change."""
    own = [
        NullComparison(row["null"], row["change_null"], row["change_p"], row["n_null"], row["change_status"])
        for row in rows
        if row["measure"] == "ari_seeds" and "change_status" in row
    ]
    return max(own, key=lambda one: (one.p is None, one.p or 0.0), default=None)
