"""The study that a synthetic lab has declared: its size, networks, methods, keys; no computed row but networks'."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from lab_rows import Row, RowWriter

import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex.evaluation.nulls import NULL_KINDS
from decortex.finetune import FinetuneConfig
from decortex.models import RECIPES
from decortex.models.training import TrainingConfig
from decortex_schemas.database import run_stamp
from decortex_schemas.register import register_defaults, register_none
from decortex_schemas.tables import (
    FinetunePlan,
    StudyPlan,
    array_sha256,
    declare_study,
    register_embedding_spec,
    register_finetune,
    register_method,
    register_model_spec,
    register_schedule,
)

METHODS = ("kmeans", "gmm", "tmixture", "spectral", "sec")
N_SESSIONS = 10
N_ANIMALS = 5
DEC_COUNTS = (20,)
N_SURROGATES = 19
NAME = "lab"


@dataclass(frozen=True)
class Size:
    """How large the lab is.

    Parameters
    ----------
    n_clusterings : int
        Networks times methods times numbers of clusters times clustering seeds; rounded up to whole seeds.
    n_neurons : int
        Labels a clustering.
    n_features : int
        Of the embedding.
    n_networks : int
        Trained from as many seeds.
    counts : tuple of int
        Numbers of clusters.
    """

    n_clusterings: int = 40000
    n_neurons: int = 50000
    n_features: int = 64
    n_networks: int = 10
    counts: tuple[int, ...] = field(default=tuple(range(2, 42)))

    @property
    def n_seeds(self) -> int:
        """Clustering seeds."""
        return -(-self.n_clusterings // (self.n_networks * len(METHODS) * len(self.counts)))


class LabStudy(RowWriter):
    """Declares the study, and lists the keys of its partitions."""

    def __init__(self, size: Size, rng: np.random.Generator, say: Callable[[str], None]) -> None:
        stamp = {**run_stamp(0.0), "host_name": "synthetic", "seconds": 1.0}
        super().__init__(range(size.n_networks), range(size.n_seeds), stamp, rng)
        self.size = size
        self.say = say

    def declare(self) -> None:
        """Dataset, networks, embeddings, specifications and the study, as a lab registers them."""
        self.say("specifications")
        register_defaults()
        size = self.size
        n = size.n_neurons
        self.put(schemas.Dataset, [{"dataset": NAME, "kind": "filetree", "n_neurons": n, "species": "mouse"}])
        sessions = [f"session{i}" for i in range(N_SESSIONS)]
        self.put(schemas.Dataset.Session, [{"dataset": NAME, "session": name} for name in sessions])
        self.put(
            schemas.Dataset.Neuron,
            (
                {
                    "dataset": NAME,
                    "neuron_idx": i,
                    "session": sessions[i % N_SESSIONS],
                    "animal": f"animal{i % N_ANIMALS}",
                    "unit_id": i,
                    "scan": 1,
                    "area": "V1",
                    "true_type": None,
                }
                for i in range(n)
            ),
        )
        recipe = RECIPES[sorted(RECIPES)[0]]()
        self.model = {"dataset": NAME, "model_spec_id": register_model_spec("synthetic", *recipe)}
        self.embedding = {"embedding_spec_id": register_embedding_spec("l2", EmbeddingConfig(kind="l2"))}
        self.methods = [register_method(name, {}, name=name) for name in METHODS]
        schedule = register_schedule("synthetic", TrainingConfig(max_epochs=10))
        self.none = register_none()
        self.dec = register_finetune("dec", FinetuneConfig(kind="dec"), schedule_id=schedule, control_seed=0)
        ids = tuple(int(method["method_id"]) for method in self.methods)
        plan = StudyPlan(
            models=tuple({**self.model, "model_seed": i} for i in self.networks),
            embedding_spec_ids=(self.embedding["embedding_spec_id"],),
            method_ids=ids,
            counts=size.counts,
            seeds=tuple(self.seeds),
            finetunings=(
                FinetunePlan(finetune_id=self.none, methods=(), counts=(), seeds=()),
                FinetunePlan(finetune_id=self.dec, methods=ids, counts=self.dec_counts, seeds=(0,)),
            ),
            nulls=NULL_KINDS,
            n_surrogates=N_SURROGATES,
        )
        declare_study(NAME, plan, description="synthetic rows; no result")
        self.put(schemas.TrainedModel, ({**self.model, "model_seed": i} for i in self.networks))
        for i in self.networks:
            x = self.rng.normal(size=(n, size.n_features))
            schemas.Embedding.insert1(
                {
                    **self.model,
                    **self.embedding,
                    "model_seed": i,
                    "array": x,
                    "embedding_sha256": array_sha256(x),
                    "neuron_order_sha256": "0" * 64,
                    "n_neurons": n,
                    "n_features": size.n_features,
                    "n_excluded": 0,
                    "excluded": {},
                    **self.stamp,
                },
                allow_direct_insert=True,
            )

    @property
    def dec_counts(self) -> tuple[int, ...]:
        """Numbers of clusters that are fine-tuned."""
        return tuple(k for k in self.size.counts if k in DEC_COUNTS) or self.size.counts[:1]

    def metrics(self) -> list[str]:
        """Names of the registered metrics."""
        return [str(row["metric"]) for row in schemas.Metric().to_dicts()]

    def cells(self) -> list[Row]:
        """One key per method and number of clusters, without seeds."""
        return [
            {**self.model, **self.embedding, **method, "k": k}
            for method in self.methods
            for k in self.size.counts
        ]

    def members(self, *, dec_only: bool = False) -> list[Row]:
        """Keys of partitions without seeds; those of DEC exist for the first clustering seed alone."""
        none = [] if dec_only else [{**cell, "finetune_id": self.none} for cell in self.cells()]
        return none + [
            {**cell, "finetune_id": self.dec} for cell in self.cells() if cell["k"] in self.dec_counts
        ]
