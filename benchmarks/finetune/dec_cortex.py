"""Does fine-tuning find known types better than clustering? A variant fixed without labels, judged on fresh data.

The simulated cortex with discrete types, two cores. On the generator seeds of the rule (0-4) every variant fine-tunes
two networks of the same neurons (core and readouts of the plain one, the readouts alone of the equivariant one), and
nothing there sees a type: among the variants that keep at least 99 % of the control's validation correlation and never
collapse, the one whose two partitions agree best is chosen, the smaller beta where they agree alike. It is judged on
ten other generator seeds: adjusted Rand index to the types against its own start, the equal-epoch control clustered
afresh, and k-means, GMM, SEC and LDMGI on the same untouched embedding.

One JSON object per line, appended to --out as well; what stands there is not computed again:
`part` is 'rule' (core, generator, variant, agreement, retained, status), 'choice', 'judged' (core, generator,
partition, ari, correlation) or 'difference' (the chosen variant against each partition, paired over generators,
95 % interval).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy import stats
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import ClusteringResult, fit
from decortex.data import Recordings
from decortex.data.simulation import SimulationConfig, simulate_cortex
from decortex.embeddings import EmbeddingConfig, fit_map
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.finetune import FinetuneConfig, continue_training, finetune
from decortex.finetune.losses import RotationStart
from decortex.models import RECIPES, Network, predict
from decortex.models.training import MapMemory, fit_network

CORES = {"plain": "simulated_cortex", "equivariant": "simulated_cortex_rotation"}
STARTS: dict[str, tuple[str, dict[str, Any]]] = {
    "plain": ("kmeans", {"n_init": 20}),
    "equivariant": ("rotation_tmixture", {"n_orientations": 8}),
}
BASELINES: dict[str, dict[str, Any]] = {
    "kmeans": {"n_init": 20},
    "gmm": {"covariance": "diag"},
    "sec": {},
    "ldmgi": {},
}
JOINT: dict[str, Any] = {"kind": "dec_joint", "beta_rule": "balanced", "tolerance": 0.0}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "plain": {
        "dec scaled": {"kind": "dec", "kernel": "scaled", "tolerance": 0.0},
        "dec_joint published 1": {**JOINT, "beta": 1.0},
        "dec_joint pca10 1": {**JOINT, "kernel": "pca10", "beta": 1.0},
        **{f"dec_joint scaled {b:g}": {**JOINT, "kernel": "scaled", "beta": b} for b in (0.3, 1.0, 3.0)},
        **{
            f"december {b:g}": {"kind": "december", "beta_rule": "balanced", "beta": b}
            for b in (0.3, 1.0, 3.0)
        },
    },
    "equivariant": {
        "rotation_dec scaled 1": {**JOINT, "kind": "rotation_dec", "kernel": "scaled", "beta": 1.0},
        **{
            f"rotation_december {b:g}": {"kind": "rotation_december", "beta_rule": "balanced", "beta": b}
            for b in (0.3, 1.0, 3.0)
        },
    },
}
LATE = {"max_epochs": 5, "learning_rate": 1e-3, "position_rate": 5e-4, "schedule": "constant", "keep": "last"}
# An epoch of the equivariant core takes ten times as long as one of the plain core: its readouts alone train on.
TRAINS = {"plain": "both", "equivariant": "readout"}
KEEP = 0.99
RULE_SEEDS = range(5)
JUDGED_SEEDS = range(100, 110)
OTHER_NETWORK = 1000

Row = dict[str, Any]


class Trained:
    """One network, its start and its control; fine-tuned again from the same state by every variant."""

    def __init__(self, recordings: Recordings, core: str, seed: int, n_clusters: int) -> None:
        """Train the network and its control, and cluster its embedding."""
        config, training = RECIPES[CORES[core]]()
        network = Network.build(config, recordings, seed=seed)
        fit_network(network, recordings, training, seed=seed, device="cpu")
        self.recordings, self.core, self.n_clusters = recordings, core, n_clusters
        self.schedule = training.model_copy(update={**LATE, "trains": TRAINS[core]})
        self.maps = MapMemory(2**30)
        self.state = network.checkpoint()
        self.map, self.x = clustered_space(network)
        self.start = self.cluster(self.x)
        self.control = self.network()
        continue_training(self.control, recordings, self.schedule, seed=0, maps=self.maps, device="cpu")

    def network(self) -> Network:
        """Return a fresh copy of the trained network."""
        return Network.from_checkpoint(self.state)

    def cluster(self, x: np.ndarray) -> ClusteringResult:
        """Cluster as the start is clustered."""
        method, params = STARTS[self.core]
        return fit(x, method, n_clusters=self.n_clusters, seed=0, **params)

    def tuned(self, params: Mapping[str, Any]) -> tuple[Network, np.ndarray, str]:
        """Fine-tune a copy: the network, its labels and the status."""
        rotation = None
        if self.core == "equivariant":
            shifts = np.asarray(self.start.parameters["shifts"], dtype=np.int64)
            rotation = RotationStart(STARTS[self.core][1]["n_orientations"], shifts)
        network = self.network()
        found = finetune(
            network,
            self.recordings,
            self.map,
            self.start.labels,
            FinetuneConfig.from_params(params),
            self.schedule,
            n_clusters=self.n_clusters,
            seed=0,
            rotation=rotation,
            maps=self.maps,
            device="cpu",
        )
        return network, found.labels, found.status


def clustered_space(network: Network) -> tuple[Any, np.ndarray]:
    """Return the map to the space that is clustered, and its points."""
    weights = network.embedding().detach().numpy()
    fitted = fit_map(weights, EmbeddingConfig(kind="l2"))
    return fitted, fitted.apply(weights)


def correlation(network: Network, recordings: Recordings, tier: str) -> float:
    """Mean over neurons of the correlation to the average response."""
    found = predict(network, recordings, tier, device="cpu")
    parts = [score_neurons(one.responses, one.predictions, one.image_ids) for one in found.values()]
    mean = concatenate_scores(parts)["correlation_to_average"].summary.mean
    if mean is None:
        raise ValueError(f"no neuron has a defined correlation on the {tier} trials.")
    return float(mean)


def rule_rows(core: str, generator: int, spread: float) -> list[Row]:
    """Every variant on two networks of one simulated cortex; the known types are not read."""
    config = SimulationConfig(spread=spread)
    recordings = simulate_cortex(config, generator).recordings
    seeds = (generator, generator + OTHER_NETWORK)
    pair = [Trained(recordings, core, seed, len(config.types)) for seed in seeds]
    kept = [correlation(one.control, recordings, "validation") for one in pair]
    base = {"part": "rule", "core": core, "generator": generator}
    agreement = adjusted_rand_score(pair[0].start.labels, pair[1].start.labels)
    rows = [{**base, "variant": "start", "agreement": agreement, "retained": None, "status": ["ok", "ok"]}]
    for name, params in VARIANTS[core].items():
        found = [one.tuned(params) for one in pair]
        rows.append(
            {
                **base,
                "variant": name,
                "agreement": adjusted_rand_score(found[0][1], found[1][1]),
                "retained": float(
                    np.mean(
                        [
                            correlation(network, recordings, "validation") / control
                            for (network, _, _), control in zip(found, kept, strict=True)
                        ]
                    )
                ),
                "status": [status for _, _, status in found],
            }
        )
    return rows


def choose(rows: Iterable[Row]) -> Row | None:
    """Apply the rule: the best agreement among variants that keep their performance and never collapse.

    Parameters
    ----------
    rows : iterable of dict
        Rows of `rule_rows` of one core.

    Returns
    -------
    dict or None
        Variant, mean agreement and mean share retained; None where no variant qualifies.
    """
    by_variant = defaultdict(list)
    for row in rows:
        if row["variant"] != "start":
            by_variant[row["variant"]].append(row)
    qualified = []
    for name, found in by_variant.items():
        agreement, retained = (
            float(np.mean([one[key] for one in found])) for key in ("agreement", "retained")
        )
        fine = all(status in {"ok", "flat_target"} for one in found for status in one["status"])
        if fine and retained >= KEEP:
            qualified.append({"variant": name, "agreement": agreement, "retained": retained})
    beta = {name: params.get("beta", np.inf) for one in VARIANTS.values() for name, params in one.items()}
    return min(qualified, key=lambda one: (-one["agreement"], beta[one["variant"]]), default=None)


def judged_rows(core: str, generator: int, spread: float, variant: str) -> list[Row]:
    """Score the chosen variant and everything that it is compared with against the known types."""
    config = SimulationConfig(spread=spread)
    recordings = simulate_cortex(config, generator).recordings
    one = Trained(recordings, core, generator, len(config.types))
    untouched = correlation(one.network(), recordings, "test")
    network, labels, status = one.tuned(VARIANTS[core][variant])
    control = correlation(one.control, recordings, "test")
    partitions: dict[str, tuple[np.ndarray, float, str]] = {
        "fine-tuned": (labels, correlation(network, recordings, "test"), status),
        "start": (one.start.labels, untouched, one.start.status),
        "control clustered afresh": (one.cluster(clustered_space(one.control)[1]).labels, control, "ok"),
    }
    for method, params in BASELINES.items():
        found = fit(one.x, method, n_clusters=one.n_clusters, seed=0, **params)
        partitions[method] = (found.labels, untouched, found.status)
    truth = recordings.truth
    return [
        {
            "part": "judged",
            "core": core,
            "generator": generator,
            "variant": variant,
            "partition": name,
            "ari": adjusted_rand_score(truth, found),
            "correlation": kept,
            "status": state,
        }
        for name, (found, kept, state) in partitions.items()
    ]


def differences(rows: Iterable[Row]) -> list[Row]:
    """Compare the fine-tuned partition with each other one, paired over generators."""
    values: dict[str, dict[int, Row]] = defaultdict(dict)
    for row in rows:
        values[row["partition"]][row["generator"]] = row
    tuned = values.pop("fine-tuned")
    found = []
    for name, others in values.items():
        both = sorted(set(tuned) & set(others))
        gain = np.array([tuned[one]["ari"] - others[one]["ari"] for one in both])
        half = stats.t.ppf(0.975, len(gain) - 1) * stats.sem(gain) if len(gain) > 1 else np.nan
        row = {
            "against": name,
            "ari": float(np.mean([others[one]["ari"] for one in both])),
            "fine_tuned_ari": float(np.mean([tuned[one]["ari"] for one in both])),
            "gain": float(gain.mean()),
            "low": None if np.isnan(half) else float(gain.mean() - half),
            "high": None if np.isnan(half) else float(gain.mean() + half),
            "better": int((gain > 0).sum()),
            "n": len(both),
        }
        if name == "control clustered afresh":
            kept = [tuned[one]["correlation"] / others[one]["correlation"] for one in both]
            row |= {"retained": float(np.mean(kept)), "least_retained": float(np.min(kept))}
        found.append(row)
    return found


def main() -> None:
    """Apply the rule, then judge what it chose."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file of JSON lines; an interrupted run goes on"
    )
    parser.add_argument("--spread", type=float, default=0.0, help="0: discrete types")
    parser.add_argument("--cores", nargs="+", choices=tuple(CORES), default=list(CORES))
    asked = parser.parse_args()
    torch.set_num_threads(1)
    for core in asked.cores:
        rule: list[Row] = []
        for generator in RULE_SEEDS:
            rule += _kept(asked.out, "rule", core, generator) or _keep(
                asked.out, rule_rows(core, generator, asked.spread)
            )
        chosen = choose(rule)
        _say({"part": "choice", "core": core, **(chosen or {"variant": None})})
        if chosen is None:
            continue
        judged: list[Row] = []
        for generator in JUDGED_SEEDS:
            judged += _kept(asked.out, "judged", core, generator) or _keep(
                asked.out, judged_rows(core, generator, asked.spread, chosen["variant"])
            )
        for row in differences(judged):
            _say({"part": "difference", "core": core, "variant": chosen["variant"], **row})


def _kept(path: Path, part: str, core: str, generator: int) -> list[Row]:
    if not path.exists():
        return []
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    return [row for row in rows if (row["part"], row["core"], row["generator"]) == (part, core, generator)]


def _keep(path: Path, rows: list[Row]) -> list[Row]:
    # One write for all rows of a generator, so that an interrupted run leaves none or all of them.
    with path.open("a") as file:
        file.write("".join(json.dumps(row) + "\n" for row in rows))
    for row in rows:
        _say(row)
    return rows


def _say(row: Row) -> None:
    print(
        json.dumps(
            {key: round(value, 4) if isinstance(value, float) else value for key, value in row.items()}
        ),
        flush=True,
    )


if __name__ == "__main__":
    main()
