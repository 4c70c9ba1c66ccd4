"""What is a cluster, where neurons come from a table: the labels that the table brought, or that came later."""

from __future__ import annotations

from collections.abc import Sequence

from decortex_schemas.queries.answering.building import CLUSTER, WORK, made, not_compared
from decortex_schemas.queries.answering.facts import LEVEL, ClusterFacts, Sample
from decortex_schemas.queries.answering.sentences.of_cluster import known_of
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.answering.words import number_text, p_text, why
from decortex_schemas.queries.basis import Row
from decortex_schemas.tables.networks import NO_NETWORK


def table_labels_answer(sample: Sample, facts: ClusterFacts | None, rows: Sequence[Row] | None) -> Answer:
    """Put the agreement of a table's clusters with its labels in words.

    Parameters
    ----------
    sample : Sample
        Of what the study speaks.
    facts : ClusterFacts or None
        What else is stored of the clusters; None where nothing is compared.
    rows : sequence of dict or None
        ``partitions`` of `queries.against_labels`, of one method at one K without fine-tuning; one per label set. None
        where the table has no labels.

    Returns
    -------
    Answer
        Its number is the adjusted Rand index with the label with the smallest p. 'in these sessions' needs a p of at
        most 5 % in every start, corrected for the number of labels (Holm: the smallest times their number).
    """
    known, number, measure = known_of(facts)
    if rows is None:
        text = f"Not asked: the table has no label, and {NO_NETWORK} that could show what clusters answer to. {known}"
        missing = "a label: a column (`--label COLUMN`) where the table is registered, or `decortex register labels`"
        return made(
            CLUSTER,
            "not asked",
            text,
            sample,
            (number, None, None),
            measure=measure,
            compared="chance (0)",
            missing=missing,
        )
    if not sample.frozen:
        return not_compared(CLUSTER, sample)
    if not rows:
        text = f"Clusters are not compared with the labels yet. {known}"
        return made(CLUSTER, "undecided", text, sample, missing=WORK)
    text = " ".join(
        f"Label {row['label_set']!r} and cluster at K = {row['k']} of {row['method']}: {_words(row)}."
        for row in rows
    )
    tested = [row for row in rows if row["p_ari_max"] is not None]
    if not tested:
        missing = "labels and clusters that can be compared"
        return made(CLUSTER, "undecided", f"{text} {known}", sample, missing=missing)
    best = min(tested, key=lambda row: (float(row["p_ari_max"]), rows.index(row)))
    held = min(1.0, float(best["p_ari_max"]) * len(tested)) <= LEVEL
    return made(
        CLUSTER,
        "in these sessions" if held else "not established",
        f"{text if held else f'Not shown: {text}'} {known}",
        sample,
        (best["ari"], None, None),
        measure=f"adjusted Rand index with {best['label_set']}",
        compared=f"labels shuffled within {best['shuffled_within']}s ({number_text(best['ari_null'] or 0.0)})",
    )


def _words(row: Row) -> str:
    if row["ari"] is None:
        return f"not compared ({why(row['status'])})"
    share = f"adjusted Rand index {number_text(row['ari'])}"
    if row["p_ari_max"] is None or row["ari_null"] is None:
        return f"{share}; no shuffle within {row['shuffled_within']}s changes anything"
    p = p_text(row["p_ari_max"], 1 / (row["n_permutations"] + 1))
    return f"{share}; shuffled within {row['shuffled_within']}s {number_text(row['ari_null'])} ({p})"
