"""Null datasets: recordings drawn from a network with surrogate readouts, to fine-tune what has no types.

A null dataset is declared like any other, before its network is trained; `NullRecordings` draws it. Networks on it
are ordinary `ModelTask` rows: each takes the core of the recordings' network of the same specification and seed as it
is, and trains its readout anew, or (`cores` 'own') trains whole, to an epoch where the recordings' networks go on from
one. From there on everything is an ordinary row, of a dataset of kind 'null'.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

import datajoint as dj
import numpy as np

from decortex import data, finetune
from decortex.config import config_hash
from decortex.errors import ConfigError, DatasetError
from decortex.evaluation.nulls import NULL_KINDS
from decortex_schemas.database import (  # noqa: F401  (foreign key)
    STAMP,
    Computation,
    Environment,
    Made,
    one_transaction,
    schema,
)
from decortex_schemas.tables.datasets import OPENERS, Dataset, load_recordings
from decortex_schemas.tables.embeddings import array_sha256
from decortex_schemas.tables.networks.network_states import NetworkState
from decortex_schemas.tables.networks.networks import (
    CORE_DONORS,
    CoreDonors,
    ModelTask,
    TrainedModel,
)
from decortex_schemas.tables.networks.stored_networks import load_network
from decortex_schemas.tables.specs import ModelSpec, NullModel, Seed, register_seeds  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import Study  # noqa: F401  (foreign key)

KIND = "null"
# Raised when the same seed would draw other responses.
DRAW_VERSION = 1

_PARENT = {"parent_dataset": "dataset", "parent_spec_id": "model_spec_id"}


@schema
class NullDataset(dj.Manual):
    """Which network of which recordings a null dataset is drawn from, and how."""

    definition = """
    # A null dataset and the network that it is drawn from
    -> Dataset
    ---
    -> ModelTask.proj(parent_dataset='dataset', parent_spec_id='model_spec_id', generator_seed='model_seed')
    -> NullModel                         # surrogate of the readout features
    -> Seed.proj(null_seed='seed')
    noise : varchar(16)                  # 'auto', 'poisson', 'gamma'
    cores : varchar(8)                   # of networks trained on it: 'kept', the recordings' networks', or 'own'
    """


@schema
class NullStudy(dj.Manual):
    """The study whose fine-tunings a study of null datasets repeats."""

    author_rights = ("INSERT", "UPDATE (null_study)")

    definition = """
    # A study of null datasets, and the study that it is the null of
    -> Study.proj(null_study='study')
    ---
    -> Study
    """


@schema
class NullRecordings(Computation):
    """The drawn responses of a null dataset."""

    runs_network = True
    memory = "recordings"

    definition = f"""
    # Responses drawn from a network with surrogate readout features
    -> NullDataset
    ---
    -> TrainedModel.proj(parent_dataset='dataset', parent_spec_id='model_spec_id', generator_seed='model_seed')
    generator_sha256 : char(64)          # checkpoint of the network
    features : <sealed_array@main>          # surrogate readout features, float32 (n_neurons, n_features)
    noise_drawn : varchar(16)            # 'poisson', 'gamma'
    dispersion : float64                 # variance over mean of a drawn response, mean over neurons
    recorded_dispersion : float64        # the same of the recording around its network
    mean_response : float64              # expected response, mean over neurons and training trials
    {STAMP}
    """

    class Session(dj.Part):
        """Drawn responses of one session."""

        definition = """
        -> master
        session : varchar(96)
        ---
        responses : <sealed_array@main>     # float32 (n_trials, n_neurons of the session)
        responses_sha256 : char(64)
        """

    @property
    def key_source(self) -> Any:
        """Null datasets whose network is trained."""
        trained = TrainedModel.proj(**_PARENT, generator_seed="model_seed")
        return NullDataset.proj() & (NullDataset & trained).proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the network's key and digest, and how to draw."""
        row = (NullDataset & key).fetch1()
        return row, (TrainedModel & generator_of(row)).fetch1("checkpoint_sha256")

    def compute(self, key: dict[str, Any], row: dict[str, Any], sha256: str) -> Made:
        """Draw surrogate features and responses."""
        draw = finetune.draw_null(
            load_network(TrainedModel & generator_of(row)),
            load_recordings(row["parent_dataset"]),
            row["null_kind"],
            seed=row["null_seed"],
            noise=row["noise"],
        )
        drawn = {
            **{name: row[name] for name in (*_PARENT, "generator_seed")},
            "generator_sha256": sha256,
            "features": draw.features,
            "noise_drawn": draw.noise,
            "dispersion": float(draw.dispersion.mean()),
            "recorded_dispersion": float(draw.recorded_dispersion.mean()),
            "mean_response": float(draw.rates.mean()),
        }
        sessions = [
            {"session": name, "responses": values, "responses_sha256": array_sha256(values)}
            for name, values in draw.responses.items()
        ]
        return Made(drawn, {"Session": sessions})

    def before_insert(self, key: dict[str, Any], made: Made) -> None:
        """Refuse new responses while networks that were trained on an earlier draw are there."""
        if len(TrainedModel & key):
            raise ConfigError(
                f"networks of null dataset {key['dataset']!r} were trained on an earlier draw of its responses: "
                f"delete them, (TrainedModel & {dict(key)!r}).delete(), and let workers train them again."
            )


