"""Is predictability tied to cluster? In these sessions, and in the population they come from."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import ASSOCIATION, made, more, more_animals, not_compared
from decortex_schemas.queries.answering.facts import LEVEL, AssociationFacts, PopulationFacts, Sample
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import count, interval, number_text, p_text, sentence_case, why

SCORE_COLUMN = "a score: a column (`--score COLUMN`) where the table is registered"
PERMUTED = "permutations of neurons within sessions"


def association_answer(sample: Sample, facts: AssociationFacts | None) -> Answer:
    """Put the tie of performance to cluster in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : AssociationFacts or None
        What is compared; None where nothing is.

    Returns
    -------
    Answer
        Its number is omega² with its 95 % interval. 'established' needs a p below 5 % with animals as units.
    """
    if sample.of_table:
        text = "Not asked: the table has no score."
        return made(ASSOCIATION, "not asked", text, sample, missing=SCORE_COLUMN)
    if not sample.recorded:
        text = "Not asked: these networks come without recordings, so that no neuron has a score."
        return made(ASSOCIATION, "not asked", text, sample, missing="recordings of these neurons")
    if not sample.frozen or facts is None:
        return not_compared(ASSOCIATION, sample)
    where = f"at K = {facts.k} of {facts.method}"
    if facts.effect is None:
        text = (
            f"Whether predictability is tied to cluster {where} could not be compared: {why(facts.status)}."
        )
        return made(
            ASSOCIATION, "undecided", text, sample, missing="partitions and scores that can be compared"
        )
    held = "" if facts.covariates == "none" else f"; {facts.covariates} held fixed"
    spread = interval(facts.low, facts.high)
    share = (
        f"{number_text(facts.effect)} of the variance of the neurons' test correlations within sessions lies between "
        f"clusters {where} (omega²{f', 95 % interval {spread}' if spread else ''}{held})"
    )
    number = (facts.effect, facts.low, facts.high)
    ps = [p for p in (facts.p, facts.p_grid) if p is not None]
    if not ps:
        reason = why("waiting" if facts.status == "ok" else facts.status)
        text = f"{sentence_case(share)}; how often chance gives as much is not known: {reason}."
        return made(
            ASSOCIATION,
            "undecided",
            text,
            sample,
            number,
            compared="no difference (0)",
            missing="a permutation test",
        )
    population, reached = _population(facts.population)
    over = "over all K and the study" if len(ps) > 1 else "corrected for all that was tested"
    text = f"{share}; neurons permuted within sessions give as much with {p_text(max(ps), facts.smallest_p)}, {over}"
    if max(ps) > LEVEL:
        verdict, text, missing = "not established", f"Not shown: {text}", more(sample)
    elif reached:
        verdict, missing = "established", None
    else:
        verdict, missing = "in these sessions", _missing_units(sample, facts.population)
    text = f"{sentence_case(text)}. {population}"
    return made(ASSOCIATION, verdict, text, sample, number, compared=PERMUTED, missing=missing)


def _missing_units(sample: Sample, population: Sequence[PopulationFacts]) -> str | None:
    animals = next((one for one in population if one.unit == "animal"), None)
    if animals is None:
        return more(sample, "the test of the population")
    if animals.p is not None:
        return "a p of at most .05 with animals as units"
    few = animals.status.startswith("too_few_units")
    return more_animals(animals.n_units) if few else f"a test with animals as units ({why(animals.status)})"


def _population(tests: Sequence[PopulationFacts]) -> tuple[str, bool]:
    """The population in words, and whether the tie holds with animals as units."""
    order = sorted(tests, key=lambda test: test.unit)
    tested = [
        f"{p_text(one.p)} with {count(one.n_units, one.unit)} as units" for one in order if one.p is not None
    ]
    limits: dict[str, list[str]] = {}
    for one in order:
        if one.p is None:
            limits.setdefault(why(one.status), []).append(count(one.n_units, one.unit))
    none = [f"no answer with {' or '.join(units)} as units ({reason})" for reason, units in limits.items()]
    said = [*tested, *none]
    reached = any(one.unit == "animal" and one.p is not None and one.p <= LEVEL for one in tests)
    return (
        f"For the population: {', '.join(said)}." if said else "The population is not tested yet."
    ), reached
