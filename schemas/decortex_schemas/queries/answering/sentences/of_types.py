"""How many types are there? The count of types first, the rule for K second."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import NO_NUMBER, TYPES, WORK, Number, holds, made, more
from decortex_schemas.queries.answering.facts import Answer, ChosenK, NetworkTypes, Sample, TypeFacts
from decortex_schemas.queries.answering.words import count, listed, number_word, p_text, sentence_case, why

OVERLAP = "types that overlap are seen with more neurons only"


def types_answer(sample: Sample, facts: TypeFacts) -> Answer:
    """Put the number of types of a study's first family of networks in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : TypeFacts
        What is counted.

    Returns
    -------
    Answer
        Its number is the median over networks, with the smallest and the largest.
    """
    against = f"one group fewer, on {'animals' if facts.by_animal else 'neurons'} that were held out"
    done = [one for one in facts.networks if one.status != "waiting"]
    judged = [one for one in done if one.status != "undecided"]
    seen = [one for one in judged if one.status == "types" and one.n_types is not None]
    number: Number = NO_NUMBER
    missing: str | None
    if not judged:
        verdict, text, missing = _not_judged(facts, len(done))
    elif not seen:
        verdict, text, missing = "not established", _none(judged), OVERLAP
    elif len(seen) < len(judged):
        verdict, missing = "undecided", "networks that agree"
        text = _some(seen, judged, against)
        number = (_numbers(seen)[0], None, None)
    else:
        several = len(seen) > 1
        verdict = holds(sample) if several else "in these sessions"
        missing = more(sample, "" if several else "a second network")
        text = _all(seen, against)
        numbers = _numbers(seen)
        number = (numbers[len(numbers) // 2], numbers[0], numbers[-1])
    text = f"{text}. {_choices(facts.choices)} {_others(sample, facts.others)}"
    return made(TYPES, verdict, text, sample, number, compared=against, missing=missing)


def _numbers(seen: Sequence[NetworkTypes]) -> list[float]:
    return sorted(float(one.n_types) for one in seen if one.n_types is not None)


def _not_judged(facts: TypeFacts, done: int) -> tuple[str, str, str | None]:
    if not facts.networks:
        return "not asked", "Not asked: the study names no network", None
    networks = count(len(facts.networks), "network")
    if not done:
        return "undecided", f"The types of {networks} are not counted yet", WORK
    return (
        "undecided",
        f"There are too few neurons to say whether types stand apart in {networks}",
        "more neurons",
    )


def _none(judged: Sequence[NetworkTypes]) -> str:
    ps = [one.p for one in judged if one.p is not None]
    p = f" (smallest {p_text(min(ps))} against a single group)" if ps else ""
    where = "the one network" if len(judged) == 1 else f"any of {count(len(judged), 'network')}"
    return f"No two groups of neurons stand apart in {where}{p}; types that overlap would not be seen"


def _some(seen: Sequence[NetworkTypes], judged: Sequence[NetworkTypes], against: str) -> str:
    told = listed([f"{number:.0f}" for number in _numbers(seen)])
    others = "the other" if len(judged) - len(seen) == 1 else "the others"
    return (
        f"Groups of neurons stand apart in {number_word(len(seen))} of {count(len(judged), 'network')} ({told}) "
        f"and in {others} not, against {against}"
    )


def _all(seen: Sequence[NetworkTypes], against: str) -> str:
    numbers = [f"{number:.0f}" for number in _numbers(seen)]
    ps = [one.p for one in seen if one.p is not None]
    p = "" if not ps else f" (largest {p_text(max(ps))})" if len(ps) > 1 else f" ({p_text(ps[0])})"
    least = "at least " if any(one.at_least for one in seen) else ""
    if len(seen) == 1:
        text = f"{least}{numbers[0]} types stand apart in the one network"
    elif numbers[0] == numbers[-1]:
        text = f"{least}{numbers[0]} types stand apart in each of {count(len(seen), 'network')}"
    else:
        text = f"{least}{numbers[0]} to {numbers[-1]} types stand apart, depending on the network ({listed(numbers)})"
    return f"{sentence_case(text)}, against {against}{p}"


def _choices(choices: Sequence[ChosenK]) -> str:
    if not choices:
        return ""
    said = [
        f"none for {one.method} ({why(one.reason)})"
        if one.decision is None
        else f"K = {one.decision} for {one.method}"
        for one in choices
    ]
    surrogates = count(min(one.n_surrogates for one in choices), "surrogate")
    return f"The rule for K, against {surrogates} per null model, supports {listed(said)}."


def _others(sample: Sample, n: int) -> str:
    if not n:
        return ""
    return f"{sentence_case(count(n, 'more combination'))} of network and embedding: `decortex tree {sample.study}`."
