"""Did fine-tuning bring clusters nearer to external labels, and how well are these decoded? Read only."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from decortex.errors import ConfigError
from decortex.evaluation import performance
from decortex_schemas.queries.basis import GROUP, PARTITION, Key, Names, Row, defined, mean, middle, pick
from decortex_schemas.queries.catalogue import one_at_a_time
from decortex_schemas.queries.evaluation.finetuning import states_by_name
from decortex_schemas.tables import Embedding, FinetuneSpec, LabelSet, StateStudy, Study, require_study
from decortex_schemas.tables.evaluation import LabelAgreement, LabelDecoding

INDICES = ("ari", "ami", "purity", "balanced_accuracy", "macro_f1")
_NULLS = ("ari_null", "ami_null", "purity_null", "chance_accuracy")
_P = ("p_ari", "p_ami", "p_purity", "p_decoding")
_LABEL = ("dataset", "model", "embedding", "method", "k", "finetune", "label_set")
_DECODED = (
    "macro_f1",
    "macro_f1_low",
    "macro_f1_high",
    "balanced_accuracy",
    "balanced_accuracy_low",
    "balanced_accuracy_high",
    "chance_accuracy",
    "p_decoding",
)
STATES = ("before", "control", "fine_tuned", "fine_tuned_afresh")
PARTS = ("answers", "partitions", "decoding", "pairs")


@one_at_a_time
def against_labels(study: str, label_set: str | None = None) -> dict[str, Any]:
    """Compare a study's clusters with every label set of its datasets, before and after fine-tuning.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.
    label_set : str, optional
        One label set alone.

    Returns
    -------
    dict
        ``sentence``: the answer in words. ``n_waiting``: comparisons that are not computed yet.
        ``answers``: one row per method, K, fine-tuning and label set with the means of each index over the same
        networks and starts ``_before``, of the ``_control`` (trained as long without a clustering loss, clustered
        afresh by the same method), ``_fine_tuned`` (its own labels) and ``_fine_tuned_afresh`` (None where it is not
        clustered);
        ``ari_gain``: fine-tuned less control, mean over networks, with a 95 % t interval **over networks**
        (``_low``, ``_high``), and the ``verdict`` it gives: 'nearer', 'farther', 'no_difference', 'one_network',
        'no_control', 'waiting'.
        ``partitions``: means over all partitions without fine-tuning, by method and K: indices, what shuffling labels
        within animals leaves of them (``_null``), the median of p (a summary of dependent tests, not a test), the
        largest p (``p_ari_max``), ``shuffled_within`` ('animal', 'session') and ``n_permutations``.
        ``decoding``: labels decoded from embeddings, by state and decoder, means over networks; intervals of single
        networks are over the animals left out, and their bounds are averaged, too.
        ``pairs``: every fine-tuned partition beside its own states.

    Raises
    ------
    ConfigError
        If there is no such study, or no label set of its datasets.
    """
    sets = _label_sets(study, label_set)
    companions = [str(one) for one in (StateStudy & {"study": study}).to_arrays("states_study")]
    names = Names()
    kinds = {int(row["finetune_id"]): row for row in FinetuneSpec.to_dicts()}
    every, n_asked = _agreements([study, *companions], sets)
    rows = {(*pick(row, PARTITION), row["label_set"]): row for row in every}
    own = [row for row in every if row["study"] == study]
    specs, none = states_by_name(), next((i for i, row in kinds.items() if row["kind"] == "none"), -1)
    pairs = []
    for row in own:
        if kinds[row["finetune_id"]]["kind"] == "none":
            continue
        states = _states_of(row, kinds[row["finetune_id"]], none, specs)
        found = {
            state: rows.get((*pick(where, PARTITION), row["label_set"])) for state, where in states.items()
        }
        pairs.append(
            {
                **names.of(row),
                "label_set": row["label_set"],
                **{name: row[name] for name in ("model_seed", "seed", "n_neurons", "n_classes")},
                **{
                    f"{index}_{state}": None if one is None else one[index]
                    for index in INDICES
                    for state, one in found.items()
                },
            }
        )
    asked = _asked_answers(study, sets, names, kinds)
    answers = _answers(pairs, asked)
    return {
        "study": study,
        "sentence": headline(answers, sets),
        "n_waiting": n_asked - len(every),
        "answers": answers,
        "partitions": _partitions([r for r in own if kinds[r["finetune_id"]]["kind"] == "none"], names),
        "decoding": _decoding([study, *companions], sets, names),
        "pairs": pairs,
    }


@one_at_a_time
def label_sets(dataset: str | None = None) -> list[Row]:
    """Label sets that are registered: classes with their numbers of neurons, source, who and when; no labels.

    Parameters
    ----------
    dataset : str, optional
        Of one dataset alone.

    Examples
    --------
    >>> label_sets()    # doctest: +SKIP
    """
    chosen = LabelSet & ({} if dataset is None else {"dataset": dataset})
    found = []
    for row in chosen.to_dicts(order_by="KEY"):
        values = np.asarray(row.pop("label_values"), dtype=np.int64)
        counts = np.bincount(values[values >= 0], minlength=row["n_classes"])
        row["has_confidence"] = row.pop("confidence") is not None
        row["n_neurons"] = len(values)
        row["counts"] = {name: int(n) for name, n in zip(row["classes"], counts, strict=True)}
        found.append(row)
    return found


def _label_sets(study: str, label_set: str | None) -> list[dict[str, str]]:
    """Keys of the label sets of a study's datasets."""
    require_study(study)
    datasets = sorted({str(one) for one in (Study.Model & {"study": study}).to_arrays("dataset")})
    chosen = LabelSet.proj() & [{"dataset": one} for one in datasets]
    keys = [
        {name: str(row[name]) for name in ("dataset", "label_set")} for row in chosen.to_dicts(order_by="KEY")
    ]
    if not keys:
        raise ConfigError(
            f"no label set of {', '.join(datasets)} is registered: `decortex register labels {datasets[0]} NAME"
            " FILE.csv --id COLUMN --label COLUMN` does."
        )
    if label_set is not None:
        named = sorted({one["label_set"] for one in keys})
        keys = [one for one in keys if one["label_set"] == label_set]
        if not keys:
            raise ConfigError(f"study {study!r} has no label set {label_set!r}; it has {', '.join(named)}.")
    return keys


