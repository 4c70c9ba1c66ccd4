"""Joint training with a clustering loss from an early epoch: four states, every method, a choice without labels.

    python benchmarks/finetune/dec_joint.py --out dec_joint.jsonl              # the whole study: many core-hours
    python benchmarks/finetune/dec_joint.py --out dec_joint.jsonl --brief      # a line for each condition
    python benchmarks/finetune/dec_joint.py --out dec_joint.jsonl --table      # what it holds (--summary: as JSON)

Simulated cortex. For every core, spread and generator three networks are trained on the same neurons (Adam at .008,
the rate falling to .3 of itself where validation stands still, --epochs of them, the best one kept). One training gives
the state after every epoch m and the control; from each m every variant trains on jointly, core and readouts, with
optimiser, rates and batches going on. Each state is clustered by every method at equal K. Embeddings are L2-normalised
readouts, of the equivariant core their Fourier magnitudes over orientation, inside which agreement does not follow
orientation.

Two more states need no clustering loss and begin from the partition of the state after epoch m: 'control_carried',
k-means on the control from the means, there, of that partition's clusters; 'start_mixture', DECEMber's mixture by EM
on the embedding after epoch m. Variant 'december 1e-09' is the mixture that follows a training which its loss leaves
alone.

One JSON object per line, appended to --out; what stands there is not computed again. Rows of docs/results/rows are
packed (.jsonl.gz): they are read as they are, and unpacked before others are added. `part` is

- 'state': core, spread, generator, surrogate, epochs, network, m, k, variant, state, method, labels, truth (adjusted
  Rand index), validation and test (mean correlation to average), moved (share of labels that left their start), status;
- with --summary, from these rows: 'summary' (core, spread, m, k, role of the generators, variant, state, method:
  agreement of networks, truth, retained share of the control's correlation, labels moved) and 'choice': the variant
  whose own labels agree best between networks on the generators to choose by, among those that keep 99 % of the
  control's validation correlation and never collapse. No type is read for it. 'consensus start', 'shared start'
  (TURTLE) and 'mutual 1' are not among them: their networks agree by construction;
- 'gain' (also of --summary): own labels of a variant, and the control clustered afresh by k-means, against the start
  (k-means, mixture, SEC) and the control (the same) of the same generator; the fine-tuned network clustered afresh
  against the control by the same method; own labels against the states that need no loss. Mean difference over
  generators of agreement, truth and retained share, 95 % (t over generators), and the difference that such an interval
  would have left above zero with probability .8. Of one population (recordings) the agreement's interval is over
  neurons, by a jackknife of 50 blocks.

--beside FILE reads further rows with those of --out. Where there are populations with types and without of the same
generators, --brief ends with the differences of the former less those of the latter.
--surrogates N repeats all of it on N recordings without types, drawn from a network with surrogate readout features
(--only-surrogates: on these alone).
--data FOLDER takes recordings (`decortex import cowley-v4 ... FOLDER`) in the place of the simulated cortex, their
networks trained as the recipe says, the best epoch kept:

    dec_joint.py --out v4.jsonl --data FOLDER --epochs 24 --start-epochs 4 --counts 5 8 --variants "december 1"
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import torch
from dec_joint_carried import without_loss
from dec_joint_cases import CORES, EMBEDDINGS, NETWORKS, RECORDED, Case, Labels, Trained, population, recorded
from dec_joint_summary import (
    ANIMALS,
    BY_CONSTRUCTION,
    CARRIED,
    CHOOSE,
    CONSENSUS,
    EPOCHS,
    JUDGE,
    MUTUAL,
    SHARED,
    STARTS,
    Row,
    choose,
    gains,
    summarise,
)
from dec_joint_tables import brief, tables
from numpy.typing import NDArray
from sklearn.metrics import adjusted_rand_score

from decortex.data import Recordings
from decortex.evaluation.agreement import consensus, turtle
from decortex.evaluation.performance import concatenate_scores, score_neurons
from decortex.finetune import OWN_LABELS, PeerPartition, State, cluster_state, embed
from decortex.models import Network, predict

SPREADS = (0.0, 0.3, 0.5, 1.0)
START_EPOCHS = (3, 5, 10)
COUNTS = (8, 12)
# The baselines, named beforehand: k-means as every start is made, and a mixture as the authors of DECEMber fit theirs.
START: tuple[str, dict[str, Any]] = ("kmeans", {"n_init": 20})
METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "kmeans": START,
    "gmm": ("gmm", {"covariance": "diag", "reg": 1e-6, "n_init": 50}),
    "sec": ("sec", {"n_neighbors": 15}),
    "ldmgi": ("ldmgi", {"n_neighbors": 15}),
}
# Methods whose early partition is carried on without a loss: those that variants start from.
BEGINNINGS = (START[0], *STARTS.values())
JOINT = {"kind": "dec_joint", "kernel": "scaled", "beta_rule": "balanced", "tolerance": 0.0}
DECEMBER = {"kind": "december", "beta_rule": "balanced"}
VARIANTS: dict[str, dict[str, Any]] = {
    **{f"december {b:g}": {**DECEMBER, "beta": b} for b in (1e-9, 0.01, 0.1, 1.0, 10.0)},
    **{f"restarts {b:g}": {**DECEMBER, "beta": b, "restart_every": 3} for b in (0.1, 1.0, 10.0)},
    "rise 1": {**DECEMBER, "beta": 1.0, "beta_rise": 10},
    "dec_joint 1": {**JOINT, "beta": 1.0},
    "balanced 1": {**JOINT, "beta": 1.0, "target": "balanced"},
    "tell 1": {"kind": "tell", "beta_rule": "balanced", "beta": 1.0},
    "sec 1": {"kind": "sec", "beta_rule": "balanced", "beta": 1.0},
    "ldmgi 1": {"kind": "ldmgi", "beta_rule": "balanced", "beta": 1.0},
    "gmm start 1": {**DECEMBER, "beta": 1.0},
    "sec start 1": {**DECEMBER, "beta": 1.0},
    CONSENSUS: {**DECEMBER, "beta": 1.0},
    SHARED: {**DECEMBER, "beta": 1.0},
    MUTUAL: {
        "kind": "mutual",
        "kernel": "scaled",
        "beta_rule": "balanced",
        "beta": 1.0,
        "peer_seeds": list(NETWORKS),
    },
}


def correlation(network: Network, recordings: Recordings, tier: str) -> float:
    """Mean over neurons of the correlation to the average response."""
    found = predict(network, recordings, tier, device="cpu")
    parts = [score_neurons(one.responses, one.predictions, one.image_ids) for one in found.values()]
    mean = concatenate_scores(parts)["correlation_to_average"].summary.mean
    if mean is None:
        raise ValueError(f"no neuron has a defined correlation on the {tier} trials.")
    return float(mean)


def state_rows(
    case: Case, network: Network, names: Row, *, state: State, k: int, own: Labels | None = None, **more: Any
) -> list[Row]:
    """Rows of one state of one network: its own labels if it has any, and every method afresh."""
    began = time.perf_counter()
    points, truth = embed(network, EMBEDDINGS[case.core]), case.recordings.truth
    scores = {tier: correlation(network, case.recordings, tier) for tier in ("validation", "test")}
    afresh: State = "fine_tuned_afresh" if own is not None else state
    partitions = {
        (one.state, one.method): one.labels
        for one in cluster_state(points, METHODS, state=afresh, n_clusters=k, seed=0)
    }
    if own is not None:
        partitions = {(state, OWN_LABELS): own, **partitions}
    seconds = round(time.perf_counter() - began, 1)
    return [
        {
            **case.names,
            **names,
            "k": k,
            "state": which,
            "method": method,
            "labels": labels.tolist(),
            "truth": None if truth is None else float(adjusted_rand_score(truth, labels)),
            **scores,
            "seconds": seconds,
            **more,
        }
        for (which, method), labels in partitions.items()
    ]


def rows_without_loss(
    case: Case, points: NDArray[np.float64], control: Network, start: list[Row], end: list[Row]
) -> Iterator[Row]:
    """Rows of the partitions that begin from the start's and need no clustering loss."""
    early = {
        row["method"]: np.array(row["labels"], dtype=np.int16) for row in start if row["method"] in BEGINNINGS
    }
    found = without_loss(points, embed(control, EMBEDDINGS[case.core]), early)
    truth = case.recordings.truth
    for (state, method), labels in found.items():
        yield {
            **(end if state == CARRIED else start)[0],
            "state": state,
            "method": method,
            "labels": labels.tolist(),
            "truth": None if truth is None else float(adjusted_rand_score(truth, labels)),
        }


