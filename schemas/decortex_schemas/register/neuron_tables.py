"""Registering a user's own neuron x feature table: a dataset without recordings, and one imported embedding of it.

The table becomes a checkpoint like any other's whose readout alone is known, so that every table further down the chain
takes it as it takes an imported network. What needs a network or recordings is asked for by no study of it.
"""

from __future__ import annotations

import json
import tempfile
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.data import NeuronTable, TableColumns, neuron_table, read_table, same_number
from decortex.errors import InputError
from decortex.evaluation.labels import LabelColumns, NeuronLabels, match_labels
from decortex.models import checkpoints
from decortex_schemas.database import schema
from decortex_schemas.tables import (
    ModelTask,
    checkpoint_order_sha256,
    insert_label_set,
    insert_neurons,
    is_registered,
    register_imported_spec,
    register_seeds,
)
from decortex_schemas.tables.evaluation import insert_table_scores
from decortex_schemas.tables.networks import FEATURES, KNOWN, table_content

KIND = "table"
NO_SESSION = "all"  # session of neurons of which neither session nor animal is known
NO_SESSION_KIND = "none"


def register_table(
    path: Path, columns: TableColumns, *, name: str | None = None, wide: bool = False
) -> tuple[dict[str, Any], NeuronTable]:
    """Register a table of neurons and features; the same again changes nothing.

    Parameters
    ----------
    path : Path
        A file that `decortex.data.read_table` reads.
    columns : TableColumns
        Which columns are no features.
    name : str, optional
        Of the dataset and of its embedding's family (default: the file's stem).
    wide : bool
        Accept more than five features per neuron.

    Returns
    -------
    dict
        Primary key of the task.
    NeuronTable
        What was read. Features are kept in double precision and clustered, as readouts are, in single.

    Raises
    ------
    InputError
        If the table is bad, all its neurons are equal, or the name is taken by other neurons. Nothing is registered
        then.
    """
    path = Path(path)
    name = name or path.stem
    table = read_table(path, columns, wide=wide)
    with np.errstate(over="ignore"):
        beyond = ~np.isfinite(table.features.astype(np.float32)).all(axis=0)
    if beyond.any():
        raise InputError(
            f"values of {int(beyond.sum())} features of {path} are beyond {np.finfo(np.float32).max:.2g}, the largest"
            f" number of single precision, in which neurons are clustered (first:"
            f" {table.feature_names[int(np.argmax(beyond))]!r}). Give them in another unit."
        )
    for what, words, longest in (("animal", table.animals, 64), ("session", table.sessions, 96)):
        if words is not None and max(map(len, words)) > longest:
            raise InputError(
                f"names of the column of {what}s have at most {longest} characters; one here is longer."
            )
    data = table_bytes(table)
    readout = _readout(data, table)
    content = config_hash({"table": table.sha256, "columns": asdict(columns)})
    order = checkpoint_order_sha256(readout)
    key = {"dataset": name, "model_seed": 0}
    kind = (
        "session"
        if table.sessions is not None
        else "animal"
        if table.animals is not None
        else NO_SESSION_KIND
    )
    if is_registered(name, content, order):
        insert_table_scores(name, table.scores, session_kind=kind)  # tables of before scores were rows
        return {**key, "model_spec_id": register_imported_spec(name, KIND)}, table
    register_seeds([0])
    key["model_spec_id"] = register_imported_spec(name, KIND)
    labels = {label: _labels(label, words) for label, words in table.labels.items()}
    source = str(path.resolve())[-1024:]
    animals = np.full(len(table), "") if table.animals is None else table.animals
    units = _unit_ids(table)
    with schema.connection.transaction:
        row = {
            "dataset": name,
            "kind": "neurons_only",
            "content_sha256": content,
            "neuron_order_sha256": order,
        }
        neurons = [{"animal": str(a), "unit_id": int(u)} for a, u in zip(animals, units, strict=True)]
        insert_neurons(row, readout, neurons)
        ModelTask.insert1(
            {
                **key,
                "checkpoint": data,
                "checkpoint_sha256": readout.sha256,
                "source": source,
                "embedding_key": FEATURES,
                "masks": "free",
                "family": {"table_sha256": table.sha256, "columns": asdict(columns)},
            }
        )
        for label, values in labels.items():
            read = {"id": columns.ids, "label": label}
            insert_label_set(name, label, values, source=source, source_sha256=table.sha256, columns=read)
        insert_table_scores(name, table.scores, session_kind=kind)
    return key, table


def table_of(dataset: str) -> NeuronTable:
    """Read a registered table back: features, ids, scores and labels, as they were registered.

    Raises
    ------
    InputError
        If the dataset is no table.
    """
    content, known, sha256 = table_content(dataset)
    parts = {one: known[one] for one in ("ids", "animals", "sessions", "scores", "labels")}
    found = neuron_table(content[FEATURES].numpy(), **parts)
    return replace(found, feature_names=tuple(known["feature_names"]), sha256=sha256)


def table_bytes(table: NeuronTable) -> bytes:
    """Serialise a table as a checkpoint that loads with ``weights_only=True``."""
    known = {
        "ids": table.ids.tolist(),
        "animals": None if table.animals is None else table.animals.tolist(),
        "sessions": None if table.sessions is None else table.sessions.tolist(),
        "scores": {name: values.tolist() for name, values in table.scores.items()},
        "labels": {name: words.tolist() for name, words in table.labels.items()},
        "feature_names": list(table.feature_names),
    }
    text = np.frombuffer(json.dumps(known).encode(), dtype=np.uint8)
    return checkpoints.content_bytes(
        {FEATURES: torch.from_numpy(table.features.copy()), KNOWN: torch.from_numpy(text.copy())}
    )


def _readout(data: bytes, table: NeuronTable) -> checkpoints.CheckpointReadout:
    """The readout as workers will read it, with the table's sessions (else animals)."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "table.pth"
        path.write_bytes(data)
        readout = checkpoints.read_checkpoint(path, embedding_key=FEATURES)
    groups = table.sessions if table.sessions is not None else table.animals
    session = np.full(len(table), NO_SESSION) if groups is None else groups
    index = np.empty(len(table), dtype=np.int64)
    for one in np.unique(session):
        own = session == one
        index[own] = np.arange(own.sum())
    return replace(readout, sessions=tuple(dict.fromkeys(session.tolist())), session=session, index=index)


def _labels(name: str, words: NDArray[np.str_]) -> NeuronLabels:
    """Labels of a column, checked as those of any file."""
    places = pd.DataFrame({"neuron_idx": np.arange(len(words)), "unit_id": 0, "session": NO_SESSION})
    rows = pd.DataFrame({"neuron": places["neuron_idx"].astype(str), name: words})
    return match_labels(rows, places, LabelColumns(id="neuron", label=name), by="neuron_idx")


def _unit_ids(table: NeuronTable) -> NDArray[np.int64]:
    """The ids where all are whole numbers ('1.0' is one), each once in its session, else each neuron's row."""
    rows = np.arange(len(table), dtype=np.int64)
    try:
        units = np.array([int(same_number(str(one))) for one in table.ids], dtype=np.int64)
    except (ValueError, OverflowError):
        return rows
    sessions = np.full(len(table), "") if table.sessions is None else table.sessions
    once = len(set(zip(sessions.tolist(), units.tolist(), strict=True))) == len(table)
    return units if once else rows  # '007' beside '7'
