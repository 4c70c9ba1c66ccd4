"""Whole networks out of published checkpoints: neuralpredictors' stacked core and its readouts. No code of theirs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import torch
from pydantic import Field
from torch import Tensor

from decortex.config import Config
from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.bounded import check_extent
from decortex.models.checkpoints.layouts import (
    Masks,
    ReadoutTensors,
    SessionReadout,
    find_readouts,
    readout_tensors,
)
from decortex.models.checkpoints.state_dicts import choose_state_dict, of_network
from decortex.models.cores import UNTOLD, Stacked2dConfig, told_by_tensors
from decortex.models.network import Network
from decortex.models.network_config import Geometry, NetworkConfig, Output, SessionGeometry
from decortex.models.readouts import GridPredictorConfig, ReadoutConfig, ShifterConfig

# What neuralpredictors adds to a mask's norm before it divides.
_NORM_EPSILON = 1e-6
_COVARIANCES: dict[tuple[int, ...], str] = {(2, 2): "full", (1, 2): "uncorrelated", (1, 1): "isotropic"}
# Tensors of penalties, and counters: nothing that a prediction needs.
_UNUSED = re.compile(r"(^|\.)(_input_weights_regularizer\..*|num_batches_tracked)$")


class RebuildConfig(Config):
    """What a published network's tensors do not tell, as its registrant does."""

    core: dict[str, Any] = Field(
        description="options of the stacked core by neuralpredictors' names; those that the tensors tell as well"
        " are compared with them"
    )
    image_shape: tuple[int, int, int] | None = Field(
        default=None, description="(channels, height, width); null: that of the dataset's images"
    )
    output: Output = Field(default="elu", description="from drive to response; 'elu' adds 1")
    elu_offset: float = Field(default=0.0, description="added to the drive")
    pixel_mean: tuple[float, ...] | None = Field(
        default=None, description="subtracted from each image channel; null: nothing"
    )
    pixel_std: tuple[float, ...] | None = Field(
        default=None, description="divides each image channel; null: nothing"
    )
    final_tanh: bool = Field(default=True, description="whether a grid predictor ends in a tanh")
    masks: Masks | None = Field(
        default=None, description="of factorised readouts: 'normalised' (normalize=True) or 'free'"
    )
    pool_kernel: int | None = Field(
        default=None, ge=1, le=16, description="of pooled point readouts: side and stride of pooling"
    )


# `model_config` of the notebooks that trained the two checkpoints of Sensorium 2022 (Willeke et al. 2022), and
# the defaults of `stacked_core_full_gauss_readout` that they leave.
_SENSORIUM_CORE: dict[str, Any] = {
    "pad_input": False,
    "stack": -1,
    "layers": 4,
    "input_kern": 9,
    "hidden_kern": 7,
    "hidden_channels": 64,
    "depth_separable": True,
    "bias": False,
    "momentum": 0.9,
    "batch_norm": True,
    "skip": 0,
    "hidden_dilation": 1,
    "hidden_padding": None,
    "stride": 1,
    "final_nonlinearity": True,
    "elu_shift": [0.0, 0.0],
    "linear": False,
}
PUBLISHED: dict[str, RebuildConfig] = {
    "sensorium": RebuildConfig(core=_SENSORIUM_CORE, image_shape=(1, 36, 64)),
    # image, pupil dilation and its derivative, running speed; then the pupil's x and y for the shifter
    "sensorium_plus": RebuildConfig(core=_SENSORIUM_CORE, image_shape=(6, 36, 64)),
}


