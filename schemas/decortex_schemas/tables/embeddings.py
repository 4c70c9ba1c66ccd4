"""Embeddings: a network's readout weights as points to cluster."""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex import embeddings
from decortex.errors import InputError
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset
from decortex_schemas.tables.networks import TrainedModel, check_order, raw_embedding
from decortex_schemas.tables.specs import EmbeddingSpec
from decortex_schemas.tables.studies import Study


@schema
class Embedding(Computation):
    """One point per neuron; the array holds every neuron of the dataset, in order."""

    definition = f"""
    # Readout weights as points to cluster
    -> TrainedModel
    -> EmbeddingSpec
    ---
    array : <sealed_array@main>         # float64 (n_neurons, n_features), order of Dataset.Neuron
    embedding_sha256 : char(64)      # of the array's bytes
    neuron_order_sha256 : char(64)
    n_neurons : int32
    n_features : int32
    n_excluded : int32
    excluded : json                  # neuron_idx -> why it has no place
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Embeddings that a study asks for."""
        asked = Study.Model.proj() * Study.Embedding.proj()
        return TrainedModel.proj() * EmbeddingSpec.proj() & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digest, parameters and the neurons' order."""
        return (
            (TrainedModel & key).fetch1("checkpoint_sha256"),
            (EmbeddingSpec & key).fetch1("params"),
            *(Dataset & key).fetch1("n_neurons", "neuron_order_sha256"),
        )

    def compute(
        self, key: dict[str, Any], sha256: str, params: dict[str, Any], n_neurons: int, order: str
    ) -> Made:
        """Extract the readout weights and map them."""
        raw = raw_embedding(TrainedModel & key)
        if len(raw) != n_neurons:
            raise InputError(
                f"the network holds {len(raw)} neurons, its dataset {n_neurons}; register the checkpoint with the "
                "dataset it was trained on."
            )
        check_order(TrainedModel & key, order)
        fitted = embeddings.fit_map(raw, embeddings.EmbeddingConfig.from_params(params))
        x = np.ascontiguousarray(fitted.apply(raw), dtype=np.float64)
        row = {
            "array": x,
            "embedding_sha256": array_sha256(x),
            "neuron_order_sha256": order,
            "n_neurons": x.shape[0],
            "n_features": x.shape[1],
            "n_excluded": len(fitted.excluded),
            "excluded": {
                str(neuron): reason
                for neuron, reason in zip(fitted.excluded.indices, fitted.excluded.reasons, strict=True)
            },
        }
        return Made(row)


def array_sha256(x: NDArray[Any]) -> str:
    """Digest of an array: type, shape and bytes."""
    head = f"{x.dtype.str}{x.shape}".encode()
    return hashlib.sha256(head + np.ascontiguousarray(x).tobytes()).hexdigest()


def load_embedding(key: dict[str, Any]) -> NDArray[np.float64]:
    """Read one embedding and check it against its digest.

    Raises
    ------
    InputError
        If the stored file is not the array that was inserted.
    """
    reference, digest = (Embedding & key).fetch1("array", "embedding_sha256")
    x: NDArray[np.float64] = reference.load()
    if array_sha256(x) != digest:
        raise InputError(
            f"the stored array of embedding {dict((Embedding & key).fetch1('KEY'))} is not the one that was "
            "inserted (sha256 differs): restore the store from its backup, or delete the row and recompute it."
        )
    return x
