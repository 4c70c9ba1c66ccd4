"""What does DEC cost, does it improve clustering, and where is the front of the two? Read only, as `queries` is."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import agreement, performance
from decortex_schemas.queries.basis import (
    GROUP,
    LABEL,
    PARTITION,
    START,
    Key,
    Names,
    Row,
    agreeing_by_construction,
    average,
    grouped_sql,
    mean,
    paired,
    paired_agreement,
    pick,
)
from decortex_schemas.queries.catalogue import one_at_a_time, require_frozen
from decortex_schemas.tables import DECFinetune, FinetuneSpec, asked_members
from decortex_schemas.tables.evaluation import (
    ClusterPerformance,
    ClusterQuality,
    RetainedPerformance,
)

FloatArray = NDArray[np.float64]
MEASURES = ("silhouette", "ari_networks", "epsilon2")


@one_at_a_time
def price(study: str) -> list[Row]:
    """What does fine-tuning cost? One row per method, K, fine-tuning, network and start of a frozen study.

    ``difference`` is the mean paired change of the test correlation against the equal-epoch control; its interval
    and the equivalence test (``equivalent``: the change lies within ``margin``) take sessions as the sample.
    ``by_construction``: all networks start from one partition, or learnt from each other.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [(row["finetune"], row["difference"]) for row in price("v4-sweep")]    # doctest: +SKIP
    """
    require_frozen(study)
    label = Names()
    columns = (
        "before",
        "after",
        "control",
        "n_neurons",
        "n_lost",
        "difference",
        "difference_over_sessions",
        "interval_status",
        "interval_low",
        "interval_high",
        "margin",
        "p_equivalence",
        "equivalent",
        "p_zero",
        "wild_p",
        "worst_cluster_difference",
    )
    shared = agreeing_by_construction()
    rows = (RetainedPerformance & asked_members(study)).proj(*columns).to_dicts(order_by="KEY")
    return label.in_order(
        [
            {
                **label.of(row),
                "by_construction": int(row["finetune_id"]) in shared,
                "model_seed": int(row["model_seed"]),
                "seed": int(row["seed"]),
                **{name: row[name] for name in columns},
                "equivalent": None if row["equivalent"] is None else bool(row["equivalent"]),
            }
            for row in rows
        ]
    )


@one_at_a_time
def improvement(study: str) -> dict[str, list[Row]]:
    """Does DEC improve clustering? The partition after fine-tuning beside its own start.

    Returns
    -------
    dict
        ``pairs``: one row per method, K, fine-tuning, network and start, each value before (``_before``), after
        (``_after``) and the ``_change``: silhouette in the untouched embedding, ARI with the same partition of the
        study's other networks (mean over those that were fine-tuned from the same start, on both sides), share of
        performance tied to cluster (``epsilon2``, corrected for chance). A value that one side lacks is None.
        ``summary``: one row per method, K and fine-tuning with the mean change over networks and its 95 % interval from
        the t distribution on **networks** (None with one); of ``ari_networks`` by the jackknife over networks (None
        below three), for each pair counts in two of them. A change is an improvement only above that of a fine-tuned
        null. ``by_construction`` in both: networks start from one partition, or learnt from each other, and agree so.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> rows = improvement("v4-sweep")["summary"]    # doctest: +SKIP
    >>> [(row["finetune"], row["ari_networks_change"]) for row in rows]    # doctest: +SKIP
    """
    require_frozen(study)
    tuned = DECFinetune.proj("share_changed") * FinetuneSpec.proj("kind") & asked_members(study)
    tuned = tuned & "kind != 'none'"
    measured = _measured(study, tuned)
    untouched = {int(row["finetune_id"]) for row in (FinetuneSpec & {"kind": "none"}).to_dicts()}
    before = {
        tuple(value for name, value in zip(PARTITION, key, strict=True) if name != "finetune_id"): found
        for key, found in measured.items()
        if key[PARTITION.index("finetune_id")] in untouched
    }
    label, shared = Names(), agreeing_by_construction()
    pairs = []
    for row in tuned.to_dicts(order_by="KEY"):
        start, end = before.get(pick(row, START), {}), measured[pick(row, PARTITION)]
        changes: Row = {}
        for name in MEASURES:
            # Agreement with other networks is known for both sides from the same partners.
            old = end.get("ari_networks_before") if name == "ari_networks" else start.get(name)
            new = end.get(name)
            old, new = (None, None) if old is None or new is None else (old, new)
            changes |= {
                f"{name}_before": old,
                f"{name}_after": new,
                f"{name}_change": None if old is None or new is None else new - old,
            }
        pairs.append(
            {
                **label.of(row),
                "model_seed": int(row["model_seed"]),
                "seed": int(row["seed"]),
                "share_changed": row["share_changed"],
                "by_construction": int(row["finetune_id"]) in shared,
                **changes,
            }
        )
    return {"pairs": pairs, "summary": Names().in_order(_summarise(pairs))}


@one_at_a_time
def before_and_after(study: str, key: Mapping[str, Any]) -> Row:
    """One fine-tuning of one method and K beside its starts, as `results` says it: same networks, same starts.

    Parameters
    ----------
    study : str
        A frozen study.
    key : mapping
        Columns that name the group: dataset, network, embedding, method, K and fine-tuning.

    Returns
    -------
    dict
        Columns of `PAIRED`; empty where nothing of it was fine-tuned.
    """
    group = {name: key[name] for name in GROUP}
    return paired(study, **group).get(pick(key, GROUP), {})


@one_at_a_time
def front(study: str) -> list[Row]:
    """Agreement between networks against correlation over the weight of the clustering loss (beta).

    One row per method, K and fine-tuning of a frozen study, 'none' included; ``on_front`` marks rows that no other
    row of the same method and K beats in both agreement and performance.

    Raises
    ------
    ConfigError
        If the study is not frozen.

    Examples
    --------
    >>> [row["finetune"] for row in front("v4-sweep") if row["on_front"]]    # doctest: +SKIP
    """
    require_frozen(study)
    label = Names()
    asked = asked_members(study)
    betas: dict[Key, list[float]] = defaultdict(list)
    for row in (DECFinetune & asked & "beta IS NOT NULL").proj("beta").to_dicts():
        betas[tuple(label.of(row).values())].append(row["beta"])
    costs: dict[Key, list[float]] = defaultdict(list)
    for row in (RetainedPerformance & asked & "difference IS NOT NULL").proj("difference").to_dicts():
        costs[tuple(label.of(row).values())].append(row["difference"])
    rows: dict[Key, Row] = {}
    found = improvement(study)
    starts: dict[Key, dict[tuple[int, int], float | None]] = defaultdict(dict)
    for row in found["pairs"]:
        whose = tuple(row[name] for name in LABEL[:-1])
        starts[whose][row["model_seed"], row["seed"]] = row["ari_networks_before"]
    for row in found["summary"]:
        moved = {name: row[name] for name in LABEL}
        start = {**moved, "finetune": "none"}
        key = tuple(moved.values())
        rows[tuple(start.values())] = {
            **start,
            "beta": 0.0,
            "ari_networks": average(list(starts[tuple(row[name] for name in LABEL[:-1])].values())),
            "difference": 0.0,
        }
        rows[key] = {
            **moved,
            "beta": average(betas[key]),
            "ari_networks": row["ari_networks_after"],
            "difference": average(costs[key]),
        }
    return _mark_front(Names().in_order(list(rows.values())))


def _measured(study: str, tuned: Any) -> dict[Key, Row]:
    """What a partition is judged by, for every fine-tuned partition and its start."""
    asked = asked_members(study)
    starts = tuned.proj(tuned_id="finetune_id")
    measured: dict[Key, Row] = defaultdict(dict)
    quality = ClusterQuality.Space & asked & starts & {"space": "untouched"}
    for row in quality.proj("silhouette").to_dicts():
        measured[pick(row, PARTITION)]["silhouette"] = row["silhouette"]
    for row in (ClusterPerformance & asked & starts).proj("epsilon2_corrected").to_dicts():
        measured[pick(row, PARTITION)]["epsilon2"] = row["epsilon2_corrected"]
    columns = ", ".join(f"`{name}`" for name in GROUP)
    pairs = paired_agreement(study)
    sides = " UNION ALL ".join(
        f"SELECT {columns}, model_seed_{side} AS model_seed, seed_{side} AS seed, `before`, `after` "
        f"FROM ({pairs}) AS {side}"
        for side in "ab"
    )
    means = {"ari_networks_before": "AVG(own.`before`)", "ari_networks": "AVG(own.`after`)"}
    for key, found in grouped_sql(f"({sides}) AS own", PARTITION, means).items():
        measured[key] |= found
    return measured


def _summarise(pairs: Sequence[Row]) -> list[Row]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in pairs:
        groups[tuple(row[name] for name in LABEL)].append(row)
    rows = []
    for key in sorted(groups):
        members = groups[key]
        row = dict(zip(LABEL, key, strict=True)) | {
            "n_networks": len({one["model_seed"] for one in members}),
            "by_construction": any(one["by_construction"] for one in members),
        }
        for name in MEASURES:
            means = network_means(members, f"{name}_change")
            # Each pair of networks counts in the agreement of both.
            interval = agreement.means_interval if name == "ari_networks" else performance.t_interval
            low, high = interval(means)
            row |= {
                f"{name}_before": mean(members, f"{name}_before"),
                f"{name}_after": mean(members, f"{name}_after"),
                f"{name}_change": float(means.mean()) if len(means) else None,
                f"{name}_low": low,
                f"{name}_high": high,
            }
        rows.append(row)
    return rows


def network_means(rows: Sequence[Row], column: str) -> FloatArray:
    """Mean of one column over every network's starts: a network is one sample, however many starts it has."""
    return np.array(list(_by_network(rows, column).values()))


