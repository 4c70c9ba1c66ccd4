"""Embeddings out of trained checkpoints, ours and others', without running any of their code."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.layouts import (
    Masks,
    SessionReadout,
    as_rows,
    find_readouts,
    readout_like_keys,
    refuse_grouped_readout,
)
from decortex.models.checkpoints.load import load_tensors
from decortex.models.checkpoints.positions import refuse_not_finite
from decortex.models.checkpoints.state_dicts import choose_state_dict, flattened, refuse_unusable
from decortex.models.network import CHECKPOINT_FORMAT, Network


@dataclass(frozen=True)
class CheckpointReadout:
    """The readout embedding of a checkpoint's neurons, sessions concatenated.

    Parameters
    ----------
    kind : str
        'decortex', 'named_key', or the readout class that wrote it ('full_gaussian_2d', 'gaussian_2d',
        'point_pooled_2d', 'factorised_2d', 'openretina_gaussian_mask', 'openretina_factorised').
    sessions : tuple of str
        In the checkpoint's order.
    embedding : ndarray of float32, shape (n_neurons, n_features)
        Readout features.
    session : ndarray of str, shape (n_neurons,)
        Session of each neuron.
    index : ndarray of int64, shape (n_neurons,)
        Place of each neuron in its session.
    positions : ndarray of float32, shape (n_neurons, 2), or None
        Where each neuron reads, -1..1 over the feature map, x then y; None unless every session tells.
    cortical : ndarray of float32, shape (n_neurons, n_dimensions), or None
        Where each neuron lies in cortex, where every session tells (``source_grid``).
    sha256 : str
        Of the file.
    is_video : bool
        Whether the network takes movies. Its readout has no time axis: the embedding is n_neurons x n_features all the
        same, and what is temporal sits in the core's channels.
    """

    kind: str
    sessions: tuple[str, ...]
    embedding: NDArray[np.float32]
    session: NDArray[np.str_]
    index: NDArray[np.int64]
    positions: NDArray[np.float32] | None
    cortical: NDArray[np.float32] | None
    sha256: str
    is_video: bool = False

    def arranged(self, sessions: Mapping[str, str]) -> CheckpointReadout:
        """Give the same neurons with sessions renamed and in another order.

        Parameters
        ----------
        sessions : mapping of str to str
            New name by the checkpoint's, in the new order; every session once.

        Raises
        ------
        CheckpointError
            If it leaves a session out or names one that is not there.
        """
        if set(sessions) != set(self.sessions) or len(set(sessions.values())) != len(sessions):
            raise CheckpointError(
                f"the sessions {list(sessions)} -> {list(sessions.values())} do not name each of the checkpoint's"
                f" sessions {list(self.sessions)} once."
            )
        order = np.concatenate([np.flatnonzero(self.session == name) for name in sessions])
        return CheckpointReadout(
            kind=self.kind,
            sessions=tuple(sessions.values()),
            embedding=self.embedding[order],
            session=np.array([sessions[name] for name in self.session[order]]),
            index=self.index[order],
            positions=None if self.positions is None else self.positions[order],
            cortical=None if self.cortical is None else self.cortical[order],
            sha256=self.sha256,
            is_video=self.is_video,
        )


def read_checkpoint(
    path: str | Path,
    *,
    state_dict: str | None = None,
    embedding_key: str | None = None,
    mask_key: str | None = None,
    masks: Masks = "free",
) -> CheckpointReadout:
    """Read the readout embedding out of a checkpoint.

    Parameters
    ----------
    path : str or Path
        A file of ours (`Network.checkpoint`), or one that holds neuralpredictors' or openretina's readout keys
        ``readout.<session>.*`` at any depth, under any prefix; names that wrappers put into keys (``module.``,
        ``_orig_mod.``) are left out.
    state_dict : str, optional
        Dotted path of the state dict to read ('.': the top of the file), where the file holds several with readouts
        of the same sessions (untrained and trained, last and best, weights and their average, gradients). State
        dicts of different sessions over one core are all read.
    embedding_key : str, optional
        Dotted path of the features where the names are others: a matrix (n_neurons, n_features), or
        (1, n_features, 1, n_neurons).
    mask_key : str, optional
        With `embedding_key`: dotted path of the spatial masks (n_neurons, ...) that multiply these features. A
        product of mask and features may flip the sign of both, which makes two groups of neurons that are no
        types: every neuron is turned so that its mask's sum is not negative.
    masks : {'free', 'normalised'}
        For factorised readouts: 'free' scales each mask's norm into the features; 'normalised' is for
        networks that divide masks by their norm (``normalize=True``). The file does not tell.

    Returns
    -------
    CheckpointReadout
        Embedding and identity of every neuron.

    Raises
    ------
    CheckpointError
        If the file cannot be read without running code, holds no readout, several readouts of one session and
        ``state_dict`` names none, or tensors that are not finite or do not fit together.

    Notes
    -----
    Keys and shapes are those of neuralpredictors (FullGaussian2d, Gaussian2d, PointPooled2d,
    SpatialXFeatureLinear / FullFactorized2d); features shared between matched neurons are gathered by
    ``feature_sharing_index`` and multiplied by ``scales``.

    Examples
    --------
    >>> import decortex
    >>> readout = decortex.read_checkpoint("model.pth")     # doctest: +SKIP
    >>> decortex.cluster(readout.embedding, n_clusters=8)   # doctest: +SKIP
    """
    path = Path(path)
    content = load_tensors(path)
    try:
        return _read(
            content, path, state_dict=state_dict, embedding_key=embedding_key, mask_key=mask_key, masks=masks
        )
    except (CheckpointError, ConfigError):
        raise
    except (TypeError, ValueError, LookupError, RuntimeError, NotImplementedError, AttributeError) as error:
        first = (str(error).strip().splitlines() or [""])[0]
        raise CheckpointError(
            f"the tensors of {str(path)!r} do not have the shapes and types of a readout "
            f"({type(error).__name__}: {first}). Name the matrix of features by embedding_key='path.to.key', or save "
            "the state dict again from the network that was trained."
        ) from error


def _read(
    content: Mapping[str, Any],
    path: Path,
    *,
    state_dict: str | None,
    embedding_key: str | None,
    mask_key: str | None,
    masks: Masks,
) -> CheckpointReadout:
    if mask_key is not None and embedding_key is None:
        raise CheckpointError(
            f"mask_key {mask_key!r} came without embedding_key: name the features that these masks multiply."
        )
    is_own = content.get("format") == CHECKPOINT_FORMAT
    if state_dict is not None and (embedding_key is not None or is_own):
        raise CheckpointError(
            f"state_dict {state_dict!r} was given, but "
            + (
                "this file is of decortex and holds one network."
                if is_own
                else "embedding_key is a whole path."
            )
            + " Leave state_dict out."
        )
    keys = [".".join((*holder, key)) for holder, key in flattened(content)]
    if not is_own:
        refuse_grouped_readout(keys, where=repr(str(path)))
    if embedding_key is not None:
        readouts = {embedding_key: _named(content, embedding_key, mask_key, path)}
    elif is_own:
        readouts = _own(content)
    else:
        chosen = choose_state_dict(content, state_dict, file=repr(str(path)))
        readouts = {} if chosen is None else find_readouts(chosen.tensors, masks=masks)
        if not readouts:
            seen = readout_like_keys(keys) or keys[:8]
            raise CheckpointError(
                f"no readout was found in {str(path)!r}: expected keys like 'readout.<session>._features',"
                f" saw {seen}. Name the matrix of features by embedding_key='path.to.key'."
            )
    _check(readouts, path)
    return _concatenate(readouts, _sha256(path), is_video=_takes_movies(content))


def _takes_movies(content: Mapping[str, Any]) -> bool:
    """Whether the network of a file convolves in time, is recurrent over frames, or is one of ours for movies."""
    if content.get("format") == CHECKPOINT_FORMAT:
        return content["config"].get("space_time") is not None
    found = flattened(content).items()
    return any(
        (re.search(r"(^|\.)core\..*weight$", key) and value.ndim == 5)
        or key.endswith("conv.sin_weights")
        or re.search(r"(^|\.)gru_module\.", key)
        for (holder, name), value in found
        for key in (".".join((*holder, name)),)
    )


def _named(content: Mapping[str, Any], key: str, mask_key: str | None, path: Path) -> SessionReadout:
    tensor = _real_tensor(content, key, "embedding_key", path)
    features: NDArray[np.float32] = as_rows(tensor, where=key).float().contiguous().numpy().copy()
    if mask_key is not None:
        features *= _signs(_real_tensor(content, mask_key, "mask_key", path), len(features), mask_key)
    return SessionReadout(layout="named_key", features=features, positions=None, cortical=None)


def _signs(masks: Tensor, n_neurons: int, where: str) -> NDArray[np.float32]:
    """-1 where a neuron's mask sums to less than zero, else 1: (n_neurons, 1)."""
    if masks.ndim < 1 or len(masks) != n_neurons:
        raise CheckpointError(
            f"{where!r} has shape {tuple(masks.shape)}, but one mask for each of {n_neurons} neurons was expected."
        )
    sums = masks.double().unsqueeze(-1).flatten(1).sum(dim=1).numpy()
    return np.where(sums < 0, -1, 1).astype(np.float32)[:, None]


