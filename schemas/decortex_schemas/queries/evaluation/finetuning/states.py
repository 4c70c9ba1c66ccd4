"""States of every fine-tuned network side by side: start, control, own labels, clustered afresh. Read only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from decortex.errors import ConfigError
from decortex.evaluation import performance
from decortex.evaluation.nulls import excess_over_null
from decortex_schemas.queries.basis import (
    Key,
    Names,
    Row,
    agreeing_by_construction,
    average,
    grouped,
    smallest_p,
)
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.queries.evaluation.finetuning.carried import carried_measures, interval_of_pairs
from decortex_schemas.tables import (
    ClusteringMethod,
    DECFinetune,
    FinetuneSpec,
    FrozenStudy,
    NetworkState,
    NullDataset,
    NullStudy,
    Performance,
    StateStudy,
    Study,
)
from decortex_schemas.tables.evaluation import (
    MAIN_METRIC,
    MAIN_TIER,
    CarriedPartition,
    ClusterQuality,
    SeedAgreement,
)

# What has a null; nobody knows types of surrogates, and their performance is of other responses.
NULL_MEASURES = ("ari_networks", "silhouette", "silhouette_moved")
# A partition's group, but for the network and what made it.
_WHERE = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "k", "finetune_id")
OWN_LABELS = "own"
# A partition that is carried along is of no fine-tuning: its control stands in the place of one.
CARRIED = "control_carried"
# In the order in which they are told.
STATES = ("start", "control", CARRIED, "fine_tuned", "fine_tuned_afresh")


@one_at_a_time
def states(study: str, key: Mapping[str, Any] | None = None) -> list[Row]:
    """Compare states of the networks that a frozen study fine-tunes.

    One row per dataset, embedding, start of a fine-tuning (its method, K and clustering seed), fine-tuning, state,
    method and null model. ``state`` is 'start' (from where fine-tuning went on), 'control' (trained as long without a
    clustering loss, clustered afresh), 'control_carried' (the control under the start's partition, carried there by
    k-means: like with like for own labels, which begin from it too), 'fine_tuned' (its own labels; ``method`` 'own')
    or 'fine_tuned_afresh'. A start that is a vote or a labelling of several networks, or a clustering up to a roll, is
    not carried.

    - ``ari_networks``: between networks trained from other seeds, over all clustering seeds of the study, with
      ``ari_networks_low`` and ``_high``, 95 % by the jackknife over **networks** (None below three), cut at what
      the index can be;
    - ``ari_truth``: with the known types;
    - ``silhouette``: in the embedding that was clustered (of own labels: that of the start, the yardstick, with
      ``silhouette_moved`` beside it), with ``silhouette_low`` and ``_high``, t over networks;
    - ``test_correlation``: mean over networks; ``correlation_change``: against the control of the same network, with
      ``correlation_low`` and ``_high``, t over networks;
    - ``by_construction``: networks were fine-tuned from one partition, or learnt from each other: own labels agree;
      ``share_changed``: share of the labels that moved, of own labels and of those carried to the control (mean over
      networks): where it is near zero, own labels agree as the start's do;
    - ``n_networks``: networks that have this state, without those whose training failed;
    - ``null``: kind of surrogate, None where the study has no frozen null (docs/science/nulls.md); then ``n_null``
      surrogates that went the same way to the same state, and of every value in `NULL_MEASURES` ``_null`` (their mean),
      ``_excess`` (above it) and ``_p``, never below 1/(n_null + 1).

    Parameters
    ----------
    study : str
        A frozen study, its states frozen too.
    key : mapping, optional
        Columns of one fine-tuned partition: rows of its dataset, network specification, embedding, start and
        fine-tuning alone.

    Raises
    ------
    ConfigError
        If the study or the one of its states is not frozen, or there is none.
    """
    require_frozen(study)
    companions = (StateStudy & {"study": study}).to_arrays("states_study")
    if not len(companions):
        raise ConfigError(
            f'no states of study {study!r} are clustered afresh: declare its plan with "states": "all" (or '
            '"controls") under another name.'
        )
    companion = str(companions[0])
    require_frozen(companion)
    measured = _measured(study) | _measured(companion)
    surrogates = _surrogates(study)
    networks = (Study.Model & {"study": study}).to_dicts()
    specs = states_by_name()
    shared_ids, moves = agreeing_by_construction(), _share_changed(study)
    names, methods = Names(), {int(r["method_id"]): r["method_name"] for r in ClusteringMethod.to_dicts()}
    finetunings = {int(row["finetune_id"]): row for row in FinetuneSpec.to_dicts()}
    none = next(i for i, row in finetunings.items() if row["kind"] == "none")
    families = sorted({(str(one["dataset"]), int(one["model_spec_id"])) for one in networks})
    parts = _trained(study)
    if key is not None:
        families = [one for one in families if one == (str(key["dataset"]), int(key["model_spec_id"]))]
        parts = [part for part in parts if all(part[name] == int(key[name]) for name in _CHOSEN)]
    found = []
    for part in parts:
        for dataset, parent in families:
            tied = finetunings[part["finetune_id"]]
            start = {"embedding_spec_id": part["embedding_spec_id"], "dataset": dataset, "k": part["k"]}
            label = names.of({**part, "dataset": dataset, "model_spec_id": parent})
            shared = {
                **{name: label[name] for name in ("dataset", "model", "embedding")},
                "start_method": methods[part["method_id"]],
                "seed": part["seed"],
                "k": part["k"],
                "finetune": label["finetune"],
                "by_construction": part["finetune_id"] in shared_ids,
            }
            control = specs.get((parent, "control", int(tied["schedule_id"]), int(tied["control_seed"])))
            moved = specs.get((parent, "fine_tuned", *(part[name] for name in _FINE_TUNED)))
            own = {**start, "model_spec_id": parent, "method_id": part["method_id"]}
            rows = [("fine_tuned", OWN_LABELS, {**own, "finetune_id": part["finetune_id"]}, moved)]
            if tied["params"].get("start", "clustering") == "clustering":
                of_control = (CARRIED, int(tied["schedule_id"]), int(tied["control_seed"]))
                rows.append(
                    (CARRIED, methods[part["method_id"]], {**own, "finetune_id": of_control}, control)
                )
            for method_id in sorted(methods):
                for state, spec in (("start", parent), ("control", control), ("fine_tuned_afresh", moved)):
                    afresh = {**start, "model_spec_id": spec, "method_id": method_id, "finetune_id": none}
                    rows.append((state, methods[method_id], afresh, spec))
            for state, method, where, spec in rows:
                group = tuple(where[name] for name in _WHERE)
                measures = measured.get(group)
                if spec is None or measures is None:
                    continue
                row = {
                    **shared,
                    "state": state,
                    "method": method,
                    "share_changed": moves.get((*group, part["seed"]))
                    if state in ("fine_tuned", CARRIED)
                    else None,
                    **measures,
                    **_performance(dataset, spec, control),
                }
                found += [{**row, **null} for null in _against_nulls(dataset, group, measures, surrogates)]
    return sorted(
        found,
        key=lambda row: (
            *(
                row[name]
                for name in ("dataset", "model", "embedding", "k", "start_method", "seed", "finetune")
            ),
            STATES.index(row["state"]),
            row["method"],
            row["null"] or "",
        ),
    )


@one_at_a_time
def has_states(study: str) -> bool:
    """Whether the states of a study's networks are clustered afresh, and the study of them is frozen.

    Examples
    --------
    >>> has_states("v4-sweep")    # doctest: +SKIP
    """
    return bool(len(FrozenStudy.proj(states_study="study") & (StateStudy & {"study": study}).proj()))


_CHOSEN = ("embedding_spec_id", "method_id", "k", "seed", "finetune_id")
_FINE_TUNED = ("embedding_spec_id", "method_id", "k", "seed", "finetune_id")


def _trained(study: str) -> list[dict[str, Any]]:
    """Embeddings and starts that a study fine-tunes, each once."""
    asked = Study.Embedding.proj() * Study.Finetuning.proj() * FinetuneSpec.proj("kind")
    columns = (*_FINE_TUNED, "method")
    rows = (asked & {"study": study} & "kind != 'none'").to_dicts(order_by="KEY")
    return [{name: row[name] if name == "method" else int(row[name]) for name in columns} for row in rows]


def _share_changed(study: str) -> dict[Key, float]:
    """Share of the labels that are not the start's, mean over networks, by group and clustering seed."""
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    moved = DECFinetune & asked.proj() & "share_changed IS NOT NULL"
    found = grouped(moved, (*_WHERE, "seed"), value="AVG(share_changed)")
    shares = {key: float(row["value"]) for key, row in found.items()}
    carried = CarriedPartition & CarriedPartition().key_source_of([study]) & "share_changed IS NOT NULL"
    by_control = (*_WHERE[:5], "schedule_id", "control_seed", "seed")
    for key, row in grouped(carried, by_control, value="AVG(share_changed)").items():
        shares[(*key[:5], (CARRIED, *key[5:7]), key[7])] = float(row["value"])
    return shares


