"""Is predictability tied to cluster, and are clusters sessions in disguise? Read only, as `queries` is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

import numpy as np

from decortex_schemas.queries.basis import (
    GROUP,
    Key,
    Names,
    Row,
    defined_values,
    grouped,
    middle,
    pick,
    smallest_p,
    values,
)
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen, worst_status
from decortex_schemas.tables import CovariateSet, Dataset, Study, asked_members
from decortex_schemas.tables.evaluation import (
    AdjustedPValue,
    ClusterAssociation,
    ClusterConfound,
    GridAssociation,
    RecordingSummary,
)

_GRID = (
    "dataset",
    "model_spec_id",
    "embedding_spec_id",
    "method_id",
    "finetune_id",
    "covariate_set_id",
)


@one_at_a_time
def predictability(study: str) -> list[Row]:
    """Is predictability tied to cluster? One row per method, K, fine-tuning and set of covariates of a frozen study.

    Effects are means over the study's partitions of that row (networks and clustering seeds), p-values medians
    with the largest beside them: partitions of the same neurons are no independent samples. ``p_grid`` is the
    largest over networks of the one p for all K of the row's method.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [(row["method"], row["k"], row["omega2"]) for row in predictability("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    names = {int(row["covariate_set_id"]): row["covariate_set"] for row in CovariateSet.to_dicts()}
    own = (*GROUP, "covariate_set_id")
    tests = grouped(
        AdjustedPValue.Partition & {"study": study},
        own,
        n="COUNT(*)",
        population=values("population_status"),
        p_sessions=values("p_sessions"),
        p_sessions_bh_max="MAX(p_sessions_bh)",
        p_population=values("p_population"),
        p_population_bh_max="MAX(p_population_bh)",
    )
    grids = grouped(
        GridAssociation & {"study": study},
        _GRID,
        p_grid="MAX(p_grid)",
        n_permutations="MIN(n_permutations)",
    )
    compared = grouped(
        ClusterAssociation & asked_members(study),
        own,
        n="COUNT(*)",
        statuses=values("covariate_status"),
        n_neurons="MIN(n_neurons)",
        omega2="AVG(omega2_partial)",
        omega2_low="AVG(omega2_low)",
        omega2_high="AVG(omega2_high)",
    )
    label = Names()
    rows = []
    for key, found in compared.items():
        first = dict(zip(own, key, strict=True))
        test = tests.get(key, {"n": 0, "population": []})
        grid = grids.get(pick(first, _GRID), {})
        smallest = smallest_p(grid.get("n_permutations"))
        waiting = ["waiting"] * max(found["n"] - test["n"], 0)
        rows.append(
            {
                **label.of(first),
                "covariates": names[int(first["covariate_set_id"])],
                "status": worst_status(found["statuses"]),
                "n_partitions": found["n"],
                "n_neurons": int(found["n_neurons"]),
                "omega2": found["omega2"],
                "omega2_low": found["omega2_low"],
                "omega2_high": found["omega2_high"],
                "p_sessions": middle(defined_values(test, "p_sessions")),
                "p_sessions_bh_max": test.get("p_sessions_bh_max"),
                "p_grid": grid.get("p_grid"),
                **{f"{name}_smallest": smallest for name in ("p_sessions", "p_sessions_bh_max", "p_grid")},
                "population": worst_status(test["population"] + waiting),
                "p_population": middle(defined_values(test, "p_population")),
                "p_population_bh_max": test.get("p_population_bh_max"),
            }
        )
    return label.in_order(rows)