def starts_of(points: NDArray[np.float64], k: int, variants: Sequence[str]) -> dict[str, Labels]:
    """Cluster one network's embedding by the methods that variants start from, k-means first among them."""
    asked = {START[0], *(STARTS.get(variant, START[0]) for variant in variants)}
    methods = {name: METHODS[name] for name in METHODS if name in asked}
    found = cluster_state(points, methods, state="start", n_clusters=k, seed=0)
    return {one.method: one.labels for one in found}


def first_labels(
    variant: str, k: int, own: Mapping[str, Labels], everyone: Sequence[PeerPartition]
) -> Labels:
    """Partition that a variant starts from: of the network by one method, or one that all networks share."""
    if variant == CONSENSUS:
        return consensus([one.labels for one in everyone], k).labels
    if variant == SHARED:
        return turtle([one.points for one in everyone], k, seed=0).labels
    return own[STARTS.get(variant, START[0])]


def rows_of(case: Case, asked: argparse.Namespace, kept: set[str]) -> Iterator[list[Row]]:
    """Rows of one population that are not in the file, in the pieces in which they are kept."""
    epochs = {*asked.start_epochs, *asked.states_at}
    joined = {m: asked.variants if m in asked.start_epochs else [] for m in sorted(epochs)}
    missing = [
        names
        for m, variants in joined.items()
        for k in asked.counts
        for variant in ["none", *variants]
        for seed in asked.networks
        if name_of({**case.names, **(names := {"network": seed, "m": m, "k": k, "variant": variant})})
        not in kept
    ]
    needed = {names["network"] for names in missing}
    if any(names["variant"] in BY_CONSTRUCTION for names in missing):
        needed = set(asked.networks)  # these take all networks
    trained = {seed: Trained(case, seed, joined) for seed in asked.networks if seed in needed}
    controls: dict[tuple[int, int], list[Row]] = {}
    for m, variants in joined.items():
        for k in asked.counts:
            tasks = [names for names in missing if (names["m"], names["k"]) == (m, k)]
            if not tasks:
                continue
            points = {seed: embed(one.start(m), EMBEDDINGS[case.core]) for seed, one in trained.items()}
            starts = {seed: starts_of(found, k, variants) for seed, found in points.items()}
            peers = [PeerPartition(points[seed], found[START[0]]) for seed, found in starts.items()]
            for names in tasks:
                seed, variant = names["network"], names["variant"]
                one = trained[seed]
                if variant == "none":
                    if (seed, k) not in controls:
                        controls[seed, k] = state_rows(case, one.control, names, state="control", k=k)
                    afresh = state_rows(case, one.start(m), names, state="start", k=k)
                    end = [{**row, "m": m} for row in controls[seed, k]]
                    yield [*afresh, *end, *rows_without_loss(case, points[seed], one.control, afresh, end)]
                    continue
                labels = first_labels(variant, k, starts[seed], peers)
                began = time.perf_counter()
                network, result = one.tuned(m, labels, k, VARIANTS[variant], peers)
                yield state_rows(
                    case,
                    network,
                    names,
                    state="fine_tuned",
                    k=k,
                    own=result.labels,
                    moved=result.share_changed,
                    status=result.status,
                    beta=result.beta,
                    kept_epoch=result.best_epoch,
                    training_seconds=round(time.perf_counter() - began, 1),
                )


