"""Values of a study's partitions, averaged by the server over what differs in seeds alone. Read only."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

from decortex_schemas.queries.basis.grouped import defined_values, grouped, grouped_sql, values
from decortex_schemas.queries.basis.study_rows import GROUP, PARTITION, Key, Row, middle
from decortex_schemas.tables import Clustering, DECFinetune, FinetuneSpec, Performance, asked_members
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    MAIN_TIER,
    ClusterPerformance,
    ClusterQuality,
    RetainedPerformance,
    SeedAgreement,
)

_START = ", ".join(f"`{name}`" for name in ("dataset", "model_spec_id", "model_seed"))


def averaged(study: str) -> dict[Key, Row]:
    """Means over the partitions of every method, K and fine-tuning of a study, by `GROUP`.

    A fine-tuning whose price is not known is not one that cost nothing: it has no ``before`` and no ``after``.
    Shares of the largest cluster and pieces of the graph are of partitions as their method left them: None for
    fine-tuned ones.
    """
    asked = asked_members(study)
    found: dict[Key, Row] = defaultdict(dict)
    for key, row in _performance(study).items():
        found[key] |= row
    tied = grouped(
        ClusterPerformance & asked,
        GROUP,
        epsilon2="AVG(epsilon2)",
        epsilon2_within="AVG(epsilon2_within)",
        p_max="MAX(p_permutation)",
        p_values=values("p_permutation"),
        n_permutations="MIN(n_permutations)",
    )
    for key, row in tied.items():
        smallest = smallest_p(row["n_permutations"])
        found[key] |= {
            **row,
            "p": middle(defined_values(row, "p_values")),
            "p_smallest": smallest,
            "p_max_smallest": smallest,
        }
    for name, space in (("silhouette", "untouched"), ("silhouette_moved", "moved")):
        rows = ClusterQuality.Space & asked & {"space": space}
        for key, row in grouped(rows, GROUP, **{name: "AVG(silhouette)"}).items():
            found[key] |= row
    return found


def smallest_p(n_permutations: float | None) -> float | None:
    """Below which no p can fall with so many permutations or surrogates; None where there are none."""
    return 1 / (int(n_permutations) + 1) if n_permutations else None


def paired(study: str, **group: Any) -> dict[Key, Row]:
    """Before and after every fine-tuning of a study, by `GROUP`: same networks, same starts on both sides.

    Each value is a mean over what has it before *and* after: ``ari_seeds`` over pairs of networks (at equal starts)
    of which both were fine-tuned, ``epsilon2`` over fine-tuned partitions. ``n_networks``, ``n_starts`` and
    ``n_pairs``: the networks, partitions and pairs behind them. What the row of 'none' says is another mean, over all
    starts of the study. ``group`` names columns of `GROUP` to restrict to.
    """
    found: dict[Key, Row] = defaultdict(dict)
    asked = DECFinetune.proj() & asked_members(study) & group
    tuned = (asked * FinetuneSpec.proj("kind") & "kind != 'none'").make_sql()
    both = "t.epsilon2 IS NOT NULL AND u.epsilon2 IS NOT NULL"
    tied = ClusterPerformance().full_table_name
    start = " AND ".join(f"u.`{name}` = own.`{name}`" for name in PARTITION if name != "finetune_id")
    end = " AND ".join(f"t.`{name}` = own.`{name}`" for name in PARTITION)
    tables = (
        f"({tuned}) AS own LEFT JOIN {tied} AS t ON {end} AND t.metric = '{MAIN_METRIC}' "
        f"LEFT JOIN {tied} AS u ON {start} AND u.metric = '{MAIN_METRIC}' AND u.finetune_id IN {_untouched()}"
    )
    counted = {
        "n_networks": "COUNT(DISTINCT own.model_seed)",
        "n_starts": "COUNT(*)",
        "epsilon2_before": f"AVG(IF({both}, u.epsilon2, NULL))",
        "epsilon2_after": f"AVG(IF({both}, t.epsilon2, NULL))",
    }
    for key, row in grouped_sql(tables, GROUP, counted).items():
        found[key] |= {"n_pairs": 0, **row}
    agreed = {
        "n_pairs": "COUNT(*)",
        "ari_seeds_before": "AVG(own.`before`)",
        "ari_seeds_after": "AVG(own.`after`)",
    }
    for key, row in grouped_sql(f"({paired_agreement(study, **group)}) AS own", GROUP, agreed).items():
        found[key] |= row
    return found


def paired_agreement(study: str, **group: Any) -> str:
    """SQL of the agreement of two fine-tuned networks, ``after``, and of the partitions they started from, ``before``.

    One row per pair of networks at equal starts and fine-tuning, with `GROUP` and the seeds of both.
    """
    asked = SeedAgreement.Pair & {"study": study, "pair_kind": "model_seeds"}
    moved = (asked & group).proj("ari").make_sql()
    start = (
        (asked & {name: value for name, value in group.items() if name != "finetune_id"})
        .proj("ari")
        .make_sql()
    )
    seeds = ("model_seed_a", "seed_a", "model_seed_b", "seed_b")
    same = [name for name in GROUP if name != "finetune_id"]
    columns = ", ".join(f"moved.`{name}`" for name in (*GROUP, *seeds))
    join = " AND ".join(f"start.`{name}` = moved.`{name}`" for name in (*same, *seeds))
    return (
        f"SELECT {columns}, start.ari AS `before`, moved.ari AS `after` FROM ({moved}) AS moved "
        f"JOIN ({start}) AS start ON {join} AND start.finetune_id IN {_untouched()} "
        f"WHERE moved.finetune_id NOT IN {_untouched()} AND start.ari IS NOT NULL AND moved.ari IS NOT NULL"
    )


def _untouched() -> str:
    return f"(SELECT finetune_id FROM {FinetuneSpec().full_table_name} WHERE kind = 'none')"


def _performance(study: str) -> dict[Key, Row]:
    """Statuses, shares, and the test correlation before and after fine-tuning and of the control."""
    partitions = (
        DECFinetune.proj("finetune_status", "share_changed") * FinetuneSpec.proj("kind")
        & asked_members(study)
    ).make_sql()
    scores = (Performance.Score & {"tier": MAIN_TIER, "metric": MAIN_METRIC}).proj("mean").make_sql()
    tables = (
        f"({partitions}) AS own "
        f"JOIN {Clustering().full_table_name} AS c USING ({', '.join(f'`{n}`' for n in Clustering().primary_key)}) "
        f"LEFT JOIN {RetainedPerformance().full_table_name} AS price "
        f"USING ({', '.join(f'`{n}`' for n in DECFinetune().primary_key)}) "
        f"LEFT JOIN ({scores}) AS start USING ({_START})"
    )
    untouched = "own.kind = 'none'"
    priced = "price.dataset IS NOT NULL"
    return grouped_sql(
        tables,
        GROUP,
        {
            "n_partitions": "COUNT(*)",
            "statuses": values("own.finetune_status"),
            "share_changed": "AVG(own.share_changed)",
            "largest_share": f"AVG(IF({untouched}, c.largest_share, NULL))",
            "n_components": f"AVG(IF({untouched}, c.n_components, NULL))",
            "correlation_before": f"AVG(IF({untouched}, start.mean, IF({priced}, price.before, NULL)))",
            "correlation_after": f"AVG(IF({untouched}, start.mean, IF({priced}, price.after, NULL)))",
            "correlation_control": "AVG(price.control)",
        },
    )
