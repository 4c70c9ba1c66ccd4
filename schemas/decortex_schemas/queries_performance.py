"""Is predictability tied to cluster, and are clusters sessions in disguise? Read only, as `queries` is."""

from __future__ import annotations

from collections import defaultdict

from decortex_schemas.adjusted import AdjustedPValue, GridAssociation
from decortex_schemas.association import ClusterAssociation
from decortex_schemas.confounds import ClusterConfound
from decortex_schemas.frozen import members_of
from decortex_schemas.queries import one_at_a_time, require_frozen, worst_status
from decortex_schemas.query_rows import (
    GROUP,
    PARTITION,
    Key,
    Names,
    Row,
    average,
    largest,
    mean,
    median,
    pick,
)
from decortex_schemas.specs import CovariateSet


@one_at_a_time
def predictability(study: str) -> list[Row]:
    """Is predictability tied to cluster? One row a method, K, fine-tuning and set of covariates of a frozen study.

    Effects are means over the study's partitions of that row (networks and clustering seeds), p-values medians
    with the largest beside them: partitions of the same neurons are no independent samples. ``p_grid`` is the
    largest over networks of the one p for all K of the row's method.

    Raises
    ------
    ConfigError
        If the study is not frozen.
    """
    require_frozen(study)
    asked = members_of(study).proj()
    names = {int(row["covariate_set_id"]): row["covariate_set"] for row in CovariateSet.to_dicts()}
    own = (*PARTITION, "covariate_set_id")
    adjusted = {pick(row, own): row for row in (AdjustedPValue.Partition & {"study": study}).to_dicts()}
    grids: dict[Key, list[float]] = defaultdict(list)
    for row in (GridAssociation & {"study": study} & "p_grid IS NOT NULL").proj("p_grid").to_dicts():
        grids[_grid(row)].append(row["p_grid"])
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in (ClusterAssociation & asked).to_dicts():
        groups[pick(row, (*GROUP, "covariate_set_id"))].append(
            {**row, **_prefixed(adjusted.get(pick(row, own)))}
        )
    label = Names()
    rows = []
    for key in sorted(groups):
        members = groups[key]
        first = members[0]
        rows.append(
            {
                **label.of(first),
                "covariates": names[int(first["covariate_set_id"])],
                "status": worst_status([row["covariate_status"] for row in members]),
                "n_partitions": len(members),
                "n_neurons": min(int(row["n_neurons"]) for row in members),
                "omega2": mean(members, "omega2_partial"),
                "omega2_low": mean(members, "omega2_low"),
                "omega2_high": mean(members, "omega2_high"),
                "p_sessions": median(members, "p_sessions"),
                "p_sessions_bh_max": largest(members, "p_sessions_bh"),
                "p_grid": max(grids[_grid(first)], default=None),
                "population": worst_status([row.get("population_status", "waiting") for row in members]),
                "p_population": median(members, "p_population"),
                "p_population_bh_max": largest(members, "p_population_bh"),
            }
        )
    return rows


@one_at_a_time
def confounds(study: str) -> list[Row]:
    """How far do clusters follow sessions and animals? One row a method, K and fine-tuning of a frozen study.

    Raises
    ------
    ConfigError
        If the study is not frozen.
    """
    require_frozen(study)
    asked = members_of(study).proj()
    groups: dict[Key, Row] = defaultdict(lambda: defaultdict(list))
    for row in (ClusterConfound.Grouping & asked).to_dicts():
        for name in ("ami", "cramers_v_corrected"):
            groups[pick(row, GROUP)][f"{name}_{row['grouping']}"].append(row[name])
    for row in (ClusterConfound.LeftOut & asked).to_dicts():
        for name in ("share_kept", "ari", "score_correlation"):
            groups[pick(row, GROUP)][f"transfer_{name}"].append(row[name])
    label = Names()
    columns = (
        "ami_session",
        "ami_animal",
        "cramers_v_corrected_session",
        "cramers_v_corrected_animal",
        "transfer_share_kept",
        "transfer_ari",
        "transfer_score_correlation",
    )
    return [
        {
            **label.of(dict(zip(GROUP, key, strict=True))),
            **{name: average(groups[key][name]) for name in columns},
        }
        for key in sorted(groups)
    ]


def _prefixed(row: Row | None) -> Row:
    names = ("p_sessions", "p_sessions_bh", "population_status", "p_population", "p_population_bh")
    return {} if row is None else {name: row[name] for name in names}


def _grid(row: Row) -> Key:
    names = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "finetune_id", "covariate_set_id")
    return pick(row, names)
