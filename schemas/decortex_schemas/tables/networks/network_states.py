"""States of networks as networks: after an epoch, trained on as control, fine-tuned. Each is embedded as any other.

A state is a specification of its own (`ModelSpec`), tied here to its parent's, so that its networks are ordinary rows
of `ModelTask` and `TrainedModel`, and everything that hangs on a network hangs on every state.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datajoint as dj

from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex_schemas.database import schema
from decortex_schemas.tables.networks.stored_networks import checkpoint_columns
from decortex_schemas.tables.specs import (
    ClusterCount,  # noqa: F401  (foreign keys)
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
    Seed,  # noqa: F401
    TrainingSchedule,
    register_model_state,
)

# What names a state's source beside its parent network, by kind.
CONTROL = ("schedule_id", "control_seed")
FINE_TUNED = ("embedding_spec_id", "method", "method_id", "k", "seed", "finetune_id")
# Tables whose rows hold networks that are states of others, by kind; they rest on networks, and add themselves.
STATE_TABLES: dict[str, Any] = {}
STATE_NAMES = {"epoch": ("epoch",), "control": CONTROL, "fine_tuned": FINE_TUNED}


@schema
class NetworkState(dj.Manual):
    """Which state of which networks a specification stands for."""

    author_rights = ("INSERT", "UPDATE (model_spec_id)")

    definition = """
    # A state of the networks of another specification
    -> ModelSpec
    ---
    -> ModelSpec.proj(parent_spec_id='model_spec_id')
    state : varchar(16)                  # 'epoch', 'control', 'fine_tuned'
    epoch = null : int32                 # after so many epochs of the parent's training
    -> [nullable] TrainingSchedule
    -> [nullable] Seed.proj(control_seed='seed')
    -> [nullable] EmbeddingSpec
    -> [nullable] ClusteringMethod
    -> [nullable] ClusterCount
    -> [nullable] Seed
    -> [nullable] FinetuneSpec
    """


def register_state(parent_spec_id: int, state: str, **names: Any) -> int:
    """Register a state of a specification's networks; registering it again changes nothing.

    Parameters
    ----------
    parent_spec_id : int
        ``model_spec_id`` of the networks.
    state : {'epoch', 'control', 'fine_tuned'}
        Which.
    **names
        'epoch': ``epoch``; 'control': ``schedule_id``, ``control_seed``; 'fine_tuned': ``embedding_spec_id``,
        ``method``, ``method_id``, ``k``, ``seed``, ``finetune_id``.

    Returns
    -------
    int
        The state's own ``model_spec_id``.

    Raises
    ------
    ConfigError
        If the names are not those of the state, or the parent's training has no such epoch.
    """
    if state not in STATE_NAMES or set(names) != set(STATE_NAMES[state]):
        known = "; ".join(f"{one!r} by {','.join(by)}" for one, by in STATE_NAMES.items())
        raise ConfigError(
            f"a state of a network is {known}; got {state!r} by {', '.join(sorted(names)) or 'nothing'}."
        )
    parent = (ModelSpec & {"model_spec_id": parent_spec_id}).fetch1()
    if state == "epoch":
        _check_epoch(parent, names["epoch"])
    content = {"parent": parent["spec_hash"], "state": state, "names": _hashes(names)}
    spec_id = register_model_state(_label(parent["model_name"], state, names), parent, config_hash(content))
    row = {"model_spec_id": spec_id, "parent_spec_id": parent_spec_id, "state": state, **names}
    NetworkState.insert1(row, skip_duplicates=True)
    return spec_id


def source_of(key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Where a network comes from that is a state of another; None for any other network.

    Returns
    -------
    dict or None
        ``state``; ``epoch`` of 'epoch'; for the others ``key`` of the row that holds the network, and its
        ``checkpoint_sha256``, ``n_epochs``, ``kept_epoch`` and ``stop_reason``.
    """
    found = (NetworkState & {"model_spec_id": key["model_spec_id"]}).to_dicts()
    if not found:
        return None
    row = found[0]
    if row["state"] == "epoch":
        return {"state": "epoch", "epoch": int(row["epoch"])}
    at = parent_key(key, row)
    columns = ("checkpoint_sha256", "n_epochs", "kept_epoch", "stop_reason")
    values = (STATE_TABLES[row["state"]] & at).fetch1(*columns)
    return {"state": row["state"], "key": at, **dict(zip(columns, values, strict=True))}


def parent_key(key: Mapping[str, Any], state: Mapping[str, Any]) -> dict[str, Any]:
    """Key of the row that a network was taken from, given its own key and its `NetworkState` (not of an 'epoch')."""
    return {
        "dataset": key["dataset"],
        "model_spec_id": int(state["parent_spec_id"]),
        "model_seed": int(key["model_seed"]),
        **{name: state[name] for name in STATE_NAMES[state["state"]]},
    }


def state_row(source: Mapping[str, Any]) -> dict[str, Any]:
    """Columns of `TrainedModel` for a control or a fine-tuned network: the network as its own row holds it."""
    table = STATE_TABLES[source["state"]]
    at_kept = table.Epoch & source["key"] & {"epoch": source["kept_epoch"]}
    curve = at_kept.to_arrays("validation_correlation")
    return {
        **checkpoint_columns((table & source["key"]).fetch1("checkpoint")),
        "source_kind": "decortex",
        **{name: source[name] for name in ("n_epochs", "kept_epoch", "stop_reason")},
        "validation_correlation": float(curve[0]) if len(curve) and curve[0] is not None else None,
    }


def states_to_wait_for(every: Any) -> list[Any]:
    """Which keys of `ModelTask` among ``every`` are controls and fine-tuned networks that are not computed yet."""
    waiting = []
    for state in ("control", "fine_tuned"):
        specs = (NetworkState & {"state": state}).proj("parent_spec_id", *STATE_NAMES[state])
        tasks = every * specs
        ready = tasks & STATE_TABLES[state].proj(parent_spec_id="model_spec_id")
        waiting.append(tasks.proj() - ready.proj())
    return waiting


def _check_epoch(parent: Mapping[str, Any], epoch: int) -> None:
    if parent["training"] is None:
        raise ConfigError(
            f"{parent['model_name']!r} is imported: its training is not known, and it has no state after epoch {epoch}."
        )
    last = parent["training"]["max_epochs"]
    if not 1 <= epoch < last:
        raise ConfigError(
            f"the training of {parent['model_name']!r} has {last} epochs; it can go on jointly from epoch 1 to "
            f"{last - 1}, not from {epoch}."
        )


def _hashes(names: Mapping[str, Any]) -> dict[str, Any]:
    """Names by content: ids are this database's own."""
    tables = {
        "schedule_id": (TrainingSchedule, "schedule_hash"),
        "embedding_spec_id": (EmbeddingSpec, "spec_hash"),
        "method_id": (ClusteringMethod, "method_hash"),
        "finetune_id": (FinetuneSpec, "finetune_hash"),
    }
    return {
        name: (tables[name][0] & {name: value}).fetch1(tables[name][1]) if name in tables else value
        for name, value in names.items()
    }


def _label(parent: str, state: str, names: Mapping[str, Any]) -> str:
    if state == "epoch":
        return f"{parent}@{names['epoch']}"
    if state == "control":
        return f"{parent} control"
    finetune = (FinetuneSpec & {"finetune_id": names["finetune_id"]}).fetch1("finetune")
    return f"{parent} {finetune} K={names['k']}"
