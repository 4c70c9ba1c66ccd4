"""Whole networks out of published checkpoints: cores of images and of movies, and readouts. No code of theirs."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from numbers import Integral

import torch
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.bounded import check_extent
from decortex.models.checkpoints.layouts import find_readouts, readout_tensors
from decortex.models.checkpoints.rebuilding.rebuild_config import LARGEST_SIDE, RebuildConfig
from decortex.models.checkpoints.rebuilding.rebuild_readouts import (
    fill_module,
    fill_readout,
    masks_of,
    readout_config_of,
    readouts_kind,
    tensors_under,
)
from decortex.models.checkpoints.rebuilding.rebuild_video import is_video_core, space_time_core
from decortex.models.checkpoints.state_dicts import choose_state_dict, of_network
from decortex.models.cores import UNTOLD, Stacked2dConfig, told_by_tensors
from decortex.models.network import Network
from decortex.models.network_config import Geometry, NetworkConfig, SessionGeometry
from decortex.models.readouts import ShifterConfig

# Parts of neuralpredictors' encoders beside core, readout and shifter.
_OTHER_PARTS = {
    "gru_module": "is recurrent over the frames of a movie, between core and readout",
    "modulator": "scales responses by what the animal does",
}


def rebuild_network(
    state: Mapping[str, Tensor],
    config: RebuildConfig,
    *,
    neuron_order_sha256: str,
    image_shape: tuple[int, int, int] | None = None,
    sessions: Mapping[str, str] | None = None,
) -> Network:
    """Rebuild a network of neuralpredictors' stacked core, or of a published space-time core, from its tensors.

    Parameters
    ----------
    state : mapping of str to Tensor
        State dict with the keys ``core.features.*``, ``readout.<session>.*`` and, where there is one,
        ``shifter.<session>.mlp.*``, at any depth and under any prefix, of one network (`choose_state_dict`).
    config : RebuildConfig
        What the tensors do not tell.
    neuron_order_sha256 : str
        Digest of the neurons' identities in order, see `Geometry`.
    image_shape : tuple of int, optional
        (channels, height, width) of the images to predict for; default: that of ``config``.
    sessions : mapping of str to str, optional
        Other names for the sessions, in the order that the network should have them.

    Returns
    -------
    Network
        On the CPU, evaluating; ``embedding()`` is bit for bit `read_checkpoint`'s, but with
        ``video.positive_features``, whose features count from 0. What neurons shared is each's own.

    Raises
    ------
    CheckpointError
        If the tensors are no such network, contradict ``config``, are not finite, do not fit together or fill less
        than the network that ``config`` describes.
    ConfigError
        If an option that the tensors do not tell is missing.
    """
    chosen = choose_state_dict(state)
    if chosen is None:
        raise CheckpointError(
            "there is no readout that could be rebuilt; name a builder (docs/how-to/register-your-model.md)."
        )
    _refuse_other_parts(chosen.tensors)
    state = {key: value for key, value in chosen.tensors.items() if of_network(key)}
    tensors = readout_tensors(state)
    _check_finite(state)
    core_state = tensors_under(state, "core.")
    if not core_state:
        raise CheckpointError(
            f"there are no tensors core.* beside the readouts in {chosen.name!r}, so not a stack of convolutions that"
            " could be rebuilt: save the whole network's state dict, or register the readout alone."
        )
    stacked, space_time, n_inputs = None, None, 0
    core_weights: Mapping[str, Tensor] = core_state
    if config.video is not None:
        space_time, core_weights, n_inputs = space_time_core(core_state, config.video)
        n_features = space_time.layers[-1].channels
        if space_time.future:
            warnings.warn(
                f"the core pads time: each prediction sees {space_time.future} frames of the future, as in the"
                " original. Its responses are no prediction of what comes.",
                UserWarning,
                stacklevel=2,
            )
    else:
        if is_video_core(core_state):
            raise ConfigError(
                "this core convolves in time, a network of movies: say what its tensors do not tell under 'video', at"
                ' least its frame rate, for example {"video": {"frame_rate": 30}}.'
            )
        stacked = _core_config(core_state, config)
        n_features, n_inputs = stacked.n_features, core_state["features.layer0.conv.weight"].shape[1]
    sessions = {name: name for name in tensors} if sessions is None else sessions
    if set(sessions) != set(tensors):
        raise CheckpointError(
            f"the sessions {list(sessions)} that were named are not the checkpoint's, {list(tensors)}."
        )
    tensors = {name: tensors[name] for name in sessions}
    readouts = find_readouts(state, masks=masks_of(readouts_kind(tensors), config))
    readout_config = readout_config_of(tensors, n_features, config)
    shifters = {name: tensors_under(state, f"shifter.{name}.mlp.") for name in tensors}
    network_config = NetworkConfig(
        stacked=stacked,
        space_time=space_time,
        readout=readout_config,
        output=config.output,
        response_scale="none",
        shifter=_shifter_config(shifters),
    )
    shape = _image_shape(n_inputs, network_config, config, image_shape)
    geometry = Geometry(
        image_shape=shape,
        sessions=tuple(
            SessionGeometry(name=new, n_neurons=len(readouts[old].features)) for old, new in sessions.items()
        ),
        neuron_order_sha256=neuron_order_sha256,
        frame_rate=None if config.video is None else config.video.frame_rate,
    )
    with torch.device("meta"):
        check_extent(Network(network_config, geometry), state)
    network = Network(network_config, geometry)
    fill_module(network.core, core_weights, "core")
    for old, new in sessions.items():
        fill_readout(network, new, readouts[old], tensors[old], config)
        if network_config.shifter is not None:
            fill_module(network.shifters[network.session_index(new)], shifters[old], f"shifter.{old}")
    _set_pixels(network, config)
    return network.eval()


def _refuse_other_parts(tensors: Mapping[str, Tensor]) -> None:
    """Refuse networks with a part between core and responses that is not rebuilt: they would predict something else."""
    for part, what in _OTHER_PARTS.items():
        if any(key.startswith(f"{part}.") for key in tensors):
            raise CheckpointError(
                f"the network has a part {part!r}, which {what}: without it another network would be rebuilt. Register"
                " the readout alone (leave the configuration out), or name a builder"
                " (docs/how-to/register-your-model.md)."
            )


def _check_finite(state: Mapping[str, Tensor]) -> None:
    for key, value in state.items():
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            raise CheckpointError(
                f"the tensor {key!r} holds {int((~torch.isfinite(value)).sum())} numbers that are NaN or infinite."
                " The training that wrote it diverged; take an earlier state."
            )


def _core_config(state: Mapping[str, Tensor], config: RebuildConfig) -> Stacked2dConfig:
    told = told_by_tensors(state)
    missing = [name for name in UNTOLD if name in ("pad_input", "stack") and name not in config.core]
    if missing and told["layers"] != 1:
        raise ConfigError(
            f"the tensors of a stacked core do not tell {', '.join(missing)}: give them as the network was built,"
            ' for example {"core": {"pad_input": false, "stack": -1}}.'
        )
    named = Stacked2dConfig.from_params({**told, **config.core})
    for name, value in told.items():
        if name in config.core and getattr(named, name) != value:
            raise CheckpointError(
                f"the checkpoint's core was built with {name}={value}, not with {config.core[name]}: this is not the"
                " configuration that it was trained with."
            )
    return named


def _shifter_config(shifters: Mapping[str, Mapping[str, Tensor]]) -> ShifterConfig | None:
    if not any(shifters.values()):
        return None
    found = set()
    for name, state in shifters.items():
        weights = [value for key, value in state.items() if key.endswith(".weight")]
        if not weights or weights[0].ndim != 2 or weights[0].shape[1] != 2:
            raise CheckpointError(
                f"the shifter of session {name!r} is not a perceptron on the pupil's x and y; name a builder."
            )
        found.add(ShifterConfig(hidden_channels=weights[0].shape[0], layers=len(weights)))
    if len(found) > 1:
        raise CheckpointError("sessions have shifters of different shapes; name a builder for them.")
    return found.pop()


def _image_shape(
    n_inputs: int,
    network: NetworkConfig,
    config: RebuildConfig,
    given: tuple[int, int, int] | None,
) -> tuple[int, int, int]:
    shape = config.image_shape if given is None else given
    if shape is None:
        raise ConfigError(
            'the tensors do not tell the size of the images: give "image_shape": [channels, h, w].'
        )
    if not all(isinstance(side, Integral) and 1 <= side <= LARGEST_SIDE for side in shape):
        raise ConfigError(
            f"image_shape should be (channels, height, width), each from 1 to {LARGEST_SIDE}, but is {tuple(shape)}."
        )
    wanted = n_inputs + (0 if network.shifter is None else 2)
    if shape[0] != wanted:
        pupil = "" if network.shifter is None else ", the last two of them the pupil's x and y"
        raise CheckpointError(
            f"the network reads images of {wanted} channels{pupil}, not of {shape[0]}: add behaviour as channels"
            " (decortex register dataset --behaviour behavior --behaviour pupil_center), or take the images that"
            " it was trained on."
        )
    return shape


def _set_pixels(network: Network, config: RebuildConfig) -> None:
    n_channels = network.geometry.image_shape[0]
    for buffer, values in ((network.pixel_mean, config.pixel_mean), (network.pixel_std, config.pixel_std)):
        if values is None:
            continue
        if len(values) != n_channels:
            raise ConfigError(
                f"{len(values)} pixel statistics were given for images of {n_channels} channels."
            )
        buffer.copy_(torch.tensor(values).view_as(buffer))
