"""Do other networks, starts and methods find the same clusters? Beyond what surrogates without types give."""

from __future__ import annotations

from decortex_schemas.queries.answering.building import (
    AGREEMENT,
    Number,
    against_nulls,
    holds,
    made,
    more,
    not_compared,
)
from decortex_schemas.queries.answering.facts import AgreementFacts, Sample
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import (
    cost_text,
    count,
    interval,
    listed,
    number_text,
    sentence_case,
    why,
)
from decortex_schemas.tables.networks import NO_NETWORK

# Beyond it, agreement is that of one cluster with itself.
LARGEST_SHARE = 0.9
CHANCE = "chance (0)"
STARTS = "adjusted Rand index between starts"


def agreement_answer(sample: Sample, facts: AgreementFacts | None) -> Answer:
    """Put the agreement of networks in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : AgreementFacts or None
        What is compared; None where nothing is.

    Returns
    -------
    Answer
        Its number is the mean adjusted Rand index between networks, with the smallest and the largest of the pairs; of
        one network, or a table, between starts.
    """
    if not sample.frozen or facts is None:
        return not_compared(AGREEMENT, sample)
    if sample.of_table:
        return _table(sample, facts)
    if facts.n_networks < 2:
        return _one_network(sample, facts)
    if facts.ari is None:
        text = f"Agreement of networks at K = {facts.k} of {facts.method} is not defined: {why('trivial')}."
        return made(AGREEMENT, "undecided", text, sample, missing="partitions of several clusters each")
    said = sentence_case(_said(facts))
    number = (facts.ari, facts.low, facts.high)
    if facts.largest_share is not None and facts.largest_share > LARGEST_SHARE:
        text = f"{said}; the largest cluster holds {facts.largest_share:.0%} of the neurons, so that this says little."
        return made(
            AGREEMENT,
            "undecided",
            text,
            sample,
            number,
            compared=CHANCE,
            missing="clusters that share the neurons",
        )
    return _against(sample, facts, said, number)


def _against(sample: Sample, facts: AgreementFacts, said: str, number: Number) -> Answer:
    judged = [one for one in facts.nulls if one.p is not None]
    if not judged:
        reasons = sorted({why(one.status) for one in facts.nulls})
        no = f" ({listed(reasons)})" if reasons else ""
        text = f"{said}; how much of it neurons without types would give is not known{no}."
        ask = f"surrogates without types: `decortex agreement {sample.study} --ask` {cost_text(facts.cost)}".strip()
        return made(AGREEMENT, "undecided", text, sample, number, compared=CHANCE, missing=ask)
    outcome, against = against_nulls(judged, "agree")
    kinds = listed([one.kind for one in judged])
    verdict = {"above": holds(sample), "too few": "undecided", "not above": "not established"}[outcome]
    missing = "19 surrogates of each null model" if outcome == "too few" else more(sample)
    return made(
        AGREEMENT,
        verdict,
        f"{said}; {against}.",
        sample,
        number,
        compared=f"surrogates without types ({kinds}), and {CHANCE}",
        missing=missing,
    )


def _table(sample: Sample, facts: AgreementFacts) -> Answer:
    """No other network is possible; where so many types stand apart as there are clusters, they are what is found."""
    said = sentence_case(_beside(facts, f" at K = {facts.k} of {facts.method}"))
    if not said:
        text = f"No two partitions at K = {facts.k} of {facts.method} can be compared."
        return made(AGREEMENT, "undecided", text, sample, missing="a second start or method in the plan")
    why_not = "" if facts.types_at_k else "; how much of it neurons without types would give is not known"
    text = f"{said} (adjusted Rand index; chance is 0){why_not}. {sentence_case(NO_NETWORK)} to compare with others."
    return made(
        AGREEMENT,
        "in these sessions" if facts.types_at_k else "undecided",
        text,
        sample,
        (facts.starts if facts.starts is not None else facts.methods, None, None),
        measure=STARTS if facts.starts is not None else "adjusted Rand index between methods",
        compared=CHANCE,
        missing="the networks that made the features, trained from several seeds (`decortex register model`)",
    )


def _one_network(sample: Sample, facts: AgreementFacts) -> Answer:
    known = f"{sentence_case(_beside(facts))}; chance is 0." if _beside(facts) else ""
    text = f"Not asked {cost_text(facts.cost)}: the study has one network. {known}"
    return made(
        AGREEMENT,
        "not asked",
        text,
        sample,
        (facts.starts, None, None),
        measure=STARTS,
        compared=CHANCE,
        missing="networks that are trained from other seeds",
    )


def _said(facts: AgreementFacts) -> str:
    spread = f", {interval(facts.low, facts.high)} over {facts.n_pairs} pairs" if facts.n_pairs > 1 else ""
    text = (
        f"networks trained from other seeds agree {number_text(facts.ari or 0.0)} at K = {facts.k} of {facts.method} "
        f"(adjusted Rand index{spread}; chance is 0)"
    )
    beside = _beside(facts)
    return f"{text}; {beside}" if beside else text


def _beside(facts: AgreementFacts, where: str = "") -> str:
    said = []
    on = "" if where else " on one network"
    if facts.starts is not None:
        said.append(f"starts{on}{where} agree {number_text(facts.starts)}")
    if facts.methods is not None:
        others = count(facts.n_methods - 1, "other method")
        said.append(f"{facts.method} and {others}{on} agree {number_text(facts.methods)}")
    return ", ".join(said)