def states_by_name() -> dict[tuple[Any, ...], int]:
    """Specifications of controls and fine-tuned networks by their parent and what made them."""
    found: dict[tuple[Any, ...], int] = {}
    for row in NetworkState.to_dicts():
        names = {"control": ("schedule_id", "control_seed"), "fine_tuned": _FINE_TUNED}.get(row["state"])
        if names is not None:
            key = (int(row["parent_spec_id"]), row["state"], *(int(row[name]) for name in names))
            found[key] = int(row["model_spec_id"])
    return found


def _measured(study: str) -> dict[Key, Row]:
    """Agreement, truth and silhouettes of every group of a study, with intervals over networks."""
    found: dict[Key, Row] = {}
    pairs: dict[Key, dict[tuple[int, int], float]] = {}
    compared = SeedAgreement.Pair & {"study": study, "pair_kind": "model_seeds"}
    by_pair = grouped(compared, (*_WHERE, "model_seed_a", "model_seed_b"), value="AVG(ari)")
    for pair, row in by_pair.items():
        pairs.setdefault(pair[:-2], {})[int(pair[-2]), int(pair[-1])] = row["value"]
    for row in (SeedAgreement & {"study": study}).to_dicts():
        key = tuple(row[name] if name == "dataset" else int(row[name]) for name in _WHERE)
        low, high = interval_of_pairs(pairs.get(key, {}))
        found[key] = {
            "n_networks": 0,
            "ari_networks": row["ari_seeds"],
            "ari_networks_low": low,
            "ari_networks_high": high,
            "ari_truth": row["ari_truth"],
            "silhouette": None,
            "silhouette_low": None,
            "silhouette_high": None,
            "silhouette_moved": None,
        }
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    for name, space in (("silhouette", "untouched"), ("silhouette_moved", "moved")):
        rows = ClusterQuality.Space & asked.proj() & {"space": space}
        by_network: dict[Key, list[float | None]] = {}
        for network, row in grouped(rows, (*_WHERE, "model_seed"), value="AVG(silhouette)").items():
            by_network.setdefault(network[:-1], []).append(row["value"])
        for key, values in by_network.items():
            if key not in found:
                continue
            found[key][name] = average(values)
            if name == "silhouette":
                low, high = performance.t_interval(np.array([one for one in values if one is not None]))
                found[key] |= {
                    "n_networks": len(values),
                    "silhouette_low": low,
                    "silhouette_high": high,
                }
    carried = carried_measures(study)
    return found | {(*key[:5], (CARRIED, *key[5:])): measures for key, measures in carried.items()}