def _real_tensor(content: Mapping[str, Any], key: str, option: str, path: Path) -> Tensor:
    tensor = _tensor_under(content, key)
    if tensor is None:
        raise CheckpointError(
            f"{str(path)!r} has no tensor under {option} {key!r}; at its top are"
            f" {[str(name) for name in content][:8]}. Give the full dotted path."
        )
    tensor = tensor if tensor.layout is torch.strided else tensor.to_dense()
    refuse_unusable(tensor, f"{key!r} of {str(path)!r}")
    return tensor.detach()


def _tensor_under(value: object, path: str) -> Tensor | None:
    """Follow a dotted path; keys of a state dict hold dots themselves, so every split is tried."""
    if isinstance(value, Tensor):
        return value if path == "" else None
    if isinstance(value, Mapping):
        for name, part in value.items():
            if path == name or path.startswith(f"{name}."):
                found = _tensor_under(part, path[len(str(name)) + 1 :])
                if found is not None:
                    return found
    return None


def _own(content: Mapping[str, Any]) -> dict[str, SessionReadout]:
    network = Network.from_checkpoint(content)
    readouts = {name: network.readout(name) for name in network.session_names}
    with torch.no_grad():
        return {
            name: SessionReadout(
                layout="decortex",
                features=readout.features.numpy().copy(),
                positions=readout.centre().numpy().copy(),
                cortical=None,
            )
            for name, readout in readouts.items()
        }