def generator_of(row: dict[str, Any]) -> dict[str, Any]:
    """Key of the network that a null dataset is drawn from."""
    return {
        "dataset": row["parent_dataset"],
        "model_spec_id": row["parent_spec_id"],
        "model_seed": row["generator_seed"],
    }


def core_donor(key: dict[str, Any]) -> dict[str, Any] | None:
    """Network whose core a network of a null dataset takes.

    None for a network of recordings, one that trains its own core, and a control or fine-tuned network, which is taken
    whole from its own row.

    Returns
    -------
    dict or None
        ``key`` of `TrainedModel` and its ``checkpoint_sha256``.
    """
    found = (NullDataset & {"dataset": key["dataset"], "cores": "kept"}).to_dicts()
    if not found or len(_taken_whole() & {"model_spec_id": key["model_spec_id"]}):
        return None
    donor = donor_of(found[0], key)
    return {"key": donor, "checkpoint_sha256": (TrainedModel & donor).fetch1("checkpoint_sha256")}


def donor_of(row: Mapping[str, Any], key: Mapping[str, Any]) -> dict[str, Any]:
    """Key of the network whose core a network ``key`` of a null dataset takes: the recordings' of the same seed."""
    return {
        "dataset": row["parent_dataset"],
        "model_spec_id": int(key["model_spec_id"]),
        "model_seed": int(key["model_seed"]),
    }


def tasks_to_wait_for() -> Any:
    """Keys of `ModelTask` on null datasets that are not drawn yet, or whose core is not trained yet."""
    tasks = (ModelTask.proj() - _taken_whole()) * NullDataset.proj("parent_dataset", "cores")
    drawn = tasks & NullRecordings.proj()
    ready = drawn & [TrainedModel.proj(parent_dataset="dataset"), "cores = 'own'"]
    return tasks.proj() - ready.proj()


def _taken_whole() -> Any:
    """Specifications of controls and fine-tuned networks, which are not trained."""
    return (NetworkState & "state != 'epoch'").proj()


def declare_null_datasets(
    parent: dict[str, Any],
    model_seeds: Sequence[int],
    *,
    kind: str,
    n_surrogates: int,
    noise: str,
    cores: str = "kept",
    generators: Sequence[Mapping[str, Any]] | None = None,
) -> list[dict[str, Any]]:
    """Register the null datasets of one network specification on one dataset.

    Surrogate s is drawn from the generator at place s modulo their number, so that no core is favoured; networks of
    every seed are trained on each.

    Parameters
    ----------
    parent : dict
        ``dataset`` and ``model_spec_id`` of the networks that are trained on each.
    model_seeds : sequence of int
        Seeds of the recordings' networks; they are registered as tasks already.
    kind : {'gaussian', 't', 'permuted', 'copula'}
        Surrogate of the readout features.
    n_surrogates : int
        Null seeds 0 to n_surrogates - 1.
    noise : {'auto', 'poisson', 'gamma'}
        See `decortex.finetune.null.draw_null`.
    cores : {'kept', 'own'}
        Whether the networks take the core of the recordings' network of the same seed, or train their own.
    generators : sequence of mapping, optional
        Keys of the networks to draw from, which are registered as tasks; the recordings' own by default.

    Returns
    -------
    list of dict
        Keys of the networks to train on them.

    Raises
    ------
    ConfigError
        If the dataset is itself a null or holds no recordings, its networks are imported, or the kind is unknown.
    """
    drawn_from = [dict(one) for one in generators or [{**parent, "model_seed": seed} for seed in model_seeds]]
    check_parent(drawn_from[0], kind)
    row = (Dataset & {"dataset": parent["dataset"]}).fetch1()
    spec_hash = (ModelSpec & {"model_spec_id": drawn_from[0]["model_spec_id"]}).fetch1("spec_hash")
    register_seeds([*range(n_surrogates), *(int(one["model_seed"]) for one in drawn_from)])
    ModelTask.insert(drawn_from, skip_duplicates=True)
    keys = []
    for null_seed in range(n_surrogates):
        source = drawn_from[null_seed % len(drawn_from)]
        generator = source["model_seed"]
        recipe = {
            "null_of": row["content_sha256"],
            "order": row["neuron_order_sha256"],
            "spec": spec_hash,
            "generator_seed": generator,
            "kind": kind,
            "null_seed": null_seed,
            "noise": noise,
            "version": DRAW_VERSION,
            **({} if cores == "kept" else {"cores": cores}),
        }
        digest = config_hash(recipe)
        name = f"{KIND}-{kind}-{null_seed}-{digest[:10]}"
        null = {
            "dataset": name,
            **{column: source[original] for column, original in _PARENT.items()},
            "generator_seed": generator,
            "null_kind": kind,
            "null_seed": null_seed,
            "noise": noise,
            "cores": cores,
        }
        if not len(Dataset & {"dataset": name}):
            _register(null, row, digest)
        keys += [
            {"dataset": name, "model_spec_id": parent["model_spec_id"], "model_seed": seed}
            for seed in model_seeds
        ]
    return keys


