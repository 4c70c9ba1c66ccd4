"""Figures of a study's partitions, averaged by the server over what differs in seeds alone. Read only."""

from __future__ import annotations

from collections import defaultdict

from decortex_schemas.queries.grouped import defined, grouped, grouped_sql, values
from decortex_schemas.queries.rows import GROUP, Key, Row, middle
from decortex_schemas.tables import Clustering, DECFinetune, FinetuneSpec, Performance, asked_members
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    MAIN_TIER,
    ClusterPerformance,
    ClusterQuality,
    RetainedPerformance,
)

_START = ", ".join(f"`{name}`" for name in ("dataset", "model_spec_id", "model_seed"))


def averaged(study: str) -> dict[Key, Row]:
    """Means over the partitions of every method, K and fine-tuning of a study, by `GROUP`.

    A fine-tuning whose price is not known is not one that cost nothing: it has no ``after``. Shares of the largest
    cluster and pieces of the graph are of partitions as their method left them: None for fine-tuned ones.
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
    )
    for key, row in tied.items():
        found[key] |= {**row, "p": middle(defined(row, "p_values"))}
    for name, space in (("silhouette", "untouched"), ("silhouette_moved", "moved")):
        rows = ClusterQuality.Space & asked & {"space": space}
        for key, row in grouped(rows, GROUP, **{name: "AVG(silhouette)"}).items():
            found[key] |= row
    return found


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
            "correlation_before": f"AVG(IF({priced}, price.before, start.mean))",
            "correlation_after": f"AVG(IF({priced}, price.after, IF({untouched}, start.mean, NULL)))",
            "correlation_control": "AVG(price.control)",
        },
    )
