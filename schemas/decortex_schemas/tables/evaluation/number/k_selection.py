"""The number of clusters of a frozen study: the decision, which may be none, and a person's choice beside it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import asdict
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.errors import ConfigError
from decortex.evaluation import selection
from decortex.evaluation.selection import CriterionValue, SelectionConfig
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.datasets import Dataset  # noqa: F401  (foreign keys)
from decortex_schemas.tables.evaluation.number.joint_nulls import SeedNullFit, asked_seed_nulls
from decortex_schemas.tables.evaluation.number.k_criteria import (
    SELECTION,
    VALUE_COLUMNS,
    KCriteria,
    NullFit,
    asked_criteria,
    asked_nulls,
    value_row,
)
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    ModelSpec,
    NullModel,
)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen_selection


@schema
class KSelection(Computation):
    """Which number of clusters the networks of a study support with one method, if any."""

    definition = f"""
    # Choice of the number of clusters
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    ---
    decision_k = null : int16            # null: no K is supported
    decision_reason : varchar(24)        # 'supported', or why none is
    n_networks : int32
    n_surrogates : int32                 # asked for, a null model
    config : json                        # levels and refits
    {STAMP}
    """

    class Count(dj.Part):
        """One number of clusters: supported, or what speaks against it."""

        definition = """
        -> master
        -> ClusterCount
        ---
        supported : bool
        reasons : json
        """

    class Choice(dj.Part):
        """What one criterion alone would choose."""

        definition = """
        -> master
        criterion : varchar(24)
        ---
        choice = null : int16            # null: one cluster, or nothing
        """

    class Value(dj.Part):
        """One criterion at one K: the mean over networks."""

        definition = f"""
        -> master
        criterion : varchar(24)
        at_k : int16
        ---
        {VALUE_COLUMNS}
        """

    class Excess(dj.Part):
        """One value against one null model."""

        definition = """
        -> master
        criterion : varchar(24)
        at_k : int16
        -> NullModel
        ---
        observed = null : float64
        null_mean = null : float64
        null_low = null : float64        # 2.5-percent quantile over surrogates
        null_high = null : float64
        n_surrogates : int32             # with a value
        n_used : int32                   # neurons behind each value, of the data and of the surrogates
        z = null : float64               # above 0 is better than the null, whatever the figure
        p = null : float64
        excess_status : varchar(24)
        """

    class Network(dj.Part):
        """What one network alone would decide."""

        definition = """
        -> master
        model_seed : int32
        ---
        decision_k = null : int16
        decision_reason : varchar(24)
        """

    @property
    def key_source(self) -> Any:
        """One key a combination of a frozen study that chooses K."""
        return self.asked_keys(FrozenStudy.proj() * asked_criteria())

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch values of data and surrogates; they must still be those that were frozen."""
        study = key["study"]
        check_frozen_selection(study, key)
        values = (KCriteria.Value & key & asked_criteria(study)).to_dicts(order_by="KEY")
        nulls = (NullFit.Value & key & asked_nulls(study)).to_dicts(order_by="KEY")
        asked = (Study.Null & {"study": study}).to_dicts(order_by="KEY")
        joint = (SeedNullFit.Value & key & asked_seed_nulls(study)).to_dicts(order_by="KEY")
        return values, nulls, asked, joint

    def compute(
        self,
        key: dict[str, Any],
        values: list[dict[str, Any]],
        nulls: list[dict[str, Any]],
        asked: list[dict[str, Any]],
        joint_nulls: list[dict[str, Any]],
    ) -> Made:
        """Decide over all networks, and for each alone."""
        kinds = {row["null_kind"] for row in asked}
        config = SelectionConfig.from_params(
            {
                **SELECTION.resolved(),
                "nulls": [kind for kind in SELECTION.nulls if kind in kinds],
                "n_surrogates": len({row["null_seed"] for row in asked}),
            }
        )
        networks = _by_network(values, nulls)
        joint = selection.select_jointly(list(networks.values()), config, _across(key, joint_nulls))
        alone = [
            {"model_seed": seed, **_decision_columns(selection.select_jointly([criteria], config))}
            for seed, criteria in networks.items()
        ]
        row = {
            **_decision_columns(joint),
            "n_networks": len(networks),
            "n_surrogates": config.n_surrogates,
            "config": config.resolved(),
        }
        return Made(row, {**_parts(joint), "Network": alone})


@schema
class KChoice(dj.Manual):
    """The number of clusters that a person works with, and why; beside the decision, never instead of it."""

    author_rights = ("INSERT", "DELETE")  # a person's own, which may be replaced

    definition = """
    # A person's choice of the number of clusters
    -> Study
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusteringMethod
    person : varchar(96)
    ---
    choice = null : int16                # null: none
    why : varchar(1024)
    chosen_at = CURRENT_TIMESTAMP : datetime
    """


