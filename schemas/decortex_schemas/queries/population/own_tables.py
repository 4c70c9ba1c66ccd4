"""What a user's own table called its neurons and features, and whether a study is of tables. Read only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import EmbeddingSpec, Study, require_study
from decortex_schemas.tables.networks import table_content, table_datasets

# Embeddings whose features are those of the table, in its order.
_AS_IN_TABLE = ("raw", "l2", "zscore")


@dataclass(frozen=True)
class TableNames:
    """Names that a table gave.

    Parameters
    ----------
    ids : ndarray of str, shape (n_neurons,)
        Of the neurons, in the order of `Dataset.Neuron`.
    features : tuple of str
        Of the columns that were clustered.
    """

    ids: NDArray[np.str_]
    features: tuple[str, ...]


@one_at_a_time
def study_tables(study: str) -> list[str]:
    """Datasets of a study where all of them are users' own tables, which have no networks; else none.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> study_tables("v4-sweep")    # doctest: +SKIP
    """
    require_study(study)
    networks = Study.Model & {"study": study}
    tables = table_datasets(networks.proj())
    return sorted(tables) if tables == {str(one) for one in networks.to_arrays("dataset")} else []


@one_at_a_time
def table_names(dataset: str) -> TableNames | None:
    """Ids and names of features of a dataset that is a table; None where it is not.

    Examples
    --------
    >>> table_names("v4")    # doctest: +SKIP
    """
    if dataset not in table_datasets({"dataset": dataset}):
        return None
    _, known, _ = table_content(dataset)
    return TableNames(np.array(known["ids"], dtype=np.str_), tuple(map(str, known["feature_names"])))


@one_at_a_time
def feature_names(dataset: str, embedding_spec_id: int) -> tuple[str, ...] | None:
    """Names of an embedding's features where they are columns of a table; None where they are not.

    Examples
    --------
    >>> feature_names("v4", 1)    # doctest: +SKIP
    """
    kind = (EmbeddingSpec & {"embedding_spec_id": embedding_spec_id}).to_arrays("kind")
    if not len(kind) or str(kind[0]) not in _AS_IN_TABLE:
        return None
    names = table_names(dataset)
    return None if names is None else names.features