def _agreements(studies: Sequence[str], sets: list[dict[str, str]]) -> tuple[list[Row], int]:
    """Rows of `LabelAgreement` that the studies ask for, with the study, and how many are asked for."""
    columns = (
        "n_neurons",
        "n_classes",
        "label_status",
        "shuffled_within",
        "n_permutations",
        *INDICES,
        *_NULLS,
        *_P,
    )
    found, n = [], 0
    for study in studies:
        asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
        n += len(asked.proj() * LabelSet.proj() & sets)
        for row in (LabelAgreement.proj(*columns) & asked.proj() & sets).to_dicts(order_by="KEY"):
            ids = {name: row[name] if name in ("dataset", "method") else int(row[name]) for name in PARTITION}
            found.append({**row, **ids, "study": study})
    return found, n


def _states_of(
    row: Row, tuned: Mapping[str, Any], none: int, specs: Mapping[Key, int]
) -> dict[str, dict[str, Any]]:
    """Partitions of the states that belong to a fine-tuned one, by state."""
    whole = {name: row[name] for name in PARTITION}
    parent = row["model_spec_id"]
    control = specs.get((parent, "control", int(tuned["schedule_id"]), int(tuned["control_seed"])))
    made = ("embedding_spec_id", "method_id", "k", "seed", "finetune_id")
    moved = specs.get((parent, "fine_tuned", *pick(row, made)))
    return {
        "before": {**whole, "finetune_id": none},
        "control": {**whole, "finetune_id": none, "model_spec_id": control},
        "fine_tuned": whole,
        "fine_tuned_afresh": {**whole, "finetune_id": none, "model_spec_id": moved},
    }


def _asked_answers(
    study: str, sets: list[dict[str, str]], names: Names, kinds: Mapping[int, Row]
) -> list[Key]:
    """What a study asks for, whether computed or not: values of `_LABEL`."""
    asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj() & {"study": study}
    tuned = [row for row in asked.to_dicts() if kinds[int(row["finetune_id"])]["kind"] != "none"]
    groups = {pick(row, GROUP): row for row in tuned}
    return sorted(
        (*names.of(row).values(), one["label_set"])
        for row in groups.values()
        for one in sets
        if one["dataset"] == row["dataset"]
    )


def _answers(pairs: Sequence[Row], asked: Sequence[Key]) -> list[Row]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for pair in pairs:
        groups[pick(pair, _LABEL)].append(pair)
    rows = []
    for key in asked:
        members = groups.get(key, [])
        by_network: dict[int, list[float]] = defaultdict(list)
        for one in members:
            if one["ari_fine_tuned"] is not None and one["ari_control"] is not None:
                by_network[one["model_seed"]].append(one["ari_fine_tuned"] - one["ari_control"])
        gains = np.array([np.mean(values) for values in by_network.values()])
        low, high = performance.t_interval(gains)
        row: Row = dict(zip(_LABEL, key, strict=True)) | {
            "n_networks": len({one["model_seed"] for one in members}),
            "n_starts": len(members),
            "n_neurons": members[0]["n_neurons"] if members else None,
            "n_classes": members[0]["n_classes"] if members else None,
            **{
                f"{index}_{state}": mean(members, f"{index}_{state}") for index in INDICES for state in STATES
            },
            "ari_gain": float(gains.mean()) if len(gains) else None,
            "ari_gain_low": low,
            "ari_gain_high": high,
        }
        row["verdict"] = _verdict(row, len(gains))
        row["sentence"] = sentence(row)
        rows.append(row)
    return rows


def _verdict(row: Row, n_networks: int) -> str:
    if row["ari_fine_tuned"] is None:
        return "waiting"
    if not n_networks:
        return "no_control"
    if row["ari_gain_low"] is None or row["ari_gain_high"] is None:
        return "one_network"
    if row["ari_gain_low"] > 0:
        return "nearer"
    return "farther" if row["ari_gain_high"] < 0 else "no_difference"


