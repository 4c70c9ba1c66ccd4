"""Start partitions carried to the controls of a study: agreement of networks, truth and silhouette. Read only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from itertools import combinations
from typing import Any

import numpy as np

from decortex.errors import InputError
from decortex.evaluation import agreement, performance
from decortex_schemas.queries.basis import Key, Row, average
from decortex_schemas.tables.evaluation import CarriedPartition

# Start and control: what the partitions of several networks and clustering seeds share.
_GROUP = ("dataset", "model_spec_id", "embedding_spec_id", "method_id", "k", "schedule_id", "control_seed")
# Network, clustering seed.
_Member = tuple[int, int]


def carried_measures(study: str) -> dict[Key, Row]:
    """Measures of every start that a study's fine-tunings have, carried to their controls.

    Parameters
    ----------
    study : str
        A study, or the one of its surrogates. A start of which a partition is not carried yet is left out: what is
        compared with it is of all networks.

    Returns
    -------
    dict
        By dataset, network specification, embedding, method, K, schedule and seed of the control: ``n_networks``,
        ``ari_networks`` over pairs of networks at equal clustering seed, with ``_low`` and ``_high`` (jackknife over
        networks), ``ari_truth``, ``silhouette`` in the control's embedding with ``_low`` and ``_high`` (t over
        networks).
    """
    asked = CarriedPartition().key_source_of([study])
    missing = {_group(key) for key in (asked - CarriedPartition.proj()).to_dicts()}
    groups: dict[Key, dict[_Member, Row]] = defaultdict(dict)
    columns = ("labels", "silhouette", "ari_truth")
    for row in (CarriedPartition & asked).proj(*columns).to_dicts(order_by="KEY"):
        groups[_group(row)][int(row["model_seed"]), int(row["seed"])] = row
    return {key: _measures(rows) for key, rows in groups.items() if key not in missing}


def _group(row: Mapping[str, Any]) -> Key:
    return tuple(row[name] if name == "dataset" else int(row[name]) for name in _GROUP)


def _measures(rows: Mapping[_Member, Row]) -> Row:
    """Measures of one start's partitions of several networks and clustering seeds."""
    by_pair: dict[tuple[int, int], list[float | None]] = defaultdict(list)
    for (one, seed), (other, second) in combinations(sorted(rows), 2):
        if one != other and seed == second:
            labels = [rows[network, seed]["labels"] for network in (one, other)]
            value = float(agreement.rand_matrix(labels)[0, 1])
            by_pair[one, other].append(value if np.isfinite(value) else None)
    pairs = {pair: mean for pair, values in by_pair.items() if (mean := average(values)) is not None}
    low, high = interval_of_pairs(pairs)
    networks: dict[int, list[float | None]] = defaultdict(list)
    for (network, _), row in rows.items():
        networks[network].append(row["silhouette"])
    silhouettes = [mean for values in networks.values() if (mean := average(values)) is not None]
    silhouette_low, silhouette_high = performance.t_interval(np.array(silhouettes, dtype=np.float64))
    return {
        "n_networks": len(networks),
        "ari_networks": average([value for values in by_pair.values() for value in values]),
        "ari_networks_low": low,
        "ari_networks_high": high,
        "ari_truth": average([row["ari_truth"] for row in rows.values()]),
        "silhouette": average(silhouettes),
        "silhouette_low": silhouette_low,
        "silhouette_high": silhouette_high,
        "silhouette_moved": None,
    }


def interval_of_pairs(pairs: dict[tuple[int, int], float]) -> tuple[float | None, float | None]:
    """Jackknife interval over networks of an agreement; (None, None) where a pair of networks is missing."""
    try:
        return agreement.pairs_interval(pairs, bounds=agreement.ARI_BOUNDS)
    except InputError:  # a network failed under some clustering seeds: no balanced sample of networks
        return None, None
