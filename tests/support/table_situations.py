"""Situations of the five answers about a user's own table, as `answer_situations`."""

from __future__ import annotations

from dataclasses import replace

from support.answer_situations import AGREE, AT, EIGHT, THREE, Case

from decortex_schemas.queries.answering import (
    ClusterFacts,
    TypeFacts,
    agreement_answer,
    association_answer,
    finetuning_of_table,
    table_labels_answer,
    table_scores_answer,
    types_answer,
)

TABLE = {
    "method": "kmeans", "k": 8, "score": "depth", "within": "animal", "status": "ok", "epsilon2": 0.21,
    "epsilon2_low": 0.1, "epsilon2_high": 0.3, "p_max": 0.03, "n_permutations": 999,
}  # fmt: skip
LABEL = {
    "method": "kmeans", "k": 8, "label_set": "Cre line", "status": "ok", "ari": 0.62, "ari_null": 0.001,
    "p_ari_max": 0.0001, "shuffled_within": "animal", "n_permutations": 9999,
}  # fmt: skip
OF_TABLE = replace(THREE, n_networks=0, recorded=False, of_table=True, scores=("depth",))
OF_TABLES: dict[str, Case] = {
    "a score of a table": (
        lambda: table_scores_answer(OF_TABLE, [TABLE]),
        "in these sessions",
        ("Score 'depth' and cluster at K = 8 of kmeans: epsilon² .21", "within animals: p .03"),
        "animals as units",
    ),
    "two scores of a table, corrected for two": (
        lambda: table_scores_answer(OF_TABLE, [TABLE, {**TABLE, "score": "rate", "p_max": 0.4}]),
        "not established",
        ("Not shown: Score 'depth'", "Score 'rate'"),
        "animals as units",
    ),
    "a table's score that is the same in all": (
        lambda: table_scores_answer(
            OF_TABLE, [{**TABLE, "epsilon2": None, "p_max": None, "status": "constant_scores"}]
        ),
        "undecided",
        ("not compared (",),
        "can be compared",
    ),
    "a table that is not frozen": (
        lambda: table_scores_answer(replace(OF_TABLE, frozen=False), [TABLE]),
        "undecided",
        ("not frozen",),
        "freeze",
    ),
    "a score of a table that is not frozen, and not compared": (
        lambda: table_scores_answer(replace(OF_TABLE, frozen=False), []),
        "undecided",
        ("not frozen",),
        "freeze sweep",
    ),
    "a score of a table that is not compared yet": (
        lambda: table_scores_answer(OF_TABLE, []),
        "undecided",
        ("Nothing is compared yet.",),
        "decortex work",
    ),
    "a table without a score": (
        lambda: association_answer(replace(OF_TABLE, scores=()), None),
        "not asked",
        ("Not asked: the table has no score.",),
        "--score COLUMN",
    ),
    "types of a table": (
        lambda: types_answer(OF_TABLE, TypeFacts((EIGHT,))),
        "in these sessions",
        ("8 types stand apart, against one group fewer",),
        "three animals",
    ),
    "types of a table of seven animals": (
        lambda: types_answer(replace(OF_TABLE, n_animals=7), TypeFacts((EIGHT,))),
        "established",
        ("8 types",),
        None,
    ),
    "starts of a table at its number of types": (
        lambda: agreement_answer(OF_TABLE, replace(AGREE, n_networks=1, ari=None, types_at_k=True)),
        "in these sessions",
        (
            f"Starts {AT} agree .86, kmeans and one other method agree .61 (adjusted Rand index; chance is 0).",
            "A table has no network to compare with others.",
        ),
        "decortex register model",
    ),
    "starts of a table where no types stand apart": (
        lambda: agreement_answer(OF_TABLE, replace(AGREE, n_networks=1, ari=None)),
        "undecided",
        ("how much of it neurons without types would give is not known",),
        "decortex register model",
    ),
    "one start and method of a table": (
        lambda: agreement_answer(OF_TABLE, replace(AGREE, starts=None, methods=None)),
        "undecided",
        ("No two partitions",),
        "second start",
    ),
    "fine-tuning of a table": (
        lambda: finetuning_of_table(OF_TABLE),
        "not asked",
        ("trains a network on, and a table has no network",),
        "decortex register model",
    ),
    "a label of a table": (
        lambda: table_labels_answer(OF_TABLE, ClusterFacts("kmeans", 8, animal=0.02), [LABEL]),
        "in these sessions",
        (
            f"Label 'Cre line' and cluster {AT}: adjusted Rand index .62; shuffled within animals .001 (p .0001",
            "clusters agree .02 with animals",
        ),
        None,
    ),
    "two labels of a table, corrected for two": (
        lambda: table_labels_answer(
            OF_TABLE, None, [{**LABEL, "p_ari_max": 0.03}, {**LABEL, "label_set": "layer", "p_ari_max": 0.4}]
        ),
        "not established",
        ("Not shown: Label 'Cre line'", "Label 'layer'"),
        None,
    ),
    "a label of a table that says nothing": (
        lambda: table_labels_answer(
            OF_TABLE, None, [{**LABEL, "ari": None, "p_ari_max": None, "status": "one_cluster"}]
        ),
        "undecided",
        ("not compared (there is only one cluster)",),
        "can be compared",
    ),
    "labels of a table that are not compared yet": (
        lambda: table_labels_answer(OF_TABLE, None, []),
        "undecided",
        ("not compared with the labels",),
        "decortex work",
    ),
    "labels of a table that is not frozen": (
        lambda: table_labels_answer(replace(OF_TABLE, frozen=False), None, []),
        "undecided",
        ("not frozen",),
        "freeze",
    ),
    "a table without a label": (
        lambda: table_labels_answer(OF_TABLE, None, None),
        "not asked",
        ("the table has no label",),
        "--label COLUMN",
    ),
}
