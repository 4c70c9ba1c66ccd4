"""P-values of performance and cluster over a grid of K and over a frozen study. Effect sizes are in `association`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import datajoint as dj
import numpy as np

from decortex.evaluation import association
from decortex.evaluation.association import benjamini_hochberg
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.embeddings import Embedding
from decortex_schemas.tables.evaluation.association import ClusterAssociation
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED, N_PERMUTATIONS
from decortex_schemas.tables.evaluation.scored import RecordingSummary, comparison, scored_partitions
from decortex_schemas.tables.finetuning import DECFinetune, partition_labels
from decortex_schemas.tables.specs import ClusteringMethod, CovariateSet, FinetuneSpec
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen, members_of

STATISTIC: Final = "studentised"


@schema
class GridAssociation(Computation):
    """Performance and cluster in these sessions: one p for all K and seeds of an embedding and method."""

    definition = f"""
    # Permutation test of a grid of partitions, in these sessions
    -> FrozenStudy
    -> Embedding
    -> ClusteringMethod
    -> FinetuneSpec
    -> RecordingSummary
    -> CovariateSet
    ---
    grid_status : varchar(24)
    n_partitions : int32
    n_tested : int32
    n_neurons : int32
    grid_correction : varchar(16)        # 'max_t', or 'bonferroni' over networks fine-tuned each for itself
    grid_statistic : varchar(16)         # 'studentised': every cluster with a variance of its own
    p_grid = null : float64              # one p for all tested partitions
    best_k = null : int16                # of the largest standardised statistic
    best_seed = null : int32
    n_permutations : int32
    permutation_seed : int32
    {STAMP}
    """

    class Member(dj.Part):
        """One partition's own p, and corrected over its grid."""

        definition = """
        -> master
        k : int16
        seed : int32
        ---
        member_status : varchar(24)
        n_clusters_left_out : int16      # too small for a variance of their own; take no part in the test
        p_sessions = null : float64
        p_adjusted = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Grids of frozen studies whose networks have been scored."""
        every = FrozenStudy.proj() * Embedding.proj() * ClusteringMethod.proj() * FinetuneSpec.proj()
        return every * RecordingSummary.proj() * CovariateSet.proj() & scored_members()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members' keys; they must still be those that were frozen."""
        check_frozen(key["study"], key)
        own = {"model_seed": key["model_seed"]}
        members = (members_of(key["study"], key) & own).proj().to_dicts(order_by="KEY")
        return members, (FinetuneSpec & key).fetch1("kind"), (CovariateSet & key).fetch1("params")

    def compute(
        self, key: dict[str, Any], members: list[dict[str, Any]], kind: str, params: dict[str, Any]
    ) -> Made:
        """Permute once for all partitions; after fine-tuning, once for each network of its own."""
        # A fine-tuned network has scores of its own, which its partition shares with no other.
        grids = [members] if kind == "none" else [[member] for member in members]
        rows: list[dict[str, Any]] = []
        n_neurons = 0
        for grid in grids:
            case = comparison(grid[0], kind, params)
            labels = [partition_labels(member)[case.keep] for member in grid]
            placed = np.all([one >= 0 for one in labels], axis=0)
            n_neurons = max(n_neurons, int(placed.sum()))
            test = association.grid_test(
                case.scores[placed],
                [one[placed] for one in labels],
                case.sessions[placed],
                case.columns[placed],
                seed=EVALUATION_SEED,
                n_permutations=N_PERMUTATIONS,
                statistic=STATISTIC,
            )
            corrected = test.p_adjusted if kind == "none" else bonferroni(test.p_single, len(grids))
            rows += [
                {
                    "k": member["k"],
                    "seed": member["seed"],
                    "member_status": status,
                    "n_clusters_left_out": left_out,
                    "p_sessions": p,
                    "p_adjusted": adjusted,
                }
                for member, status, left_out, p, adjusted in zip(
                    grid, test.statuses, test.n_left_out, test.p_single, corrected, strict=True
                )
            ]
        return Made(grid_row(rows, kind, n_neurons), {"Member": rows})


