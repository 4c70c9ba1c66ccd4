"""What rows of `dec_joint.py` say of gains with types minus the same gains without, by generator."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable

import numpy as np
from dec_joint_summary import MEASURES, WHERE, Row, differences

from decortex.evaluation.performance import t_interval

CONDITION = tuple(name for name in WHERE if name != "surrogate")


def contrasts(rows: Iterable[Row]) -> list[Row]:
    """Differences of `gains` of populations with types, less those of populations without drawn from them.

    Pairs are of one generator; of several populations without types the mean. The interval is t over generators.
    """
    found: dict[tuple[object, ...], dict[bool, dict[int, list[Row]]]] = defaultdict(
        lambda: {False: defaultdict(list), True: defaultdict(list)}
    )
    for where, compared, pairs in differences(rows):
        if compared[0] == "none":
            continue
        condition = dict(zip(WHERE, where, strict=True))
        key = (*(condition[name] for name in CONDITION), *compared)
        for one, other in pairs:
            gain = {
                name: None if one[name] is None or other[name] is None else one[name] - other[name]
                for name in MEASURES
            }
            found[key][one["surrogate"] is not None][one["generator"]].append(gain)
    out = []
    for key, (with_types, without) in sorted(
        ((key, (value[False], value[True])) for key, value in found.items()),
        key=lambda item: json.dumps(item[0]),
    ):
        generators = sorted(set(with_types) & set(without))
        if len(generators) < 2:
            continue
        known = [
            np.mean([one["agreement"] for one in with_types[generator]])
            - np.mean([one["agreement"] for one in without[generator]])
            for generator in generators
        ]
        low, high = t_interval(np.array(known))
        out.append(
            {
                **dict(zip((*CONDITION, "variant", "of", "against"), key, strict=True)),
                "n_generators": len(generators),
                "agreement": float(np.mean(known)),
                "agreement_low": low,
                "agreement_high": high,
            }
        )
    return out