def rebuild_network(
    state: Mapping[str, Tensor],
    config: RebuildConfig,
    *,
    neuron_order_sha256: str,
    image_shape: tuple[int, int, int] | None = None,
    sessions: Mapping[str, str] | None = None,
) -> Network:
    """Rebuild a network of neuralpredictors' stacked core from its tensors.

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
        On the CPU, evaluating; ``embedding()`` is bit for bit `read_checkpoint`'s. What neurons shared is each's own.

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
        raise CheckpointError("there is no readout that could be rebuilt; name a builder (docs/models.md).")
    state = {key: value for key, value in chosen.tensors.items() if of_network(key)}
    tensors = readout_tensors(state)
    _check_finite(state)
    core_state = _under(state, "core.")
    if not core_state:
        raise CheckpointError(
            f"there are no tensors core.* beside the readouts in {chosen.name!r}, so not a stack of convolutions that"
            " could be rebuilt: save the whole network's state dict, or register the readout alone."
        )
    stacked = _core_config(core_state, config)
    sessions = {name: name for name in tensors} if sessions is None else sessions
    if set(sessions) != set(tensors):
        raise CheckpointError(
            f"the sessions {list(sessions)} that were named are not the checkpoint's, {list(tensors)}."
        )
    tensors = {name: tensors[name] for name in sessions}
    readouts = find_readouts(state, masks=_masks(readouts_kind(tensors), config))
    readout_config = _readout_config(tensors, stacked, config)
    shifters = {name: _under(state, f"shifter.{name}.mlp.") for name in tensors}
    network_config = NetworkConfig(
        stacked=stacked,
        readout=readout_config,
        output=config.output,
        response_scale="none",
        shifter=_shifter_config(shifters),
    )
    shape = _image_shape(core_state, network_config, config, image_shape)
    geometry = Geometry(
        image_shape=shape,
        sessions=tuple(
            SessionGeometry(name=new, n_neurons=len(readouts[old].features)) for old, new in sessions.items()
        ),
        neuron_order_sha256=neuron_order_sha256,
    )
    with torch.device("meta"):
        check_extent(Network(network_config, geometry), state)
    network = Network(network_config, geometry)
    _fill(network.core, core_state, "core")
    for old, new in sessions.items():
        _fill_readout(network, new, readouts[old], tensors[old], config)
        if network_config.shifter is not None:
            _fill(network.shifters[network.session_index(new)], shifters[old], f"shifter.{old}")
    _set_pixels(network, config)
    return network.eval()


def readouts_kind(tensors: Mapping[str, ReadoutTensors]) -> str:
    """Layout of all sessions' readouts.

    Raises
    ------
    CheckpointError
        If sessions have readouts of different kinds.
    """
    kinds = {name: one.layout for name, one in tensors.items()}
    if len(set(kinds.values())) > 1:
        raise CheckpointError(f"sessions have readouts of different kinds, {kinds}; name a builder for them.")
    return next(iter(kinds.values()))


def _under(state: Mapping[str, Tensor], stem: str) -> dict[str, Tensor]:
    return {
        key[len(stem) :]: value.float() if value.is_floating_point() else value
        for key, value in state.items()
        if key.startswith(stem) and not _UNUSED.search(key)
    }


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


def _masks(kind: str, config: RebuildConfig) -> Masks:
    if kind == "factorised_2d" and config.masks is None:
        raise ConfigError(
            "the tensors of a factorised readout do not tell whether its masks were divided by their norm: give"
            ' "masks": "normalised" (normalize=True, the default there) or "free".'
        )
    return config.masks or "free"


def _readout_config(
    tensors: Mapping[str, ReadoutTensors], stacked: Stacked2dConfig, config: RebuildConfig
) -> ReadoutConfig:
    kind = readouts_kind(tensors)
    parts = next(iter(tensors.values())).parts
    if kind in ("full_gaussian_2d", "gaussian_2d"):
        sigma = parts.get("sigma")
        covariance = None if sigma is None else _COVARIANCES.get(tuple(sigma.shape[-2:]))
        if covariance is None:
            raise CheckpointError(
                f"the readouts' 'sigma' is {'absent' if sigma is None else tuple(sigma.shape)}; expected"
                " (1, n_neurons, 2, 2), (1, n_neurons, 1, 2) or (1, n_neurons, 1, 1)."
            )
        predictor = _predictor_config(parts, config)
        return ReadoutConfig.from_params(
            {
                "kind": "gaussian",
                "covariance": covariance,
                "grid_predictor": None if predictor is None else predictor.resolved(),
            }
        )
    if kind == "point_pooled_2d":
        steps, rest = divmod(parts["features"].shape[1], stacked.n_features)
        if rest or not steps:
            raise CheckpointError(
                f"readouts of {parts['features'].shape[1]} features cannot read a core of {stacked.n_features}"
                " maps: 'stack' must name the layers that the network was built with."
            )
        if steps > 1 and config.pool_kernel is None:
            raise ConfigError(
                'pooled readouts do not tell "pool_kernel": give the pool_kern they were built with.'
            )
        return ReadoutConfig(kind="point_pooled", pool_steps=steps - 1, pool_kernel=config.pool_kernel or 2)
    if kind == "factorised_2d":
        return ReadoutConfig(kind="free_mask")
    raise CheckpointError(
        f"a network with readouts of kind {kind!r} is not rebuilt here: its core works on movies. Register the"
        " readout alone, or name a builder (docs/models.md)."
    )


def _predictor_config(parts: Mapping[str, Tensor], config: RebuildConfig) -> GridPredictorConfig | None:
    weights = [parts[name] for name in sorted(parts) if re.fullmatch(r"mu_transform\.\d+\.weight", name)]
    if not weights or "source_grid" not in parts:
        return None
    return GridPredictorConfig(
        input_dimensions=weights[0].shape[1],
        hidden_layers=len(weights) - 1,
        hidden_features=weights[0].shape[0] if len(weights) > 1 else 30,
        final_tanh=config.final_tanh,
    )


def _shifter_config(shifters: Mapping[str, Mapping[str, Tensor]]) -> ShifterConfig | None:
    if not any(shifters.values()):
        return None
    found = set()
    for name, state in shifters.items():
        weights = [value for key, value in state.items() if key.endswith(".weight")]
        if not weights or weights[0].shape[1] != 2:
            raise CheckpointError(
                f"the shifter of session {name!r} is not a perceptron on the pupil's x and y; name a builder."
            )
        found.add(ShifterConfig(hidden_channels=weights[0].shape[0], layers=len(weights)))
    if len(found) > 1:
        raise CheckpointError("sessions have shifters of different shapes; name a builder for them.")
    return found.pop()


def _image_shape(
    core_state: Mapping[str, Tensor],
    network: NetworkConfig,
    config: RebuildConfig,
    given: tuple[int, int, int] | None,
) -> tuple[int, int, int]:
    shape = config.image_shape if given is None else given
    if shape is None:
        raise ConfigError(
            'the tensors do not tell the size of the images: give "image_shape": [channels, h, w].'
        )
    wanted = core_state["features.layer0.conv.weight"].shape[1] + (0 if network.shifter is None else 2)
    if shape[0] != wanted:
        pupil = "" if network.shifter is None else ", the last two of them the pupil's x and y"
        raise CheckpointError(
            f"the network reads images of {wanted} channels{pupil}, not of {shape[0]}: add behaviour as channels"
            " (decortex register dataset --behaviour behavior --behaviour pupil_center), or take the images that"
            " it was trained on."
        )
    return shape


def _fill(module: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    _check_shapes(module, state, what)
    missing, unexpected = module.load_state_dict(dict(state), strict=False)
    absent = [key for key in missing if not _UNUSED.search(key)]
    if absent or unexpected:
        raise CheckpointError(
            f"the {what} cannot be rebuilt: without {absent[:4] or 'nothing'}, with {list(unexpected)[:4] or 'nothing'}"
            " that it has no place for. Its architecture is another; name a builder (docs/models.md)."
        )


def _check_shapes(module: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    for key, own in module.state_dict().items():
        if key in state and state[key].shape != own.shape:
            raise CheckpointError(
                f"the {what} cannot be rebuilt: {key!r} has shape {tuple(state[key].shape)}, expected"
                f" {tuple(own.shape)}. Give the options that the network was built with."
            )


@torch.no_grad()
def _fill_readout(
    network: Network, name: str, found: SessionReadout, tensors: ReadoutTensors, config: RebuildConfig
) -> None:
    readout, parts = network.readout(name), tensors.parts
    features = torch.from_numpy(found.features)
    if features.shape != readout.features.shape:
        raise CheckpointError(
            f"the readout of session {name!r} has {features.shape[1]} features a neuron, the core"
            f" {readout.features.shape[1]} maps: give 'stack' as the network was built."
        )
    readout.features.copy_(features)
    bias = parts.get("bias")
    readout.bias.copy_(torch.zeros(len(features)) if bias is None else bias.float().flatten())
    readout.bias.add_(config.elu_offset)
    own = dict(readout.named_parameters()) | dict(readout.named_buffers())
    if "sigma" in own:
        own["sigma"].copy_(parts["sigma"].float().reshape(own["sigma"].shape))
    if "source_grid" in own:
        own["source_grid"].copy_(parts["source_grid"].float())
        predictor = readout.get_submodule("predictor")
        _fill(predictor, _under(parts, "mu_transform."), f"grid predictor of {name}")
    elif "position" in own:
        if found.positions is None:
            raise CheckpointError(
                f"the readout of session {name!r} holds no positions ('_mu', 'mu' or 'grid')."
            )
        own["position"].copy_(torch.from_numpy(found.positions))
    elif "mask" in own:
        _fill_mask(own["mask"], parts["spatial"].float().flatten(1), name, config)


def _fill_mask(mask: Tensor, spatial: Tensor, name: str, config: RebuildConfig) -> None:
    if spatial.shape != mask.shape:
        raise CheckpointError(
            f"the masks of session {name!r} have {spatial.shape[1]} cells, the core's maps {mask.shape[1]}: give"
            " 'image_shape', 'pad_input' and 'stack' as the network was built."
        )
    norm = spatial.norm(dim=1, keepdim=True)
    mask.copy_(
        spatial / (norm + _NORM_EPSILON) if config.masks == "normalised" else spatial / norm.clamp_min(1e-30)
    )


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
