"""Registering trained checkpoints: everything is checked first, then all rows are inserted, or none."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex import data as data_sources
from decortex import models
from decortex.config import config_hash
from decortex.errors import CheckpointError, ConfigError, DatasetError
from decortex.models import checkpoints
from decortex_schemas.database import schema
from decortex_schemas.register.checkpoint_checks import check_embedding, check_name, known_task
from decortex_schemas.tables import (
    OWN_KIND,
    Dataset,
    ModelTask,
    build_task,
    checkpoint_order_sha256,
    insert_neurons,
    rebuild_task,
    register_imported_spec,
    register_seeds,
)

_OF_A_CHECKPOINT = ("neurons_only", "mapped", OWN_KIND)


@dataclass(frozen=True)
class ImportOptions:
    """What a registrant says about a checkpoint beside its file.

    Parameters
    ----------
    dataset : str, optional
        Registered dataset that recorded these neurons. Default: the checkpoint's own neurons become a dataset
        without recordings, named like the family.
    name : str, optional
        Name of the model family (default: the file's stem).
    seed : int
        The seed it was trained with, to tell members of a family apart.
    state_dict : str, optional
        Dotted path of the state dict to take, where the file holds several.
    embedding_key : str, optional
        Dotted path of the (n_neurons, n_features) tensor, where the readout is not a known one.
    mask_key : str, optional
        Dotted path of the masks (n_neurons, ...) that multiply it, where their sign is free: every neuron is
        turned so that its mask's sum is not negative.
    masks : {'free', 'normalised'}, optional
        Of factorised readouts; default: as ``rebuild`` says, else 'free'.
    rebuild : RebuildConfig or str, optional
        How the whole network is rebuilt, or the name of a published one (`PUBLISHED`).
    builder : str, optional
        'module:function' that builds the network, in place of ``rebuild``.
    builder_config : mapping, optional
        Its keyword arguments.
    neuron_map : ndarray of int, shape (n_neurons,), optional
        Place of each of the checkpoint's neurons among the dataset's; -1: no recording.
    own_responses : OwnResponsesConfig, optional
        Take the network's own responses to natural images as recordings.
    family : mapping, optional
        Where the checkpoint comes from, kept as it is.
    """

    dataset: str | None = None
    name: str | None = None
    seed: int = 0
    state_dict: str | None = None
    embedding_key: str | None = None
    mask_key: str | None = None
    masks: str | None = None
    rebuild: checkpoints.RebuildConfig | str | None = None
    builder: str | None = None
    builder_config: Mapping[str, Any] | None = None
    neuron_map: NDArray[np.integer] | None = None
    own_responses: models.OwnResponsesConfig | None = None
    family: Mapping[str, Any] | None = None


def register_checkpoint(path: Path, options: ImportOptions | None = None, **given: Any) -> dict[str, Any]:
    """Register a trained checkpoint: its embedding can be clustered, and its network scored where it is rebuilt.

    Parameters
    ----------
    path : Path
        Torch file with a state dict.
    options : ImportOptions, optional
        What is known about it; or its fields as keyword arguments.

    Returns
    -------
    dict
        Primary key of the task.

    Warns
    -----
    UserWarning
        If some neurons have one number for all their features.

    Raises
    ------
    CheckpointError
        If it cannot be read or rebuilt, its neurons are not the dataset's, or all have the same features. Nothing
        is registered then.
    ConfigError
        If the options contradict each other.
    """
    path = Path(path)
    options = ImportOptions(**given) if options is None else options
    _check_options(options)
    rebuild = _rebuild_config(options.rebuild)
    masks = options.masks or (None if rebuild is None else rebuild.masks) or "free"
    readout = checkpoints.read_checkpoint(
        path,
        state_dict=options.state_dict,
        embedding_key=options.embedding_key,
        mask_key=options.mask_key,
        masks=masks,  # type: ignore[arg-type]
    )
    check_embedding(path, readout)
    if readout.is_video:
        warnings.warn(
            f"a network of movies: its readouts have no time axis, the embedding is {len(readout.embedding)} neurons x"
            f" {readout.embedding.shape[1]} features; what is temporal sits in the core's channels.",
            UserWarning,
            stacklevel=2,
        )
    data = path.read_bytes()
    name = options.name or path.stem
    row, neurons, sessions = _dataset(path, name, readout, options, rebuild)
    task = {
        "state_dict": options.state_dict or "",
        "embedding_key": options.embedding_key or "",
        "mask_key": options.mask_key or "",
        "masks": masks,
        "sessions": sessions,
        "rebuild": None if rebuild is None else rebuild.resolved(),
        "builder": options.builder or "",
        "builder_config": None if options.builder_config is None else dict(options.builder_config),
        "model_seed": options.seed,
    }
    _try(task, data, readout, row, options)
    register_seeds([options.seed])
    key = {
        "dataset": row["dataset"],
        "model_spec_id": register_imported_spec(name, readout.kind),
        "model_seed": options.seed,
    }
    if known_task(key, readout.sha256, task, name):
        return key
    new = not len(Dataset & {"dataset": row["dataset"]})
    with schema.connection.transaction:
        if new:
            insert_neurons(row, readout, neurons, _trials(options.own_responses))
        ModelTask.insert1(
            {
                **task,
                **key,
                "checkpoint": data,
                "checkpoint_sha256": readout.sha256,
                "source": str(path.resolve()),
                "family": None if options.family is None else dict(options.family),
            }
        )
    return key


def _check_options(options: ImportOptions) -> None:
    if options.rebuild is not None and options.builder is not None:
        raise ConfigError("a network is rebuilt here or by a builder, not both.")
    if options.builder is not None:
        checkpoints.check_builder(options.builder)
        if options.dataset is None:
            raise ConfigError(
                "a network from a builder predicts the responses of a dataset: name the dataset that recorded its"
                " neurons, or register the readout alone (without the builder)."
            )
    if options.neuron_map is not None and options.dataset is None:
        raise ConfigError("a neuron map says which neuron a dataset recorded as which: name the dataset.")
    if options.own_responses is not None and (options.dataset is not None or options.rebuild is None):
        raise ConfigError(
            "a network's own responses need a network that is rebuilt here, and no dataset: they are for a network"
            " that comes without its recordings."
        )


def _rebuild_config(rebuild: checkpoints.RebuildConfig | str | None) -> checkpoints.RebuildConfig | None:
    if not isinstance(rebuild, str):
        return rebuild
    if rebuild not in checkpoints.PUBLISHED:
        raise ConfigError(f"no published network {rebuild!r}; there are {', '.join(checkpoints.PUBLISHED)}.")
    return checkpoints.PUBLISHED[rebuild]


def _dataset(
    path: Path,
    name: str,
    readout: checkpoints.CheckpointReadout,
    options: ImportOptions,
    rebuild: checkpoints.RebuildConfig | None,
) -> tuple[dict[str, Any], list[dict[str, Any]] | None, dict[str, str] | None]:
    """Dataset that the task belongs to: its row, what is known of its neurons, and how sessions are called there."""
    if options.own_responses is not None and rebuild is not None:
        row = _own_row(name, readout, options.own_responses, rebuild)
        return row, None, None
    if options.dataset is None:
        row = {"dataset": name, "kind": "neurons_only"}
        check_name(name, readout.sha256, checkpoint_order_sha256(readout))
        return row, None, None
    found = (Dataset & {"dataset": options.dataset}).to_dicts()
    if not found:
        raise CheckpointError(
            f"no dataset {options.dataset!r} is registered; `decortex register dataset` does."
        )
    if options.neuron_map is not None:
        return *_mapped(name, readout, found[0], options.neuron_map), None
    return found[0], None, _matched(path, readout, found[0])


def _own_row(
    name: str,
    readout: checkpoints.CheckpointReadout,
    own: models.OwnResponsesConfig,
    rebuild: checkpoints.RebuildConfig,
) -> dict[str, Any]:
    if rebuild.image_shape is not None:
        models.check_images(own, rebuild.image_shape[1:])  # now, and not when a worker first opens them
    if (own.n_frames is None) != (rebuild.video is None):
        raise ConfigError(
            "own responses of a network of movies need 'n_frames', the length of the clips that it is shown; those of a"
            " network of images take none."
        )
    images = own.resolved()
    content = config_hash(
        {
            "own_responses_of": readout.sha256,
            "rebuild": rebuild.resolved(),
            "images": images,
            "version": models.OWN_RESPONSES_VERSION,
        }
    )
    order = _order(OWN_KIND, readout)
    check_name(name, content, order)
    row = {
        "dataset": name,
        "kind": OWN_KIND,
        "content_sha256": content,
        "neuron_order_sha256": order,
        "simulation_seed": 0,
    }
    recipe = {"images": images, "checkpoint_sha256": readout.sha256}
    shape = None if rebuild.image_shape is None else list(rebuild.image_shape)
    rate = None if rebuild.video is None else rebuild.video.frame_rate
    return {**row, "simulation": recipe, "image_shape": shape, "frame_rate": rate}


def _order(kind: str, readout: checkpoints.CheckpointReadout) -> str:
    """Digest of the neurons' order in a dataset that came from a checkpoint."""
    if kind == OWN_KIND:  # it is opened as recordings, which know an animal and a scan
        pairs = zip(readout.session, readout.index, strict=True)
        return data_sources.identities_sha256((session, "", 0, index) for session, index in pairs)
    return checkpoint_order_sha256(readout)


def _mapped(
    name: str,
    readout: checkpoints.CheckpointReadout,
    dataset: dict[str, Any],
    neuron_map: NDArray[np.integer],
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Dataset of a checkpoint's neurons, of which some were recorded; those are called as their recording is."""
    if dataset["kind"] in _OF_A_CHECKPOINT:
        raise CheckpointError(
            f"dataset {dataset['dataset']!r} holds no recordings that neurons could be mapped to."
        )
    places = checkpoints.check_map(np.asarray(neuron_map), len(readout.embedding), int(dataset["n_neurons"]))
    content = config_hash(
        {"checkpoint": readout.sha256, "recorded_in": dataset["content_sha256"], "map": places.tolist()}
    )
    row = {
        "dataset": name,
        "kind": "mapped",
        "recorded_in": dataset["dataset"],
        "image_shape": dataset["image_shape"],
        "frame_rate": dataset["frame_rate"],
        "species": dataset["species"],
        "content_sha256": content,
    }
    check_name(name, content, checkpoint_order_sha256(readout))
    recorded = (Dataset.Neuron & {"dataset": dataset["dataset"]}).to_dicts(order_by="neuron_idx")
    kept = ("animal", "scan", "area", "x", "y", "z", "true_type")
    neurons = [
        {} if place < 0 else {"recorded_idx": int(place), **{one: recorded[place][one] for one in kept}}
        for place in places
    ]
    return row, neurons


def _matched(
    path: Path, readout: checkpoints.CheckpointReadout, dataset: dict[str, Any]
) -> dict[str, str] | None:
    """How the checkpoint's sessions are called in a dataset of the same neurons, in the dataset's order.

    Raises
    ------
    CheckpointError
        If the neurons are not the dataset's, or it cannot be told.
    """
    name, n_neurons = dataset["dataset"], int(dataset["n_neurons"])
    if n_neurons != len(readout.embedding):
        raise CheckpointError(
            f"{path} holds {len(readout.embedding)} neurons, dataset {name!r} {n_neurons}: they must be the same "
            "neurons. Give a neuron map (which neuron was recorded as which; --neuron-map), or register the checkpoint "
            "without a dataset to cluster its neurons alone."
        )
    if dataset["kind"] in _OF_A_CHECKPOINT:
        if dataset["neuron_order_sha256"] != _order(dataset["kind"], readout):
            raise CheckpointError(
                f"the sessions of {path} or the order of their neurons are not those of dataset {name!r}, which "
                "came from another checkpoint; register it under a name of its own."
            )
        return None
    if readout.kind == "named_key":
        return None  # it names no sessions: its order is taken for the dataset's
    recorded = (Dataset.Neuron & {"dataset": name}).to_arrays("session", order_by="neuron_idx")
    own = {str(one): int((recorded == one).sum()) for one in dict.fromkeys(recorded)}
    counts = {one: int((readout.session == one).sum()) for one in readout.sessions}
    matched = {one: _matching(one, list(own)) for one in readout.sessions}
    called = {new: old for old, new in matched.items() if new is not None}
    if set(called) != set(own) or any(own[new] != counts[old] for new, old in called.items()):
        raise CheckpointError(
            f"the sessions of {path}, {counts}, are not those of dataset {name!r}, {own}: every session of one must be"
            " named in one of the other, with as many neurons. Give a neuron map (--neuron-map) if they are the same."
        )
    arranged = {called[new]: new for new in own}
    return None if list(arranged.items()) == [(one, one) for one in readout.sessions] else arranged


def _matching(session: str, known: list[str]) -> str | None:
    """The one known session that is called so, or whose name holds this one between other characters."""
    if session in known:
        return session
    holding = [one for one in known if session in one]
    return holding[0] if len(holding) == 1 else (known[0] if len(known) == 1 else None)


def _try(
    task: dict[str, Any],
    data: bytes,
    readout: checkpoints.CheckpointReadout,
    row: dict[str, Any],
    options: ImportOptions,
) -> None:
    """Rebuild or build the network once, so that what cannot be built is not registered either."""
    if task["rebuild"] is not None:
        shape = row.get("image_shape")
        network = rebuild_task(task, data, order="", image_shape=None if shape is None else tuple(shape))
        if not np.array_equal(network.embedding().detach().numpy(), _arranged(readout, task).embedding):
            raise CheckpointError(
                "the rebuilt network's features are not the checkpoint's; report this file."
            )
    if options.builder is not None:
        recorded_in = row.get("recorded_in") or row["dataset"]
        shape = (Dataset & {"dataset": recorded_in}).fetch1("image_shape")
        if shape is None:
            raise DatasetError(f"dataset {recorded_in!r} holds no images that a network could be shown.")
        own = frozenset(
            {checkpoints.check_builder(options.builder)}
        )  # whoever registers names the module themselves
        build_task(task, data, _arranged(readout, task), image_shape=tuple(shape), allowed=own)


def _trials(own: models.OwnResponsesConfig | None) -> dict[str, float]:
    """Trials per session of a dataset of own responses."""
    if own is None:
        return {}
    counts = {"n_train": own.n_train, "n_validation": own.n_validation, "n_test": own.n_test}
    return {**counts, "n_repeats": 1.0}


def _arranged(readout: checkpoints.CheckpointReadout, task: dict[str, Any]) -> checkpoints.CheckpointReadout:
    return readout if task["sessions"] is None else readout.arranged(task["sessions"])