def check_parent(parent: dict[str, Any], kind: str) -> None:
    """Refuse what no null dataset can be drawn from.

    Raises
    ------
    ConfigError
        If the dataset is itself a null or holds no recordings, its networks are imported, or the kind is unknown.
    """
    name = parent["dataset"]
    if kind not in NULL_KINDS:
        raise ConfigError(f"{kind!r} is not a null model; there are {', '.join(NULL_KINDS)}.")
    found = (Dataset & {"dataset": name}).to_arrays("kind")
    if len(found) and found[0] == KIND:
        raise ConfigError(
            f"dataset {name!r} is itself a null: a null of a null says nothing about recordings. Name the "
            "recordings it was drawn from."
        )
    trainable = ModelSpec & {"model_spec_id": parent["model_spec_id"]} & "network IS NOT NULL"
    if not len(found) or found[0] in ("neurons_only", "mapped") or not len(trainable):
        raise ConfigError(
            f"no responses can be drawn for {name!r}: a fine-tuned null needs recordings and a network that was "
            "trained on them here, not an imported readout."
        )


def _register(null: dict[str, Any], parent: dict[str, Any], digest: str) -> None:
    """Register one null dataset: the parent's sessions and neurons, of unknown type."""
    name, source = {"dataset": null["dataset"]}, {"dataset": parent["dataset"]}
    kept = {
        column: parent[column]
        for column in (
            "species",
            "n_neurons",
            "image_shape",
            "frame_rate",
            "neuron_order_sha256",
        )
    }
    with one_transaction(schema.connection):
        Dataset.insert1({**name, "kind": KIND, **kept, "content_sha256": digest})
        Dataset.Session.insert({**one, **name} for one in (Dataset.Session & source).to_dicts())
        Dataset.Neuron.insert(
            {**one, **name, "true_type": None} for one in (Dataset.Neuron & source).to_dicts()
        )
        NullDataset.insert1(null)


def open_null(row: dict[str, Any]) -> data.Recordings:
    """Open the drawn recordings of one row of `Dataset`.

    Raises
    ------
    DatasetError
        If they are not drawn yet, or the stored responses are not those that were inserted.
    """
    name = {"dataset": row["dataset"]}
    if not len(NullRecordings & name):
        raise DatasetError(
            f"the responses of null dataset {row['dataset']!r} are not drawn yet; workers do when its network is "
            "trained (table NullRecordings)."
        )
    stored = (NullRecordings.Session & name).to_arrays("responses_sha256", order_by="session")
    digests = tuple(str(digest) for digest in stored)
    return _open(
        row["dataset"], row["content_sha256"], (NullDataset & name).fetch1("parent_dataset"), digests
    )


@lru_cache(maxsize=2)
def _open(dataset: str, content: str, parent: str, digests: tuple[str, ...]) -> data.Recordings:
    responses = {}
    for one in (NullRecordings.Session & {"dataset": dataset}).to_dicts(order_by="session"):
        values = np.asarray(one["responses"].load(), dtype=np.float32)
        if array_sha256(values) != one["responses_sha256"]:
            raise DatasetError(
                f"the stored responses of null dataset {dataset!r}, session {one['session']!r}, are not those that "
                "were drawn (sha256 differs): restore the store from its backup, or delete its row of "
                "NullRecordings and the networks trained on it."
            )
        responses[str(one["session"])] = values
    drawn = config_hash({"recipe": content, "responses": list(digests)})
    return finetune.null_recordings(load_recordings(parent), responses, drawn)


OPENERS[KIND] = open_null
CORE_DONORS.append(CoreDonors(waiting=tasks_to_wait_for, donor=core_donor))
