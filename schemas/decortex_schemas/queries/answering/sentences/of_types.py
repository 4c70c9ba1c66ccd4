"""How many types are there? The count of types first, the rule for K second."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import NO_NUMBER, TYPES, WORK, Number, holds, made, more
from decortex_schemas.queries.answering.facts import ChosenK, NetworkTypes, Sample, TypeFacts
from decortex_schemas.queries.answering.verdicts import Answer
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
        verdict, text, missing = _not_judged(sample, facts, len(done))
    elif not seen:
        verdict, text, missing = "not established", _none(judged, of_table=sample.of_table), OVERLAP
    elif len(seen) < len(judged):
        verdict, missing = "undecided", "networks that agree"
        text = _some(seen, judged, against)
        number = (_numbers(seen)[0], None, None)
    else:
        several = len(seen) > 1 or sample.of_table  # a table has no second network
        verdict = holds(sample) if several else "in these sessions"
        missing = more(sample, "" if several else "a second network")
        text = _all(seen, against, of_table=sample.of_table)
        numbers = _numbers(seen)
        number = (numbers[len(numbers) // 2], numbers[0], numbers[-1])
    text = f"{text}. {_choices(facts.choices)} {_others(sample, facts.others)}"
    measure = "types" if sample.of_table else None
    return made(TYPES, verdict, text, sample, number, measure=measure, compared=against, missing=missing)


def _numbers(seen: Sequence[NetworkTypes]) -> list[float]:
    return sorted(float(one.n_types) for one in seen if one.n_types is not None)


def _not_judged(sample: Sample, facts: TypeFacts, done: int) -> tuple[str, str, str | None]:
    if not facts.networks:
        return "not asked", "Not asked: the study names no network", None
    networks = "the table" if sample.of_table else count(len(facts.networks), "network")
    if not done:
        return "undecided", f"The types of {networks} are not counted yet", WORK
    return (
        "undecided",
        f"There are too few neurons to say whether types stand apart in {networks}",
        "more neurons",
    )


def _none(judged: Sequence[NetworkTypes], *, of_table: bool) -> str:
    ps = [one.p for one in judged if one.p is not None]
    p = f" (smallest {p_text(min(ps))} against a single group)" if ps else ""
    where = " in the one network" if len(judged) == 1 else f" in any of {count(len(judged), 'network')}"
    where = "" if of_table else where
    return f"No two groups of neurons stand apart{where}{p}; types that overlap would not be seen"


def _some(seen: Sequence[NetworkTypes], judged: Sequence[NetworkTypes], against: str) -> str:
    told = listed([f"{number:.0f}" for number in _numbers(seen)])
    others = "the other" if len(judged) - len(seen) == 1 else "the others"
    return (
        f"Groups of neurons stand apart in {number_word(len(seen))} of {count(len(judged), 'network')} ({told}) "
        f"and in {others} not, against {against}"
    )


def _all(seen: Sequence[NetworkTypes], against: str, *, of_table: bool) -> str:
    numbers = [f"{number:.0f}" for number in _numbers(seen)]
    ps = [one.p for one in seen if one.p is not None]
    p = "" if not ps else f" (largest {p_text(max(ps))})" if len(ps) > 1 else f" ({p_text(ps[0])})"
    least = "at least " if any(one.at_least for one in seen) else ""
    if len(seen) == 1:
        where = "" if of_table else " in the one network"
        text = f"{least}{numbers[0]} types stand apart{where}"
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
    what = "more embedding" if sample.of_table else "more combination"
    of = "" if sample.of_table else " of network and embedding"
    return f"{sentence_case(count(n, what))}{of}: `decortex tree {sample.study}`."