def tensors_of(content: Mapping[Any, Any], state_dict: str | None = None) -> dict[str, Tensor]:
    """Tensors of the one network of a file, by keys that begin with ``core.`` and ``readout.``.

    Parameters
    ----------
    content : mapping
        What `load_tensors` gave.
    state_dict : str, optional
        Which one, where the file holds several (`choose_state_dict`).

    Returns
    -------
    dict of str to Tensor
        Empty where no readout is known by its keys.

    Raises
    ------
    CheckpointError
        If there are several and none is named, or a tensor of a network holds no dense real numbers.
    """
    chosen = choose_state_dict(content, state_dict)
    return {} if chosen is None else dict(chosen.tensors)


def saved_tensors(
    content: Mapping[Any, Any], *, state_dict: str | None = None, embedding_key: str | None = None
) -> dict[str, Tensor]:
    """Tensors of the one network of a file, by the keys of the dict that the class that wrote it saved.

    Parameters
    ----------
    content : mapping
        What `load_tensors` gave.
    state_dict : str, optional
        Which one, where the file holds several (`choose_state_dict`).
    embedding_key : str, optional
        Dotted path of the features, where the readout is not known by its keys: their dict is taken.

    Raises
    ------
    CheckpointError
        If there is no such network, or several.
    """
    if embedding_key is not None:
        tensors = flattened(content)
        for holder, key in tensors:
            if ".".join((*holder, key)) == embedding_key:
                return {name: value for (path, name), value in tensors.items() if path == holder}
    chosen = choose_state_dict(content, state_dict)
    if chosen is None:
        raise CheckpointError(
            f"the file holds no readout that is known by its keys, and no tensor {embedding_key!r}."
        )
    return chosen.saved


def _check(readouts: Mapping[str, SessionReadout], path: Path) -> None:
    widths = {name: one.features.shape[1] for name, one in readouts.items()}
    if len(set(widths.values())) > 1:
        raise CheckpointError(
            f"sessions of {str(path)!r} have different numbers of features, {widths}: they do not read one core"
            " and cannot be clustered together."
        )
    for name, one in readouts.items():
        refuse_not_finite(torch.from_numpy(one.features), f"{str(path)!r}: the features", name)
    dimensions = {name: one.cortical.shape[1] for name, one in readouts.items() if one.cortical is not None}
    if len(set(dimensions.values())) > 1:
        raise CheckpointError(
            f"sessions of {str(path)!r} give positions in cortex (source_grid) in different numbers of dimensions,"
            f" {dimensions}. Register them one by one."
        )
    if not any(one.features.size for one in readouts.values()):
        raise CheckpointError(
            f"the readouts of {str(path)!r} hold no neurons, or no features:"
            f" {[one.features.shape for one in readouts.values()][:8]}."
        )


def _concatenate(readouts: Mapping[str, SessionReadout], sha256: str, *, is_video: bool) -> CheckpointReadout:
    counts = [len(one.features) for one in readouts.values()]
    return CheckpointReadout(
        kind=next(iter(readouts.values())).layout,
        sessions=tuple(readouts),
        embedding=np.concatenate([one.features for one in readouts.values()]),
        session=np.repeat(np.array(list(readouts)), counts),
        index=np.concatenate([np.arange(n, dtype=np.int64) for n in counts]),
        positions=_all_or_none([one.positions for one in readouts.values()]),
        cortical=_all_or_none([one.cortical for one in readouts.values()]),
        sha256=sha256,
        is_video=is_video,
    )


def _all_or_none(parts: list[NDArray[np.float32] | None]) -> NDArray[np.float32] | None:
    known = [part for part in parts if part is not None]
    return np.concatenate(known) if len(known) == len(parts) else None


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in iter(lambda: file.read(2**20), b""):
            digest.update(piece)
    return digest.hexdigest()
