"""Scores that came with a user's own table, and whether clusters of the table follow them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation import association
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset  # noqa: F401  (foreign key)
from decortex_schemas.tables.evaluation.quality import ASSOCIATION_COLUMNS, EVALUATION_SEED, association_row
from decortex_schemas.tables.finetuning import DECFinetune, partition_labels

LONGEST_NAME = 64
# Fewer than of networks' scores: a table asks at every K, before the first answer is there.
TABLE_PERMUTATIONS = 999


@schema
class TableScore(dj.Manual):
    """A score of every neuron that its table brought: nothing clusters, selects or trains by it."""

    definition = """
    # Scores of a table's neurons
    -> Dataset
    table_score : varchar(64)          # name of the column
    ---
    score_values : <blob>              # float64[n_neurons], order of Dataset.Neuron; NaN: none
    n_scored : int32
    score_sha256 : char(64)
    session_kind : varchar(16)         # what sessions of the dataset are: 'session', 'animal', 'none' (all are one)
    """


@schema
class TableScoreAssociation(Computation):
    """Does a score of the table follow the clusters? Effect sizes first, permuted within sessions."""

    definition = f"""
    # Score of a table by cluster
    -> DECFinetune
    -> TableScore
    ---
    association_status : varchar(24)     # 'ok', 'no_scores', 'one_cluster', 'constant_scores', 'too_few_neurons'
    n_neurons : int32                    # with a score and a cluster
    n_excluded : int32
    {ASSOCIATION_COLUMNS}
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Every partition of a table, with every score of it."""
        return DECFinetune.proj() * TableScore.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the partition's and the score's digests."""
        return (DECFinetune & key).fetch1("labels_sha256"), (TableScore & key).fetch1("score_sha256")

    def compute(self, key: dict[str, Any], digest: str, score_sha256: str) -> Made:
        """Relate the score to the clusters."""
        labels = partition_labels(key)
        scores = np.asarray((TableScore & key).fetch1("score_values"), dtype=np.float64)
        row, _ = association_row(key, scores, labels, n_permutations=TABLE_PERMUTATIONS)
        return Made(row)


def table_associations(key: Mapping[str, Any]) -> dict[str, association.AssociationResult]:
    """Stored comparisons of one partition, by score, with each cluster's scores summarised anew.

    Parameters
    ----------
    key : mapping
        Key of a partition, of `DECFinetune`.
    """
    labels = partition_labels(dict(key))
    found = {}
    for row in (TableScoreAssociation * TableScore.proj("score_values") & key).to_dicts(
        order_by="table_score"
    ):
        names = {one.name for one in fields(association.AssociationResult)} & (set(row) - {"seed"})
        found[str(row["table_score"])] = association.AssociationResult(
            status=row["association_status"],
            seed=EVALUATION_SEED,
            clusters=association.summarise_clusters(
                np.asarray(row["score_values"], dtype=np.float64), labels
            ),
            **{name: row[name] for name in names},
        )
    return found


def insert_table_scores(
    dataset: str, scores: Mapping[str, NDArray[np.float64]], *, session_kind: str
) -> None:
    """Insert the scores of a registered table; the very same again changes nothing.

    Parameters
    ----------
    dataset : str
        A registered dataset.
    scores : mapping of str to ndarray, shape (n_neurons,)
        By the name of the column, in the order of the dataset's neurons; NaN where a neuron has none.
    session_kind : {'session', 'animal', 'none'}
        What the dataset's sessions are, within which scores are compared.

    Raises
    ------
    InputError
        If a name is too long, or the dataset has another score of this name.
    """
    for name, values in scores.items():
        if not name or len(name) > LONGEST_NAME:
            raise InputError(
                f"a score's column has a name of 1 to {LONGEST_NAME} characters, got {len(name)}; rename it."
            )
        key, digest = {"dataset": dataset, "table_score": name}, hashlib.sha256(values.tobytes()).hexdigest()
        known = (TableScore & key).to_arrays("score_sha256")
        if len(known) and known[0] != digest:
            raise InputError(f"dataset {dataset!r} has another score {name!r}; register under another name.")
        if not len(known):
            TableScore.insert1(
                {
                    **key,
                    "score_values": np.asarray(values, dtype=np.float64),
                    "n_scored": int((~np.isnan(values)).sum()),
                    "score_sha256": digest,
                    "session_kind": session_kind,
                }
            )
