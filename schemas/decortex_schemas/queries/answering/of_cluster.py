"""What is a cluster? What is stored of it: known types, sessions, animals. What drives its neurons, no table says."""

from __future__ import annotations

from decortex_schemas.queries.answering.building import CLUSTER, made
from decortex_schemas.queries.answering.facts import Answer, ClusterFacts, Sample
from decortex_schemas.queries.answering.words import figure, listed, sentence_case

MISSING = "stimuli and tuning of every cluster; until then the pages Map and Cluster of `decortex dashboard`"


def cluster_answer(sample: Sample, facts: ClusterFacts | None) -> Answer:
    """Put what is known of the clusters in words; the question itself is not asked by any table.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : ClusterFacts or None
        What is stored; None where nothing is compared.

    Returns
    -------
    Answer
        Its number is the agreement with known types, else with animals, else with sessions.
    """
    said, number = [], None
    if facts is not None:
        if facts.truth is not None:
            said.append(f"clusters agree {figure(facts.truth)} with the known types (adjusted Rand index)")
        follows = ((facts.animal, "animals"), (facts.session, "sessions"))
        told = [f"{figure(value)} with {name}" for value, name in follows if value is not None]
        if told:
            said.append(f"they agree {listed(told)} (adjusted mutual information)")
        number = next((one for one in (facts.truth, facts.animal, facts.session) if one is not None), None)
        if facts.kept is not None:
            said.append(f"{facts.kept:.0%} of a left-out animal's neurons stay nearest to their own cluster")
    known = (
        ""
        if facts is None or not said
        else f"At K = {facts.k} of {facts.method}: {', '.join(said)}; chance is 0."
    )
    text = f"Not asked: no table says what the neurons of a cluster respond to. {sentence_case(known)}"
    return made(
        CLUSTER, "not asked", text, sample, (number, None, None), compared="chance (0)", missing=MISSING
    )