def name_of(row: Row) -> str:
    """Name of the piece of work that a row is of."""
    names = ("core", "spread", "generator", "surrogate", "network", "m", "k", "variant")
    return json.dumps(
        [*(row[name] for name in names), row.get("epochs", EPOCHS), row.get("animals", ANIMALS)]
    )


def main() -> None:
    """Compute what is missing, or say what is there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--out", type=Path, required=True, help="file of JSON lines; an interrupted run goes on"
    )
    reading = parser.add_mutually_exclusive_group()
    reading.add_argument("--summary", action="store_true", help="compute nothing; say what the file holds")
    reading.add_argument("--table", action="store_true", help="the same as Markdown, to be read")
    reading.add_argument("--brief", action="store_true", help="a line for each condition and variant")
    parser.add_argument(
        "--beside", nargs="+", type=Path, default=[], help="further files of rows that are read together"
    )
    parser.add_argument("--data", type=Path, help="folder of recordings in the place of the simulated cortex")
    parser.add_argument("--cores", nargs="+", choices=(*CORES, *RECORDED))
    parser.add_argument("--spreads", nargs="+", type=float, default=list(SPREADS))
    parser.add_argument("--generators", nargs="+", type=int, default=[*CHOOSE, *JUDGE])
    parser.add_argument("--networks", nargs="+", type=int, default=list(NETWORKS))
    parser.add_argument("--start-epochs", nargs="+", type=int, default=list(START_EPOCHS))
    parser.add_argument(
        "--states-at",
        nargs="*",
        type=int,
        default=[],
        help="further epochs whose state is clustered, not trained from",
    )
    parser.add_argument("--counts", nargs="+", type=int, default=list(COUNTS))
    parser.add_argument("--variants", nargs="+", choices=tuple(VARIANTS), default=list(VARIANTS))
    parser.add_argument("--neurons", type=int, default=240)
    parser.add_argument(
        "--animals",
        type=int,
        default=ANIMALS,
        help="neurons are shared out among them; one has a third of the trials of three",
    )
    parser.add_argument("--epochs", type=int, default=EPOCHS, help="of the whole training")
    parser.add_argument("--surrogates", type=int, default=0, help="populations without types per generator")
    parser.add_argument(
        "--only-surrogates", action="store_true", help="leave out the populations that they are drawn from"
    )
    asked = parser.parse_args()
    if asked.out.suffix == ".gz" and not (asked.brief or asked.table or asked.summary):
        parser.error(f"{asked.out} is to be read (--brief, --table, --summary): unpack it to add rows to it")
    if asked.only_surrogates and asked.surrogates < 1:
        parser.error("--only-surrogates leaves nothing to compute: give --surrogates 1 or more")
    torch.set_num_threads(1)
    if asked.beside and not (asked.brief or asked.table or asked.summary):
        parser.error("--beside is for reading: give --brief, --table or --summary, or leave it out")
    rows = [row for path in (asked.out, *asked.beside) for row in read(path)]
    if asked.table or asked.brief:
        print(brief(rows) if asked.brief else tables(rows))
        return
    if asked.summary:
        summary = summarise(rows)
        for row in [*summary, *gains(rows), *choose(summary)]:
            print(json.dumps(row, default=float), flush=True)
        return
    kept = {name_of(row) for row in rows}
    for case in cases(asked):
        for piece in rows_of(case, asked, kept):
            # One write for a piece, so that an interrupted run leaves all of it or nothing.
            with asked.out.open("a") as file:
                file.write("".join(json.dumps(row) + "\n" for row in piece))
            for row in piece:
                said = {name: value for name, value in row.items() if name != "labels"}
                print(json.dumps(said), flush=True)


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    """Make every population that is asked for, one after the other."""
    surrogates = [*([] if asked.only_surrogates else [None]), *range(asked.surrogates)]
    if asked.data is not None:
        for core, surrogate in product(asked.cores or ["v4"], surrogates):
            yield recorded(asked.data, core, surrogate=surrogate, epochs=asked.epochs)
        return
    for spread, core, generator, surrogate in product(
        asked.spreads, asked.cores or list(CORES), asked.generators, surrogates
    ):
        yield population(
            core,
            spread,
            generator,
            n_neurons=asked.neurons,
            animals=asked.animals,
            surrogate=surrogate,
            epochs=asked.epochs,
        )


def read(path: Path) -> list[Row]:
    """Rows of a file that may not be there yet, packed by gzip or not."""
    if not path.exists():
        return []
    content = path.read_bytes()
    text = (gzip.decompress(content) if path.suffix == ".gz" else content).decode()
    return [json.loads(line) for line in text.splitlines()]


if __name__ == "__main__":
    main()