@one_at_a_time
def confounds(study: str) -> list[Row]:
    """How far do clusters follow sessions and animals? One row per method, K and fine-tuning of a frozen study.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [(row["method"], row["k"], row["ami_animal"]) for row in confounds("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    asked = asked_members(study)
    groups: dict[Key, Row] = defaultdict(dict)
    names = ("ami", "cramers_v_corrected")
    of_grouping = grouped(
        ClusterConfound.Grouping & asked, (*GROUP, "grouping"), **{name: f"AVG({name})" for name in names}
    )
    for key, found in of_grouping.items():
        groups[key[:-1]] |= {f"{name}_{key[-1]}": found[name] for name in names}
    moved = ("share_kept", "ari", "score_correlation")
    left_out = grouped(
        ClusterConfound.LeftOut & asked, GROUP, **{f"transfer_{name}": f"AVG({name})" for name in moved}
    )
    for key, found in left_out.items():
        groups[key] |= found
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
    return label.in_order(
        [
            {
                **label.of(dict(zip(GROUP, key, strict=True))),
                **{name: groups[key].get(name) for name in columns},
            }
            for key in sorted(groups)
        ]
    )


@one_at_a_time
def population_tests(study: str, group: Mapping[str, Any]) -> list[Row]:
    """The population's test of one group of partitions, one row per set of covariates and kind of unit.

    Parameters
    ----------
    study : str
        A frozen study.
    group : mapping
        Columns of the group: dataset, model_spec_id, embedding_spec_id, method_id, k, finetune_id.

    Returns
    -------
    list of dict
        ``covariates``, ``unit_kind`` ('animal' or 'session'), ``n_units`` (the fewest), ``n_partitions``, ``status``
        ('ok', or why there is no answer), ``p_median`` and ``p_max`` over the partitions (None unless all have one).

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> from decortex_schemas import queries    # doctest: +SKIP
    >>> population_tests("v4-sweep", queries.reference("v4-sweep"))    # doctest: +SKIP
    """
    require_frozen(study)
    names = {int(row["covariate_set_id"]): row["covariate_set"] for row in CovariateSet.to_dicts()}
    found = grouped(
        ClusterAssociation.Population & asked_members(study) & dict(group),
        ("covariate_set_id", "unit_kind"),
        n_partitions="COUNT(*)",
        n_units="MIN(n_units)",
        statuses=values("population_status"),
        ps=values("p"),
    )
    rows = []
    for (covariates, unit), one in found.items():
        ps = defined_values(one, "ps")
        whole = len(ps) == one["n_partitions"]
        rows.append(
            {
                "covariates": names[int(covariates)],
                "unit_kind": unit,
                "n_units": int(one["n_units"]),
                "n_partitions": int(one["n_partitions"]),
                "status": worst_status(one["statuses"]),
                "p_median": middle(ps) if whole else None,
                "p_max": max(ps) if whole else None,
            }
        )
    return rows


@one_at_a_time
def recordings(study: str) -> list[Row]:
    """What scores and covariates of a study rest on: one row per dataset whose recordings were read.

    Returns
    -------
    list of dict
        ``dataset``, ``n_neurons``, ``n_recorded`` (neurons with a mean response), ``mean_response``, ``reliability``
        (Spearman-Brown, mean over ``n_reliability`` neurons that have it), ``n_test_images``, ``n_shared_images`` (test
        images that some session shows for training or validation too).

    Examples
    --------
    >>> [row["n_neurons"] for row in recordings("v4-sweep")]    # doctest: +SKIP
    """
    asked = RecordingSummary & (Study.Model & {"study": study}).proj()
    rows = []
    for row in (asked * Dataset.proj("n_neurons")).to_dicts(order_by="dataset"):
        response, reliable = (
            row[name][np.isfinite(row[name])] for name in ("mean_response", "spearman_brown")
        )
        rows.append(
            {
                "dataset": row["dataset"],
                "n_neurons": int(row["n_neurons"]),
                "n_recorded": len(response),
                "mean_response": float(response.mean()) if len(response) else None,
                "reliability": float(reliable.mean()) if len(reliable) else None,
                "n_reliability": len(reliable),
                "n_test_images": int(row["n_test_images"]),
                "n_shared_images": int(row["n_shared_images"]),
            }
        )
    return rows