def record_choice(group: dict[str, Any], choice: int | None, why: str, *, person: str = "") -> dict[str, Any]:
    """Record a person's choice of K beside the decision; a later one of the same person replaces it.

    Parameters
    ----------
    group : dict
        Names one row of `KSelection`: study and, where the study has several, dataset, method_id and so on.
    choice : int or None
        K, or none.
    why : str
        The reason, in words.
    person : str
        Default: the database user.

    Returns
    -------
    dict
        The row of `KChoice`.

    Raises
    ------
    ConfigError
        If no reason is given, the group does not name one choice, or K is none of the study's.
    """
    if not why.strip():
        raise ConfigError("a choice of K needs its reason in words; pass why.")
    found = (KSelection & group).proj().to_dicts()
    if len(found) != 1:
        raise ConfigError(
            f"{group} names {len(found)} choices of K, not one; `decortex best-k` shows them. Name the dataset, "
            "embedding_spec_id or method_id too where a study has several."
        )
    key = found[0]
    counts = sorted(int(row["k"]) for row in (Study.Count & {"study": key["study"]}).proj().to_dicts())
    if choice is not None and choice not in (1, *counts):
        raise ConfigError(f"K = {choice} is none of the study's: {counts}.")
    row = {
        **key,
        "person": person or str(schema.connection.get_user()),
        "choice": choice,
        "why": why.strip(),
    }
    KChoice.insert1(row, replace=True)
    return row


def _by_network(
    values: list[dict[str, Any]], nulls: list[dict[str, Any]]
) -> dict[int, selection.NetworkCriteria]:
    """Values of every network by its seed; the baseline at one cluster, which every K carries, once."""
    own: dict[int, dict[tuple[str, int], CriterionValue]] = defaultdict(dict)
    for row in values:
        own[int(row["model_seed"])].setdefault((row["criterion"], int(row["at_k"])), _value(row, row["at_k"]))
    drawn: dict[int, dict[Any, list[CriterionValue]]] = defaultdict(lambda: defaultdict(list))
    for row in nulls:
        at = (row["null_kind"], int(row["null_seed"]))
        drawn[int(row["model_seed"])][at].append(_value(row, row["k"]))
    return {
        seed: selection.NetworkCriteria(tuple(own[seed].values()), dict(drawn[seed])) for seed in sorted(own)
    }


def _across(key: dict[str, Any], nulls: list[dict[str, Any]]) -> selection.NetworkCriteria | None:
    """Agreement between the study's networks at every K, and on joint surrogates; None with a single network."""
    if not nulls:
        return None
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Method.proj() * Study.ClusteringSeed.proj()
    own = Clustering & key & (asked & {"study": key["study"]}).proj()
    rows = (own.proj("labels") & [{"k": k} for k in {int(row["at_k"]) for row in nulls}]).to_dicts(
        order_by="KEY"
    )
    found = []
    for k in sorted({int(row["k"]) for row in rows}):
        by_seed: dict[int, list[NDArray[np.int16]]] = defaultdict(list)
        for row in rows:
            if int(row["k"]) == k:
                by_seed[int(row["seed"])].append(row["labels"])
        placed = np.all([labels >= 0 for own in by_seed.values() for labels in own], axis=0)
        whole = [[labels[placed] for labels in own] for own in by_seed.values() if len(own) > 1]
        if whole:
            found.append(selection.seed_agreement(k, whole))
    drawn: dict[Any, list[CriterionValue]] = defaultdict(list)
    for row in nulls:
        drawn[row["null_kind"], int(row["null_seed"])].append(_value(row, row["at_k"]))
    return selection.NetworkCriteria(tuple(found), dict(drawn))


def _value(row: dict[str, Any], k: Any) -> CriterionValue:
    return CriterionValue(
        row["criterion"],
        int(k),
        row["value"],
        row["low"],
        row["high"],
        int(row["n_used"]),
        row["criterion_status"],
    )


def _decision_columns(found: selection.JointSelection) -> dict[str, Any]:
    return {"decision_k": found.decision.k, "decision_reason": found.decision.reason}


def _parts(found: selection.JointSelection) -> dict[str, list[dict[str, Any]]]:
    return {
        "Count": [
            {"k": one.k, "supported": one.supported, "reasons": list(one.reasons)}
            for one in found.decision.support
        ],
        "Choice": [
            {"criterion": criterion, "choice": choice} for criterion, choice in found.decision.choices.items()
        ],
        "Value": [value_row(one) for one in found.values],
        "Excess": [_excess_row(one) for one in found.excesses],
    }


def _excess_row(one: selection.Excess) -> dict[str, Any]:
    row = asdict(one)
    return {
        **{name: row[name] for name in ("criterion", "observed", "null_mean", "null_low", "null_high")},
        **{name: row[name] for name in ("n_surrogates", "n_used", "z", "p")},
        "at_k": one.k,
        "null_kind": one.kind,
        "excess_status": one.status,
    }
