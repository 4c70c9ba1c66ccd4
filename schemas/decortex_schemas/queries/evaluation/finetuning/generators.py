"""States over several datasets or generators: means, paired differences, and what would have been detected."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any

import numpy as np

from decortex.evaluation import agreement, performance
from decortex_schemas.queries.basis import Key, Row, average
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.queries.evaluation.finetuning.states import CARRIED, OWN_LABELS, STATES, states

MEASURES = ("ari_networks", "ari_truth")
# What a state is compared with, by the ending of the column: clustered afresh, or begun from the start's partition.
BASELINES = {"gain": "control", "over_carried": CARRIED}
_START = ("model", "embedding", "start_method", "seed", "k", "finetune")
_ROW = (*_START, "state", "method")
_AVERAGED = (
    "ari_networks",
    "ari_truth",
    "share_changed",
    "silhouette",
    "correlation_change",
    "ari_networks_excess",
)


@one_at_a_time
def generators(study: str) -> list[Row]:
    """Compare the states of a frozen study over its datasets, which are the sample.

    Parameters
    ----------
    study : str
        A frozen study of several datasets, its states frozen too (`states`).

    Returns
    -------
    list of dict
        One row per network specification, embedding, start, fine-tuning, state and method; see `over_generators`.

    Raises
    ------
    ConfigError
        If the study or the one of its states is not frozen, or there is none.

    Examples
    --------
    >>> [row["ari_truth_gain"] for row in generators("dec-judge")]    # doctest: +SKIP
    """
    return over_generators(states(study))


def over_generators(rows: Sequence[Row]) -> list[Row]:
    """Average rows of `states` over datasets, and pair them with the control clustered afresh by the start's method.

    Parameters
    ----------
    rows : sequence of dict
        Of `states`; one row of several null models counts once.

    Returns
    -------
    list of dict
        ``n_generators``; means over datasets of agreement between networks, agreement with known types, labels moved,
        silhouette, change of the correlation and excess over the null (``ari_networks_excess``); ``correlation_low``
        and ``_high``. Of every value in `MEASURES` ``_gain``: mean of the differences within datasets from the control
        clustered afresh by the method that the fine-tuning starts from (the baseline named beforehand), with
        ``_gain_low`` and ``_gain_high`` (t over datasets, None below two), ``_gain_detectable``: the mean that such an
        interval would have left above zero with probability .8. ``_over_carried``, with the same endings, is the
        difference from the start's partition carried to the control, in which both begin from the same one. `seed` is
        the clustering's.
    """
    once = {(row["dataset"], *(row[name] for name in _ROW)): row for row in reversed(rows)}
    groups: dict[Key, list[Row]] = defaultdict(list)
    for key, row in sorted(once.items(), key=lambda item: str(item[0])):
        groups[key[1:]].append(row)
    found = []
    for key, members in groups.items():
        changes = _known([row["correlation_change"] for row in members])
        low, high = performance.t_interval(changes)
        out: Row = {
            **dict(zip(_ROW, key, strict=True)),
            "n_generators": len(members),
            "n_networks": min(row["n_networks"] for row in members),
            **{name: average([row[name] for row in members]) for name in _AVERAGED},
            "correlation_low": low,
            "correlation_high": high,
        }
        for name in MEASURES:
            for ending, state in BASELINES.items():
                pairs = [(row[name], _baseline(once, row, name, state)) for row in members]
                gains = _known([None if a is None or b is None else a - b for a, b in pairs])
                own_low, own_high = performance.t_interval(gains)
                column = f"{name}_{ending}"
                out |= {
                    column: float(gains.mean()) if len(gains) else None,
                    f"{column}_low": own_low,
                    f"{column}_high": own_high,
                    f"{column}_detectable": None
                    if len(gains) < 2
                    else agreement.detectable_effect(float(gains.std(ddof=1)), len(gains)),
                }
        found.append(out)
    return sorted(
        found,
        key=lambda row: (
            *(str(row[name]) for name in ("model", "embedding", "start_method")),
            row["k"],
            row["finetune"],
            STATES.index(row["state"]),
            row["method"] != OWN_LABELS,
            row["method"],
        ),
    )


def _baseline(rows: dict[Key, Row], row: Row, name: str, state: str) -> Any:
    """Measure of a state without fine-tuning of the same dataset, by the method of the start."""
    baseline = {**row, "state": state, "method": row["start_method"]}
    there = rows.get((row["dataset"], *(baseline[column] for column in _ROW)))
    return None if there is None else there[name]


def _known(values: Sequence[float | None]) -> Any:
    return np.array([value for value in values if value is not None], dtype=np.float64)
