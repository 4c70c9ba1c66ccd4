"""A database as a lab has after a year: synthetic rows of a whole grid, made by SQL. Used by `queries.py`.

One dataset, networks from ten seeds, five methods, forty numbers of clusters, as many clustering seeds as the number
of clusterings asked for needs, a run of DEC for every network and method, and what the pipeline computes from them:
quality, performance by cluster, agreement, p-values, the price of DEC, the choice of K with its surrogates. Sizes,
types and keys are those of real rows; numbers are random, and mean nothing. Nothing here is a result: the database's
name must say that it is synthetic.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from datajoint.blob import pack
from lab_rows import Row, RowWriter

import decortex_schemas as schemas
from decortex.embeddings import EmbeddingConfig
from decortex.errors import ConfigError
from decortex.evaluation.nulls import NULL_KINDS
from decortex.evaluation.selection import CRITERIA
from decortex.finetune import FinetuneConfig
from decortex.models import RECIPES
from decortex.models.training import TrainingConfig
from decortex_schemas.database import run_stamp, schema
from decortex_schemas.register import register_defaults, register_none
from decortex_schemas.tables import (
    CovariateSet,
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
from decortex_schemas.tables.evaluation import SELECTION, ClusterAssociation

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


def fill_lab(size: Size, *, seed: int = 0, say: Callable[[str], None] = lambda line: None) -> str:
    """Fill the connected, empty database; returns the study's name.

    Parameters
    ----------
    size : Size
        How large.
    seed : int
        Of the random numbers.
    say : callable
        Takes one line a stage.

    Raises
    ------
    ConfigError
        If the database is not called ``synthetic...``, or holds clusterings.
    """
    if not schema.database.startswith("synthetic") or len(schemas.Clustering()):
        raise ConfigError(
            f"synthetic rows go into an empty database whose name begins with 'synthetic', not {schema.database!r}: "
            "set DECORTEX_DATABASE."
        )
    return _Filler(size, np.random.default_rng(seed), say).fill()


class _Filler(RowWriter):
    """Base rows are made here, one a method and number of clusters; the server multiplies them over the seeds."""

    def __init__(self, size: Size, rng: np.random.Generator, say: Callable[[str], None]) -> None:
        stamp = {**run_stamp(0.0), "host_name": "synthetic", "seconds": 1.0}
        super().__init__(range(size.n_networks), range(size.n_seeds), stamp, rng)
        self.size = size
        self.say = say

    def fill(self) -> str:
        self.declare()
        schema.connection.query(f"USE `{schema.database}`")
        for name in ("foreign_key_checks", "unique_checks"):
            schema.connection.query(f"SET SESSION {name} = 0")
        try:
            self.partitions()
            self.evaluations()
            self.comparisons()
            self.decisions()
            self.choices()
        finally:
            for name in ("foreign_key_checks", "unique_checks"):
                schema.connection.query(f"SET SESSION {name} = 1")
        for table, _ in schema.declare_list:
            schema.connection.query(f"ANALYZE TABLE {table().full_table_name}").fetchall()
        return NAME

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
        return tuple(k for k in self.size.counts if k in DEC_COUNTS) or self.size.counts[:1]

    def partitions(self) -> None:
        """Labels, parameters, clusters, and their fine-tunings."""
        self.say("partitions")
        size, rng = self.size, self.rng
        cells = self.cells()
        labels = {}
        for method, k in ((cell["method"], cell["k"]) for cell in cells):
            shares = rng.dirichlet(np.full(k, 5.0))
            drawn = np.searchsorted(np.cumsum(np.sort(shares)[::-1])[:-1], rng.random(size.n_neurons))
            labels[method, k] = pack(drawn.astype(np.int16), compress=True)

        def parameters(cell: Row) -> bytes:
            shape = (cell["k"], size.n_features)
            found = {"centres": rng.normal(size=shape)}
            if cell["method"] in ("gmm", "tmixture"):
                found |= {"scales": rng.random(shape), "weights": rng.random(cell["k"])}
            return pack(found, compress=True)

        self.multiply(
            schemas.Clustering,
            [
                {
                    **cell,
                    "labels": labels[cell["method"], cell["k"]],
                    "parameters": parameters(cell),
                    "k_effective": cell["k"],
                    "fit_status": "ok",
                }
                for cell in cells
            ],
        )
        centre = [pack(rng.normal(size=size.n_features).astype(np.float32), compress=True) for _ in range(64)]
        self.multiply(
            schemas.Clustering.Cluster,
            [{**cell, "cluster": i, "centre": centre[i]} for cell in cells for i in range(cell["k"])],
        )
        self.multiply(
            schemas.DECFinetune,
            [
                {
                    **cell,
                    "finetune_status": "ok",
                    "labels": None,
                    "checkpoint": None,
                    "embedding": None,
                    "beta": None,
                }
                for cell in self.members()
            ],
        )
        scores = pack(rng.random(size.n_neurons), compress=True)
        at = [
            {"tier": tier, "metric": metric} for tier in ("validation", "test") for metric in self.metrics()
        ]
        for row in at:
            row |= {"score_values": scores}
        self.multiply(
            schemas.DECFinetune.Score, [{**cell, **row} for cell in self.members(dec_only=True) for row in at]
        )
        self.multiply(
            schemas.DECFinetune.Epoch,
            [{**cell, "epoch": i} for cell in self.members(dec_only=True) for i in range(1, 11)],
        )
        tiers = [{"tier": tier, "n_trials": 1000} for tier in ("validation", "test")]
        self.multiply(schemas.Performance, [{**self.model, **row} for row in tiers])
        self.multiply(schemas.Performance.Score, [{**self.model, **row} for row in at])

    def evaluations(self) -> None:
        """What is computed from one partition."""
        self.say("evaluations")
        members = self.members()
        self.multiply(schemas.ClusterQuality, members)
        self.multiply(
            schemas.ClusterQuality.Space,
            [
                {**cell, "space": space, "quality_status": "ok"}
                for cell in members
                for space in ("untouched", "moved")
                if space == "untouched" or cell["finetune_id"] == self.dec
            ],
        )
        scored = [{**cell, "metric": "correlation_to_average"} for cell in members]
        self.multiply(schemas.ClusterPerformance, [{**cell, "association_status": "ok"} for cell in scored])
        self.multiply(
            schemas.ClusterPerformance.Cluster,
            [{**cell, "cluster": i} for cell in scored for i in range(cell["k"])],
        )
        self.say("pairs of clusters")
        self.multiply(
            schemas.ClusterPerformance.Pair,
            [
                {**cell, "first": i, "second": j}
                for cell in scored
                for i in range(cell["k"])
                for j in range(i + 1, cell["k"])
            ],
        )
        self.say("associations")
        self.put(
            schemas.RecordingSummary,
            [{"dataset": NAME, "mean_response": self.rng.random(self.size.n_neurons)}],
        )
        sets = [int(row["covariate_set_id"]) for row in CovariateSet.to_dicts()]
        compared = [{**cell, "covariate_set_id": i} for cell in members for i in sets]
        self.multiply(
            ClusterAssociation,
            [
                {
                    **cell,
                    "covariate_status": "ok",
                    "effect_status": "ok",
                    "mixed_status": "ok",
                    "n_neurons": 50000,
                }
                for cell in compared
            ],
        )
        units = [{**cell, "unit_kind": kind} for cell in compared for kind in ("session", "animal")]
        self.multiply(ClusterAssociation.Population, [{**cell, "population_status": "ok"} for cell in units])
        self.multiply(
            ClusterAssociation.Contrast,
            [{**cell, "cluster": i} for cell in units for i in range(cell["k"])],
        )
        self.multiply(
            ClusterAssociation.Session,
            [{**cell, "session": f"session{i}"} for cell in compared for i in range(N_SESSIONS)],
        )
        self.multiply(schemas.ClusterConfound, members)
        self.multiply(
            schemas.ClusterConfound.Grouping,
            [
                {**cell, "grouping": kind, "confound_status": "ok"}
                for cell in members
                for kind in ("session", "animal")
            ],
        )
        self.multiply(
            schemas.ClusterConfound.LeftOut,
            [
                {**cell, "animal": f"animal{i}", "transfer_status": "ok"}
                for cell in members
                for i in range(N_ANIMALS)
            ],
        )
        tuned = self.members(dec_only=True)
        self.multiply(
            schemas.RetainedPerformance,
            [{**cell, "retained_status": "ok", "equivalent": 1} for cell in tuned],
        )
        self.multiply(
            schemas.RetainedPerformance.Session,
            [{**cell, "session": f"session{i}"} for cell in tuned for i in range(N_SESSIONS)],
        )
        self.multiply(
            schemas.RetainedPerformance.Cluster,
            [{**cell, "cluster": i} for cell in tuned for i in range(cell["k"])],
        )

    def comparisons(self) -> None:
        """What is compared over the frozen study."""
        self.say("comparisons")
        self.put(schemas.FrozenStudy, [{"study": NAME, "failed": []}])
        groups = [{"study": NAME, **cell} for cell in self.members()]
        self.put(schemas.FrozenStudy.Group, groups)
        self.put(schemas.SeedAgreement, groups)
        n = len(self.seeds)
        networks = [(a, s, b, s) for a in self.networks for b in self.networks if a < b for s in range(n)]
        starts = [(m, a, m, b) for m in self.networks for a in range(n) for b in range(a + 1, n)]
        names = ("model_seed_a", "seed_a", "model_seed_b", "seed_b")
        pairs = [
            {"pair_kind": kind, **dict(zip(names, pair, strict=True))}
            for kind, found in (("model_seeds", networks), ("clustering_seeds", starts))
            for pair in found
        ]
        base = []
        for cell in groups:
            k = cell["k"]
            confusion = self.rng.poisson(self.size.n_neurons / k**2 / 5, size=(k, k)).astype(np.int32)
            confusion[np.diag_indices(k)] += self.size.n_neurons * 4 // (5 * k)
            base.append(
                {
                    **cell,
                    "pair_status": "ok",
                    "matched": pack(np.arange(k, dtype=np.int16), compress=True),
                    "confusion": pack(confusion, compress=True),
                }
            )
        self.multiply(schemas.SeedAgreement.Pair, base, over=pairs)
        rng = self.rng
        self.put(
            schemas.ConsensusPartition,
            (
                {
                    **cell,
                    "consensus_status": "ok",
                    "labels": rng.integers(0, cell["k"], self.size.n_neurons).astype(np.int16),
                    "support": rng.random(self.size.n_neurons),
                }
                for cell in groups
            ),
        )
        self.put(
            schemas.ConsensusPartition.Cluster,
            ({**cell, "cluster": i} for cell in groups for i in range(cell["k"])),
        )
        self.between()

    def between(self) -> None:
        """All pairs of methods, at every number of clusters and fine-tuning."""
        without = ("method", "method_id")
        masters = [
            {"study": NAME, **{name: value for name, value in cell.items() if name not in without}}
            for cell in self.members()
            if cell["method"] == METHODS[0]
        ]
        self.put(schemas.MethodAgreement, masters)
        self.put(
            schemas.MethodAgreement.Between,
            (
                {
                    **cell,
                    **{f"{name}_a": value for name, value in a.items()},
                    **{f"{name}_b": value for name, value in b.items()},
                }
                for cell in masters
                for i, a in enumerate(self.methods)
                for b in self.methods[i + 1 :]
            ),
        )

    def decisions(self) -> None:
        """P-values corrected over the study."""
        self.say("p-values")
        sets = [int(row["covariate_set_id"]) for row in CovariateSet.to_dicts()]
        grids = [
            {
                "study": NAME,
                **self.model,
                **self.embedding,
                "model_seed": i,
                **method,
                "finetune_id": self.none,
                "covariate_set_id": covariates,
            }
            for i in self.networks
            for method in self.methods
            for covariates in sets
        ]
        self.put(schemas.GridAssociation, grids)
        self.put(schemas.AdjustedPValue, ({"study": NAME, "covariate_set_id": i} for i in sets))
        members = [{"study": NAME, **cell, "covariate_set_id": i} for cell in self.members() for i in sets]
        self.multiply(
            schemas.AdjustedPValue.Partition, [{**cell, "population_status": "ok"} for cell in members]
        )
        of_grid = [cell for cell in members if cell["finetune_id"] == self.none]
        self.multiply(schemas.GridAssociation.Member, [{**cell, "member_status": "ok"} for cell in of_grid])

    def choices(self) -> None:
        """Criteria of every K, surrogates of every network, and the decisions made from them."""
        self.say("choices of K")
        cells, criteria = self.cells(), sorted(CRITERIA)
        self.multiply(schemas.KCriteria, [{**cell, "fit_status": "ok"} for cell in cells])
        self.multiply(
            schemas.KCriteria.Value,
            [
                {**cell, "criterion": name, "at_k": k, "criterion_status": "ok"}
                for cell in cells
                for name in criteria
                for k in (1, cell["k"])
            ],
        )
        surrogates = [{"model_seed": m, "null_seed": s} for m in self.networks for s in range(N_SURROGATES)]
        fits = [{**cell, "null_kind": kind} for cell in cells for kind in NULL_KINDS]
        self.multiply(schemas.NullFit, fits, over=surrogates)
        values = [
            {**fit, "criterion": name, "criterion_status": "ok"}
            for fit in fits
            for name in SELECTION.null_criteria
        ]
        self.multiply(schemas.NullFit.Value, values, over=surrogates)
        chosen = [{"study": NAME, **self.model, **self.embedding, **method} for method in self.methods]
        joint = [
            {**one, "null_kind": kind, "null_seed": s}
            for one in chosen
            for kind in NULL_KINDS
            for s in range(N_SURROGATES)
        ]
        self.put(schemas.SeedNullFit, joint)
        at = [{"at_k": k, "criterion": name} for k in self.size.counts for name in criteria]
        agreed = [{"at_k": k, "criterion": "seed_agreement"} for k in self.size.counts]
        self.put(schemas.SeedNullFit.Value, ({**one, **figure} for one in joint for figure in agreed))
        self.put(schemas.KSelection, ({**one, "decision_k": 8} for one in chosen))
        self.put(
            schemas.KSelection.Count,
            ({**one, "k": k, "reasons": ["synthetic"]} for one in chosen for k in self.size.counts),
        )
        self.put(
            schemas.KSelection.Choice,
            ({**one, "criterion": name, "choice": 8} for one in chosen for name in criteria),
        )
        self.put(schemas.KSelection.Value, ({**one, **figure} for one in chosen for figure in at))
        self.put(
            schemas.KSelection.Excess,
            ({**one, **figure, "null_kind": kind} for one in chosen for figure in at for kind in NULL_KINDS),
        )
        self.put(
            schemas.KSelection.Network,
            ({**one, "model_seed": m, "decision_k": 8} for one in chosen for m in self.networks),
        )

    def metrics(self) -> list[str]:
        return [str(row["metric"]) for row in schemas.Metric().to_dicts()]

    def cells(self) -> list[Row]:
        """One key a method and number of clusters, without seeds."""
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
