"""Label sets: what others say of a dataset's neurons (types, Cre lines, layers, opto-tags). Nothing selects by them."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.errors import ConfigError, InputError
from decortex.evaluation.labels import NeuronLabels
from decortex_schemas.database import schema
from decortex_schemas.tables.datasets.datasets import Dataset, true_types

LONGEST_NAME = 64
TRUE_TYPES = "true_type"


@schema
class LabelSet(dj.Manual):
    """Labels of some or all neurons of a dataset, from outside: they judge clusters and never make or choose any."""

    definition = """
    # External labels of a dataset's neurons
    -> Dataset
    label_set : varchar(64)
    ---
    classes : json                     # names; a label is a position in them
    label_values : <blob>              # int16[n_neurons], order of Dataset.Neuron; -1: no label
    confidence = null : <blob>         # float64[n_neurons], 0 to 1; NaN: none
    min_confidence = null : float64    # labels of a smaller confidence were not taken
    n_labelled : int32
    n_classes : int16
    label_sha256 : char(64)            # of classes, labels and confidences
    neuron_order_sha256 : char(64)
    source : varchar(1024)             # file that was read
    source_sha256 : char(64)           # of its bytes; of true types: the recordings' content
    label_columns : json               # columns that were read, and what identities were compared with
    registered_by : varchar(96)
    registered_at = CURRENT_TIMESTAMP : datetime
    """


def insert_label_set(
    dataset: str,
    name: str,
    labels: NeuronLabels,
    *,
    source: str,
    source_sha256: str,
    columns: Mapping[str, Any],
) -> dict[str, Any]:
    """Insert one label set; the very same again changes nothing.

    Parameters
    ----------
    dataset : str
        A registered dataset.
    name : str
        Of the label set, for example 'cre_line'.
    labels : NeuronLabels
        Of all neurons of the dataset, in order.
    source, source_sha256 : str
        Where they come from, and its digest.
    columns : mapping
        How the source was read; ``min_confidence`` in it becomes a column of its own.

    Returns
    -------
    dict
        Key of the row.

    Raises
    ------
    ConfigError
        If there is no such dataset, the name is too long, or another label set has it.
    InputError
        If there is not one label per neuron.
    """
    if not name or len(name) > LONGEST_NAME:
        raise ConfigError(f"a label set's name has 1 to {LONGEST_NAME} characters, got {len(name)}.")
    n_neurons, order = dataset_row(dataset)
    if labels.values.shape != (n_neurons,):
        raise InputError(
            f"dataset {dataset!r} has {n_neurons} neurons, but there are {len(labels.values)} labels: one per neuron is"
            " expected, -1 where there is none."
        )
    key, digest = {"dataset": dataset, "label_set": name}, labels_digest(labels)
    known = (LabelSet & key).to_dicts()
    if known:
        if known[0]["label_sha256"] != digest:
            raise ConfigError(
                f"dataset {dataset!r} has another label set {name!r} (registered {known[0]['registered_at']} by "
                f"{known[0]['registered_by']} from {known[0]['source']}). Choose another name."
            )
        return key
    LabelSet.insert1(
        {
            **key,
            "classes": list(labels.classes),
            "label_values": labels.values.astype(np.int16),
            "confidence": labels.confidence,
            "min_confidence": columns.get("min_confidence"),
            "n_labelled": labels.n_labelled,
            "n_classes": len(labels.classes),
            "label_sha256": digest,
            "neuron_order_sha256": order,
            "source": source[-1024:],
            "source_sha256": source_sha256,
            "label_columns": {k: v for k, v in columns.items() if k != "min_confidence" and v is not None},
            "registered_by": str(schema.connection.get_user()),
        }
    )
    return key


def register_true_types(dataset: str, name: str = TRUE_TYPES) -> dict[str, Any]:
    """Make the known types of a simulated dataset a label set like any other.

    Returns
    -------
    dict
        Key of the row.

    Raises
    ------
    ConfigError
        If there is no such dataset, or nobody knows its neurons' types.
    InputError
        If all its neurons are of one type.
    """
    dataset_row(dataset)
    truth = true_types(dataset)
    if truth is None:
        raise ConfigError(
            f"nobody knows the types of the neurons of {dataset!r}: true types are those of simulated datasets. "
            "Register labels from a table."
        )
    kinds, values = np.unique(truth, return_inverse=True)
    if len(kinds) < 2:
        raise InputError(f"all neurons of {dataset!r} are of one type: there is nothing to compare.")
    labels = NeuronLabels(tuple(f"type {kind}" for kind in kinds), values.astype(np.int16))
    content = str((Dataset & {"dataset": dataset}).fetch1("content_sha256"))
    source = "the types that the simulation drew"
    return insert_label_set(
        dataset, name, labels, source=source, source_sha256=content, columns={"label": "true_type"}
    )


def dataset_row(dataset: str) -> tuple[int, str]:
    """Number of neurons of a dataset, and the digest of their order.

    Raises
    ------
    ConfigError
        If there is no such dataset.
    """
    found = (Dataset & {"dataset": dataset}).proj("n_neurons", "neuron_order_sha256").to_dicts()
    if not found:
        known = ", ".join(sorted(str(one) for one in Dataset().to_arrays("dataset"))) or "none"
        raise ConfigError(f"there is no dataset {dataset!r}; registered are: {known}.")
    return int(found[0]["n_neurons"]), str(found[0]["neuron_order_sha256"])


def labels_digest(labels: NeuronLabels) -> str:
    """Digest of classes, labels and confidences."""
    arrays = [labels.values.astype("<i2")]
    if labels.confidence is not None:
        arrays.append(labels.confidence.astype("<f8"))
    digests = [hashlib.sha256(one.tobytes()).hexdigest() for one in arrays]
    return config_hash({"classes": list(labels.classes), "arrays": digests})


def labels_of(key: Mapping[str, Any]) -> NDArray[np.int64]:
    """Class of every neuron in one label set, as positions in its classes; -1: no label."""
    own = {name: key[name] for name in ("dataset", "label_set")}
    values: NDArray[np.int64] = np.asarray((LabelSet & own).fetch1("label_values"), dtype=np.int64)
    return values
