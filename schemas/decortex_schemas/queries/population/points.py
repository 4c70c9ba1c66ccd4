"""Neurons as points: the embedding of one network of a study, with what tests of a partition need. Read only."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.tables import Embedding, EmbeddingSpec, ModelSpec, Study, load_embedding, require_study
from decortex_schemas.tables.evaluation import animals_of

# What an embedding is called by in words.
EMBEDDED = ("dataset", "model", "embedding", "model_seed")


@dataclass(frozen=True)
class Points:
    """One network's neurons in one embedding.

    Parameters
    ----------
    x : ndarray of float64, shape (n_neurons, n_features)
        Every neuron of the dataset in order; an excluded one is a row of no use.
    included : ndarray of bool, shape (n_neurons,)
        Neurons that the embedding has.
    animals : ndarray of str, shape (n_neurons,)
        Animal of every neuron.
    """

    x: NDArray[np.float64]
    included: NDArray[np.bool_]
    animals: NDArray[np.str_]


@one_at_a_time
def embeddings(study: str) -> list[dict[str, Any]]:
    """Embeddings that a study asks for and that are computed: names (see `EMBEDDED`) and ``key``, the primary key.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["key"] for row in embeddings("v4-sweep")]    # doctest: +SKIP
    """
    of_study = {"study": study}
    require_study(study)
    models = {int(row["model_spec_id"]): row["model_name"] for row in ModelSpec.to_dicts()}
    specs = {int(row["embedding_spec_id"]): row["embedding_name"] for row in EmbeddingSpec.to_dicts()}
    asked = (Study.Model & of_study).proj() * (Study.Embedding & of_study).proj()
    return [
        {
            "dataset": key["dataset"],
            "model": models[int(key["model_spec_id"])],
            "embedding": specs[int(key["embedding_spec_id"])],
            "model_seed": int(key["model_seed"]),
            "key": key,
        }
        for key in (Embedding & asked).keys(order_by="KEY")
    ]


@one_at_a_time
def network_points(key: dict[str, Any]) -> Points:
    """Read one embedding (``key`` of a row of `embeddings`, or of a partition of it).

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> network_points(queries.embeddings("v4-sweep")[0]["key"])    # doctest: +SKIP
    """
    own = {name: key[name] for name in Embedding().primary_key}
    x = load_embedding(own)
    included = np.ones(len(x), dtype=bool)
    included[[int(neuron) for neuron in (Embedding & own).fetch1("excluded")]] = False
    return Points(np.asarray(x, dtype=np.float64), included, animals_of(own["dataset"]))