_SAID = {
    "nearer": "brought the clusters nearer to the labels than its control",
    "farther": "left the clusters farther from the labels than its control",
    "no_difference": "is not shown to differ from its control",
    "one_network": "has one network only, which has no interval",
    "no_control": "has no control that was clustered, so that nothing can be said (plans with "
    '"states": "controls" cluster it)',
    "waiting": "is not compared yet: `decortex schedule` and `decortex work` do",
}


def sentence(row: Mapping[str, Any]) -> str:
    """One answer of `against_labels` in words."""
    whose = f"{row['finetune']} from {row['method']} at K = {row['k']}, labels {row['label_set']}"
    text = f"{whose}: fine-tuning {_SAID[row['verdict']]}"
    if row["verdict"] == "waiting":
        return f"{text}."
    states = [
        f"{_number(row[f'ari_{state}'])} {word}"
        for state, word in (("before", "before"), ("control", "in the control"), ("fine_tuned", "after"))
        if row[f"ari_{state}"] is not None
    ]
    text += f". ARI {', '.join(states)}"
    if row["ari_gain"] is not None:
        text += f"; after less control {row['ari_gain']:+.3f}"
    if row["ari_gain_low"] is not None:
        text += (
            f" (95 % interval over {row['n_networks']} networks {row['ari_gain_low']:+.3f} to "
            f"{row['ari_gain_high']:+.3f})"
        )
    return f"{text}."


def headline(answers: Sequence[Mapping[str, Any]], sets: Sequence[Mapping[str, Any]]) -> str:
    """Say in one sentence whether fine-tuning brought clusters nearer to the labels."""
    words = ", ".join(sorted({one["label_set"] for one in sets}))
    if not answers:
        return f"The study fine-tunes nothing; its clusters are compared with {words}."
    counts = {name: sum(one["verdict"] == name for one in answers) for name in _SAID}
    n = sum(counts[name] for name in ("nearer", "farther", "no_difference"))
    if not n:
        reasons = ", ".join(f"{counts[name]} {name}" for name in counts if counts[name])
        return f"Whether fine-tuning brought clusters nearer to {words} cannot be said yet ({reasons})."
    text = (
        f"Fine-tuning brought clusters nearer to {words} than its control in {counts['nearer']} of {n} comparisons, "
        f"farther in {counts['farther']}"
    )
    rest = len(answers) - n
    return f"{text}; {rest} more cannot be judged." if rest else f"{text}."


def _partitions(rows: Sequence[Row], names: Names) -> list[Row]:
    groups: dict[Key, list[Row]] = defaultdict(list)
    for row in rows:
        groups[(*pick(row, GROUP), row["label_set"])].append(row)
    found = []
    for members in groups.values():
        statuses = sorted({str(one["label_status"]) for one in members} - {"ok"})
        found.append(
            {
                **names.of(members[0]),
                "label_set": members[0]["label_set"],
                "n_partitions": len(members),
                "status": ", ".join(statuses) or "ok",
                **{name: members[0][name] for name in ("n_neurons", "n_classes")},
                **{name: mean(members, name) for name in (*INDICES, *_NULLS)},
                **{name: middle(defined(members, name)) for name in _P},
                "p_ari_max": max(defined(members, "p_ari"), default=None),
                "shuffled_within": members[0]["shuffled_within"],
                "n_permutations": min(int(one["n_permutations"]) for one in members),
            }
        )
    return sorted(found, key=lambda row: pick(row, _LABEL))


def _decoding(studies: Sequence[str], sets: list[dict[str, str]], names: Names) -> list[Row]:
    """Means over networks of what is decoded from embeddings, by network (with its state), embedding and decoder."""
    groups: dict[Key, list[Row]] = defaultdict(list)
    group = ("dataset", "model_spec_id", "embedding_spec_id", "label_set", "decoder")
    for study in studies:
        asked = (Study.Model.proj() * Study.Embedding.proj() & {"study": study}).proj()
        embedded = Embedding.proj() & asked
        columns = LabelDecoding.proj("left_out", "n_groups", "n_decoded")
        rows = LabelDecoding.Decoder.proj(*_DECODED) * columns & embedded & sets
        for row in rows.to_dicts(order_by="KEY"):
            groups[pick(row, group)].append(row)
    found = []
    for key, members in groups.items():
        found.append(
            {
                "dataset": key[0],
                "model": names.model(int(key[1])),
                "embedding": names.embedding(int(key[2])),
                "label_set": key[3],
                "decoder": key[4],
                "n_networks": len({int(one["model_seed"]) for one in members}),
                **{name: members[0][name] for name in ("left_out", "n_groups", "n_decoded")},
                **{name: mean(members, name) for name in _DECODED if name != "p_decoding"},
                "p_decoding": middle(defined(members, "p_decoding")),
            }
        )
    order = ("dataset", "label_set", "embedding", "model", "decoder")
    return sorted(found, key=lambda row: pick(row, order))


def _number(value: float) -> str:
    return f"{value:.3f}"
