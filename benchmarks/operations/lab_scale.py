"""A database as a lab has after a year: synthetic rows of a whole grid, made by SQL. Used by `queries.py`.

One dataset, networks from ten seeds, five methods, forty numbers of clusters, as many clustering seeds as the number
of clusterings asked for needs, a run of DEC for every network and method, and what the pipeline computes from them:
quality, performance by cluster, agreement, p-values, the price of DEC, the choice of K with its surrogates. Sizes,
types and keys are those of real rows; numbers are random, and mean nothing. Nothing here is a result: the database's
name must say that it is synthetic.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from datajoint.blob import pack
from lab_comparisons import put_choices, put_comparisons, put_decisions
from lab_rows import Row
from lab_study import N_ANIMALS, N_SESSIONS, NAME, LabStudy, Size

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex_schemas.database import schema
from decortex_schemas.tables import (
    CovariateSet,
)
from decortex_schemas.tables.evaluation import ClusterAssociation


def fill_lab(size: Size, *, seed: int = 0, say: Callable[[str], None] = lambda line: None) -> str:
    """Fill the connected, empty database; returns the study's name.

    Parameters
    ----------
    size : Size
        How large.
    seed : int
        Of the random numbers.
    say : callable
        Takes one line per stage.

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


class _Filler(LabStudy):
    """Base rows are made here, one per method and number of clusters; the server multiplies them over the seeds."""

    def fill(self) -> str:
        self.declare()
        schema.connection.query(f"USE `{schema.database}`")
        for name in ("foreign_key_checks", "unique_checks"):
            schema.connection.query(f"SET SESSION {name} = 0")
        try:
            self.partitions()
            self.evaluations()
            put_comparisons(self)
            put_decisions(self)
            put_choices(self)
        finally:
            for name in ("foreign_key_checks", "unique_checks"):
                schema.connection.query(f"SET SESSION {name} = 1")
        for table, _ in schema.declare_list:
            schema.connection.query(f"ANALYZE TABLE {table().full_table_name}").fetchall()
        return NAME

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
