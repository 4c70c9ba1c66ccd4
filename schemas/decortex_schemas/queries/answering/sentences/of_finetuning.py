"""Does fine-tuning with a clustering loss help, and what does it cost? Against its starts, its control and its null."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import (
    FINETUNING,
    Number,
    against_nulls,
    holds,
    made,
    more,
    not_compared,
)
from decortex_schemas.queries.answering.facts import Cost, FinetuningFacts, Sample
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

STARTS = "its own starts in the same networks"
REFINED = "the same fine-tuning of surrogates without types"


def finetuning_answer(
    sample: Sample, facts: Sequence[FinetuningFacts] | None, cost: Cost | None = None
) -> Answer:
    """Put gain and price of a study's fine-tunings in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : sequence of FinetuningFacts or None
        Every fine-tuning of the study; empty where it asks for none, None where nothing is compared yet.
    cost : Cost, optional
        Of asking, where nobody did.

    Returns
    -------
    Answer
        Its number is the largest change of the agreement between networks, with a 95 % interval over networks that
        holds for all fine-tunings at once.
    """
    if facts is not None and not facts:
        text = f"Not asked {cost_text(cost)}: the study fine-tunes nothing."
        return made(FINETUNING, "not asked", text, sample, missing='"finetunings" in the plan')
    if not sample.frozen or facts is None:
        return not_compared(FINETUNING, sample)
    price = _price(facts)
    known = [one for one in facts if one.change is not None]
    if not known:
        text = (
            f"Whether it helps could not be compared: no two networks were fine-tuned from one start. {price}"
        )
        return made(FINETUNING, "undecided", text, sample, missing="a second network that is fine-tuned")
    # Agreement that was put in is no improvement, while another fine-tuning can be judged.
    judged = [one for one in known if not one.by_construction] or known
    price = f"{_by_construction(known)}{price}"
    best = max(judged, key=lambda one: one.change or 0.0)
    number = (best.change, best.low, best.high)
    moved = _moved(best, len(facts), len(judged))
    if best.low is None:
        text = (
            f"{sentence_case(moved)}, of {count(best.n_networks, 'network')} and without an interval. {price}"
        )
        return made(
            FINETUNING,
            "undecided",
            text,
            sample,
            number,
            compared=STARTS,
            missing="more networks that are fine-tuned",
        )
    if best.low <= 0:
        text = f"No improvement is shown: {moved}.{_would_have(best)}{_worse(judged)} {price}"
        missing = f"{count(best.n_networks, 'network')}: more make the interval narrower"
        return made(FINETUNING, "not established", text, sample, number, compared=STARTS, missing=missing)
    return _above_zero(sample, best, moved, price, number)


def finetuning_of_table(sample: Sample) -> Answer:
    """Say why nothing of a table is fine-tuned."""
    text = f"Not asked: fine-tuning trains a network on, and {NO_NETWORK}."
    missing = "the network that made the features (`decortex register model`)"
    return made(FINETUNING, "not asked", text, sample, missing=missing)


def _above_zero(sample: Sample, best: FinetuningFacts, moved: str, price: str, number: Number) -> Answer:
    if best.null is None or best.null.p is None:
        reason = "" if best.null is None else f" ({why(best.null.status)})"
        text = f"{sentence_case(moved)}; whether surrogates without types gain as much is not known{reason}. {price}"
        missing = 'surrogates that are fine-tuned too: "finetuned_null" in the plan'
        return made(FINETUNING, "undecided", text, sample, number, compared=STARTS, missing=missing)
    outcome, against = against_nulls([best.null], "change by")
    verdict = {"above": holds(sample), "too few": "undecided", "not above": "not established"}[outcome]
    missing_now = "19 surrogates" if outcome == "too few" else more(sample)
    text = f"{sentence_case(moved)}; {against}. {price}"
    return made(
        FINETUNING, verdict, text, sample, number, compared=f"{STARTS}, and {REFINED}", missing=missing_now
    )


def _by_construction(known: Sequence[FinetuningFacts]) -> str:
    names = sorted({one.name for one in known if one.by_construction})
    if not names:
        return ""
    return (
        f"Networks of {listed(names)} agree by construction: what they gain in agreement is judged against the same "
        "fine-tuning of surrogates, or by known types. "
    )


def _moved(best: FinetuningFacts, n: int, n_judged: int) -> str:
    most = f", the most of {count(n_judged, 'fine-tuning')}" if n_judged > 1 else ""
    spread = interval(best.low, best.high) if best.low != best.high else ""
    ends = f" (95 % interval {spread}{' for all of them at once' if n > 1 else ''})" if spread else ""
    return (
        f"{best.name} changes the agreement between networks by {number_text(best.change or 0.0)}{ends} against its "
        f"own starts at K = {best.k} of {best.method}{most}"
    )


def _would_have(best: FinetuningFacts) -> str:
    """What would have been seen, so that "none is shown" can be read."""
    if best.detectable is None:
        return ""
    if best.detectable <= 0:
        # Where no label moves, every change is 0: their spread says nothing about other networks.
        return (
            " The change is the same in every pair of networks, as where no label moves: what would have been detected "
            "cannot be told."
        )
    return f" A rise of {number_text(best.detectable)} would have been detected in 80 % of such studies."


def _worse(known: Sequence[FinetuningFacts]) -> str:
    names = [f"{one.name} (K = {one.k})" for one in known if one.high is not None and one.high < 0]
    if not names:
        return ""
    return f" {sentence_case(listed(names))} {'lowers' if len(names) == 1 else 'lower'} it."


def _price(facts: Sequence[FinetuningFacts]) -> str:
    priced = [one for one in facts if one.cost is not None]
    if not priced:
        reasons = sorted({why(one.cost_status) for one in facts})
        return f"Its cost is not known: {listed(reasons)}."
    worst = min(priced, key=lambda one: one.cost or 0.0)
    spread = interval(worst.cost_low, worst.cost_high)
    ends = f"95 % intervals from {spread}" if spread else f"no interval: {why(worst.cost_status)}"
    n, within = sum(one.n_priced for one in priced), sum(one.n_within for one in priced)
    margin = (
        ""
        if worst.margin is None
        else f"; within the margin of {number_text(worst.margin)} in {within} of {n} runs"
    )
    whose = f"of {worst.name}, the largest loss," if len(priced) > 1 else ""
    return (
        f"Test correlation against the control that trained as long: the change {whose} is "
        f"{number_text(worst.cost or 0.0)} ({ends}{margin})."
    )
