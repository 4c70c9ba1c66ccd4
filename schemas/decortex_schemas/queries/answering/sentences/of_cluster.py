"""What is a cluster? What its neurons answer to in the networks; how clusters lie to types, sessions and animals."""

from __future__ import annotations

from decortex_schemas.queries.answering.building import CLUSTER, Number, made, more
from decortex_schemas.queries.answering.facts import ClusterFacts, ProfileFacts, Sample
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import count, interval, listed, number_text, sentence_case

# Clusters differ in an index where they are further apart than so many standard deviations over networks.
APART = 2.0
NOT_APART = "No index of tuning tells clusters apart beyond the networks' spread"
WORK = "`decortex schedule`, then `decortex work`"


def cluster_answer(sample: Sample, facts: ClusterFacts | None) -> Answer:
    """Put what is known of the clusters in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : ClusterFacts or None
        What is stored; None where nothing is compared.

    Returns
    -------
    Answer
        Its number is how far apart clusters are in the index of tuning that tells them best; where the tuning was not
        asked for, their agreement with known types, else with animals, else with sessions.
    """
    profile = None if facts is None else facts.profile
    if facts is not None and profile is not None and profile.n_clusters:
        return _tuned(sample, facts, profile)
    known, effect, measure = known_of(facts)
    number: Number = (effect, None, None)
    compared = "chance (0)"
    if profile is not None:
        text = f"What clusters answer to is asked and not measured yet. {known}"
        return made(
            CLUSTER, "undecided", text, sample, number, measure=measure, compared=compared, missing=WORK
        )
    text = f"Not asked: what the neurons of a cluster answer to. {known}"
    ask = f"`decortex clusters {sample.study} --ask`, then {WORK}"
    return made(CLUSTER, "not asked", text, sample, number, measure=measure, compared=compared, missing=ask)


def _tuned(sample: Sample, facts: ClusterFacts, profile: ProfileFacts) -> Answer:
    known, _, _ = known_of(facts)
    where = f"at K = {facts.k} of {facts.method}"
    drives = (
        f"; a cluster's own stimulus drives it most in {profile.n_discriminated} of {profile.n_stimuli} cases "
        f"(chance is one in {profile.n_clusters})"
        if profile.n_stimuli
        else ""
    )
    low, high, spread = profile.lowest, profile.highest, profile.spread
    if low is None or high is None or spread is None:
        clusters = count(profile.n_clusters, "cluster")
        text = f"In one network the tuning of {clusters} is measured {where}{drives}. {known}"
        return made(CLUSTER, "undecided", text, sample, missing="the tuning of a second network")
    number: Number = (high - low, None, None)
    name = profile.index.replace("_", " ")
    text = (
        f"clusters {where} range from {interval(low, high)} in {name} (standard deviation over "
        f"{count(profile.n_networks, 'network')} {number_text(spread)}){drives}. {known}"
    )
    apart = high - low > APART * spread
    text = (
        sentence_case(text)
        if apart
        else f"No index of tuning tells clusters apart beyond the networks' spread: {text}"
    )
    return made(
        CLUSTER,
        "in these sessions" if apart else "not established",
        text,
        sample,
        number,
        measure=f"range of clusters in {name}",
        compared=f"the spread over networks ({number_text(spread)})",
        missing=more(sample),
    )


def known_of(facts: ClusterFacts | None) -> tuple[str, float | None, str | None]:
    """How clusters lie to known types, animals and sessions; the first of these numbers, and what it is."""
    if facts is None:
        return "", None, None
    said = []
    if facts.truth is not None:
        said.append(f"clusters agree {number_text(facts.truth)} with the known types (adjusted Rand index)")
    follows = ((facts.animal, "animals"), (facts.session, "sessions"))
    told = [f"{number_text(value)} with {name}" for value, name in follows if value is not None]
    if told:
        who = "they" if said else "clusters"
        said.append(f"{who} agree {listed(told)} (adjusted mutual information)")
    if facts.kept is not None:
        said.append(f"{facts.kept:.0%} of a left-out animal's neurons stay nearest to their own cluster")
    numbers = [
        (facts.truth, "adjusted Rand index with the known types"),
        *((value, f"adjusted mutual information with {name}") for value, name in follows),
    ]
    number, measure = next(((one, name) for one, name in numbers if one is not None), (None, None))
    known = f"At K = {facts.k} of {facts.method}: {', '.join(said)}; chance is 0." if said else ""
    return known, number, measure