@schema
class AdjustedPValue(Computation):
    """P-values of a frozen study corrected together: Benjamini-Hochberg over everything it asked."""

    definition = f"""
    # P-values corrected over a frozen study
    -> FrozenStudy
    -> CovariateSet
    ---
    n_sessions_tests : int32             # partitions tested in these sessions
    n_population_tests : int32           # partitions tested for the population of sessions
    n_grids : int32
    {STAMP}
    """

    class Partition(dj.Part):
        """One partition's p-values of the two estimands, alone and over the study."""

        definition = """
        -> master
        -> DECFinetune
        ---
        p_sessions = null : float64
        p_sessions_bh = null : float64
        population_status : varchar(24)  # with sessions as units
        p_population = null : float64
        p_population_bh = null : float64
        """

    class Grid(dj.Part):
        """One p for all K and seeds of an embedding and method, and over the study's grids."""

        definition = """
        -> master
        -> Embedding
        -> ClusteringMethod
        -> FinetuneSpec
        ---
        p_grid = null : float64
        p_grid_bh = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Frozen studies of which every scored partition and every grid has been tested."""
        every = FrozenStudy.proj() * CovariateSet.proj()
        partitions = scored_members() * CovariateSet.proj()
        untested = partitions - ClusterAssociation.proj()
        return (every & partitions) - untested - (GridAssociation().key_source - GridAssociation.proj())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the p-values; the study must still be the one that was frozen."""
        check_frozen(key["study"])
        grids = (GridAssociation & key).proj("p_grid").to_dicts(order_by="KEY")
        members = (GridAssociation.Member & key).proj("p_sessions").to_dicts(order_by="KEY")
        by_session = ClusterAssociation.Population & key & {"unit_kind": "session"}
        asked = members_of(key["study"]).proj()
        population = (by_session & asked).proj("population_status", "p").to_dicts(order_by="KEY")
        return grids, members, population

    def compute(
        self,
        key: dict[str, Any],
        grids: list[dict[str, Any]],
        members: list[dict[str, Any]],
        population: list[dict[str, Any]],
    ) -> Made:
        """Correct each family over the study."""
        names = DECFinetune().primary_key
        in_sessions = {tuple(row[name] for name in names): row["p_sessions"] for row in members}
        rows = [
            {
                **{name: row[name] for name in names},
                "p_sessions": in_sessions.get(tuple(row[name] for name in names)),
                "population_status": row["population_status"],
                "p_population": row["p"],
            }
            for row in population
        ]
        own = (*Embedding().primary_key, *ClusteringMethod().primary_key, *FinetuneSpec().primary_key)
        of_grids = [{**{name: row[name] for name in own}, "p_grid": row["p_grid"]} for row in grids]
        counts = {
            "n_sessions_tests": correct(rows, "p_sessions"),
            "n_population_tests": correct(rows, "p_population"),
            "n_grids": correct(of_grids, "p_grid"),
        }
        return Made(counts, {"Partition": rows, "Grid": of_grids})


def scored_members() -> Any:
    """Keys of partitions that frozen studies ask for and whose network has been scored."""
    asked = FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj()
    return asked.proj() & scored_partitions()


def grid_row(rows: list[dict[str, Any]], kind: str, n_neurons: int) -> dict[str, Any]:
    """Columns of one grid from those of its members."""
    tested = [row for row in rows if row["p_adjusted"] is not None]
    # The largest statistic has the smallest corrected p; among equals the smallest own p, then the smallest K.
    best = min(tested, key=lambda row: (row["p_adjusted"], row["p_sessions"], row["k"]), default=None)
    return {
        "grid_status": "ok" if tested else rows[0]["member_status"],
        "n_partitions": len(rows),
        "n_tested": len(tested),
        "n_neurons": n_neurons,
        "grid_correction": "max_t" if kind == "none" else "bonferroni",
        "grid_statistic": STATISTIC,
        "p_grid": None if best is None else best["p_adjusted"],
        "best_k": None if best is None else best["k"],
        "best_seed": None if best is None else best["seed"],
        "n_permutations": N_PERMUTATIONS,
        "permutation_seed": EVALUATION_SEED,
    }


def bonferroni(p: Sequence[float | None], n_tests: int) -> list[float | None]:
    """P-values times the number of tests, at most 1; None stays None."""
    return [None if value is None else min(value * n_tests, 1.0) for value in p]


def correct(rows: list[dict[str, Any]], name: str) -> int:
    """Write ``<name>_bh`` into rows and return how many have a p."""
    tested = [row for row in rows if row[name] is not None and not np.isnan(row[name])]
    corrected = benjamini_hochberg(np.array([row[name] for row in tested], dtype=np.float64))
    for row in rows:
        row[f"{name}_bh"] = None
    for row, value in zip(tested, corrected, strict=True):
        row[f"{name}_bh"] = value
    return len(tested)
