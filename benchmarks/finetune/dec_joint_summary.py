"""What the rows of `dec_joint.py` say: agreement, truth and retained correlation, and the label-free choice."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from typing import Any

import numpy as np
from sklearn.metrics import adjusted_rand_score

from decortex.finetune import OWN_LABELS

# Generators that a variant is chosen by, and those that it is judged on.
CHOOSE, JUDGE = range(5), range(100, 110)
# Epochs of a whole training, where a row does not say.
EPOCHS = 30
CONSENSUS = "consensus start"
# Share of the control's validation correlation that a variant has to keep.
KEEP = 0.99

Row = dict[str, Any]


def summarise(rows: Iterable[Row]) -> list[Row]:
    """Agreement, truth and retained correlation of every state, variant and method, over generators of one role."""
    populations: dict[tuple[Any, ...], dict[int, Row]] = defaultdict(dict)
    for row in rows:
        where = ("core", "spread", "surrogate", "m", "k", "generator", "variant", "state", "method")
        key = (row.get("epochs", EPOCHS), *(row[name] for name in where))
        populations[key][row["network"]] = row
    controls = {
        (key[:7], network): row
        for key, found in populations.items()
        if key[8:] == ("control", "kmeans")
        for network, row in found.items()
    }
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for key, found in populations.items():
        epochs, core, spread, surrogate, m, k, generator, variant, state, method = key
        labels = [row["labels"] for _, row in sorted(found.items())]
        pairs = [adjusted_rand_score(a, b) for a, b in combinations(labels, 2)]
        members = list(found.items())
        retained = {
            tier: [
                row[tier] / controls[key[:7], network][tier]
                for network, row in members
                if (key[:7], network) in controls
            ]
            for tier in ("validation", "test")
        }
        role = "choose" if generator in CHOOSE else "judge"
        groups[epochs, core, spread, surrogate is not None, m, k, role, variant, state, method].append(
            {
                "agreement": _mean(pairs),
                "truth": _mean([row["truth"] for _, row in members]),
                "moved": _mean([row.get("moved") for _, row in members]),
                "retained_validation": _mean(retained["validation"]),
                "retained": _mean(retained["test"]),
                "statuses": sorted({row.get("status", "ok") for _, row in members}),
                "n_networks": len(members),
            }
        )
    names = ("epochs", "core", "spread", "surrogate", "m", "k", "role", "variant", "state", "method")
    measures = ("agreement", "truth", "moved", "retained_validation", "retained")
    return [
        {
            "part": "summary",
            **dict(zip(names, key, strict=True)),
            **{name: _mean([one[name] for one in found]) for name in measures},
            "statuses": sorted({status for one in found for status in one["statuses"]}),
            "n_networks": min(one["n_networks"] for one in found),
            "n_generators": len(found),
        }
        for key, found in sorted(groups.items(), key=lambda item: json.dumps(item[0]))
    ]


def choose(summary: Iterable[Row]) -> list[Row]:
    """Choose a variant at every core, spread, m and K from the generators to choose by, without labels."""
    groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
    for row in summary:
        own = row["method"] == OWN_LABELS and row["variant"] != CONSENSUS
        if own and row["role"] == "choose" and not row["surrogate"]:
            groups[row["epochs"], row["core"], row["spread"], row["m"], row["k"]].append(row)
    chosen = []
    for key, found in sorted(groups.items()):
        fine = [
            row
            for row in found
            if (row["retained_validation"] or 0) >= KEEP
            and row["agreement"] is not None
            and set(row["statuses"]) <= {"ok", "flat_target"}
        ]
        best = max(fine, key=lambda row: row["agreement"], default=None)
        chosen.append(
            {
                "part": "choice",
                **dict(zip(("epochs", "core", "spread", "m", "k"), key, strict=True)),
                "variant": None if best is None else best["variant"],
                "agreement": None if best is None else best["agreement"],
                "n_generators": found[0]["n_generators"],
            }
        )
    return chosen


def _mean(values: Iterable[float | None]) -> float | None:
    known = [float(value) for value in values if value is not None]
    return float(np.mean(known)) if known else None
