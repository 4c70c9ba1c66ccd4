"""Datasets that a user's own table made: which they are, and what the table called its neurons and features."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from decortex.errors import ConfigError, InputError
from decortex.models import checkpoints
from decortex_schemas.tables.networks.networks import ModelTask

FEATURES, KNOWN = "features", "known"
# Said wherever something is asked of a table that it cannot give.
NO_NETWORK = "a table has no network"


def table_datasets(of: Any) -> set[str]:
    """Names of the datasets, among some, that a table of neurons and features made.

    Parameters
    ----------
    of : restriction
        Of `ModelTask`: a key, a query with ``dataset``.
    """
    rows = (ModelTask & of & {"embedding_key": FEATURES} & "family IS NOT NULL").proj("family").to_dicts()
    return {str(row["dataset"]) for row in rows if "table_sha256" in row["family"]}


def require_network(of: Any, what: str) -> None:
    """Refuse what only a network can give where all neurons come from tables.

    Parameters
    ----------
    of : restriction
        Of `ModelTask`, with ``dataset``: the networks that are asked.
    what : str
        What is asked for, as the beginning of a sentence.

    Raises
    ------
    ConfigError
        If none of them is a network.
    """
    asked = {str(one) for one in (ModelTask & of).to_arrays("dataset")}
    tables = table_datasets(of)
    if asked and asked == tables:
        raise ConfigError(
            f"{what} takes a network, and dataset {', '.join(sorted(tables))} is a table of neurons, which has none. "
            "Register the network that made the features (`decortex register model`) and declare a study of it."
        )


def table_content(dataset: str) -> tuple[Mapping[str, Any], dict[str, Any], str]:
    """Features of a registered table, what else is known of it, and the table's digest.

    Returns
    -------
    mapping, dict, str
        Tensors of the checkpoint that the table became; ``ids``, ``animals``, ``sessions``, ``scores``, ``labels`` and
        ``feature_names``; sha256 of the table.

    Raises
    ------
    InputError
        If the dataset is no table.
    """
    rows = ModelTask & {"dataset": dataset, "embedding_key": FEATURES} & "family IS NOT NULL"
    if len(rows) != 1:
        raise InputError(f"dataset {dataset!r} is no registered table; `decortex register table` makes one.")
    data, family = rows.fetch1("checkpoint", "family")
    content = checkpoints.load_tensors(data)
    if KNOWN not in content:
        raise InputError(f"dataset {dataset!r} came from a network's checkpoint, not from a table.")
    known: dict[str, Any] = json.loads(content[KNOWN].numpy().tobytes().decode())
    return content, known, str(family["table_sha256"])