def changes_by_network(pairs: Sequence[Row]) -> dict[Key, dict[int, float]]:
    """Change of every network's mean agreement with the others, by `LABEL` and network; from `improvement`'s pairs."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in pairs:
        groups[pick(row, LABEL)].append(row)
    return {key: _by_network(rows, "ari_networks_change") for key, rows in groups.items()}


def _by_network(rows: Sequence[Row], column: str) -> dict[int, float]:
    found: dict[int, list[float]] = defaultdict(list)
    for one in rows:
        if one[column] is not None:
            found[one["model_seed"]].append(one[column])
    return {network: float(np.mean(values)) for network, values in sorted(found.items())}


def _mark_front(rows: list[Row]) -> list[Row]:
    """Mark rows that no other of the same start beats in agreement and performance."""

    def beats(one: Row, other: Row) -> bool:
        pairs = [(one[name], other[name]) for name in ("ari_networks", "difference")]
        return all(a >= b for a, b in pairs) and any(a > b for a, b in pairs)

    marked = []
    for row in rows:
        rivals = [
            one
            for one in rows
            if all(one[name] == row[name] for name in LABEL[:-1])
            and one["ari_networks"] is not None
            and one["difference"] is not None
        ]
        defined = row["ari_networks"] is not None and row["difference"] is not None
        marked.append({**row, "on_front": not any(beats(one, row) for one in rivals) if defined else None})
    return marked