def _performance(dataset: str, spec: int, control: int | None) -> Row:
    """Mean test correlation of one specification's networks, and its change against their controls."""
    own = _correlations(dataset, spec)
    beside = {} if control is None else _correlations(dataset, control)
    changes = np.array([own[seed] - beside[seed] for seed in sorted(own) if seed in beside])
    low, high = performance.t_interval(changes)
    return {
        "test_correlation": average(list(own.values())),
        "correlation_change": float(changes.mean()) if len(changes) else None,
        "correlation_low": low,
        "correlation_high": high,
    }


def _correlations(dataset: str, spec: int) -> dict[int, float]:
    """Mean test correlation of every network of one specification, by seed."""
    at: Mapping[str, Any] = {
        "dataset": dataset,
        "model_spec_id": spec,
        "tier": MAIN_TIER,
        "metric": MAIN_METRIC,
    }
    rows = (Performance.Score & at & "mean IS NOT NULL").proj("mean").to_dicts()
    return {int(row["model_seed"]): float(row["mean"]) for row in rows}


class _Surrogates:
    """Values of a study's frozen null, and which null datasets are of which recordings."""

    def __init__(self, measured: dict[Key, Row], datasets: list[tuple[str, str, str]]) -> None:
        self.measured = measured
        self.datasets = datasets

    def of(self, dataset: str, key: Key) -> dict[str, list[Row]]:
        """Values of the same state on every surrogate of some recordings, by kind."""
        found: dict[str, list[Row]] = {}
        for null, parent, kind in self.datasets:
            measures = self.measured.get((null, *key[1:]))
            if parent == dataset and measures is not None:
                found.setdefault(kind, []).append(measures)
        return found


def _surrogates(study: str) -> _Surrogates:
    frozen = FrozenStudy.proj()
    nulls = NullStudy & {"study": study}
    measured: dict[Key, Row] = {}
    for null in nulls.to_arrays("null_study"):
        companions = (StateStudy & {"study": null}).to_arrays("states_study")
        for name in (str(null), *(str(one) for one in companions)):
            if len(frozen & {"study": name}):
                measured |= _measured(name)
    rows = NullDataset.proj("parent_dataset", "null_kind").to_dicts()
    datasets = [(str(row["dataset"]), str(row["parent_dataset"]), str(row["null_kind"])) for row in rows]
    return _Surrogates(measured, datasets)


def _against_nulls(dataset: str, key: Key, measures: Row, surrogates: _Surrogates) -> list[Row]:
    """Columns of the null, one set per kind; one set of None where there is no null."""
    found = []
    by_kind: list[tuple[str | None, list[Row]]] = [*sorted(surrogates.of(dataset, key).items())]
    for kind, rows in by_kind or [(None, [])]:
        columns: Row = {"null": kind, "n_null": len(rows)}
        for name in NULL_MEASURES:
            excess = excess_over_null(measures[name], [row[name] for row in rows])
            columns |= {
                f"{name}_null": excess.null_mean,
                f"{name}_excess": excess.excess,
                f"{name}_p": excess.p,
                f"{name}_p_smallest": smallest_p(excess.n_null),
            }
        found.append(columns)
    return found
