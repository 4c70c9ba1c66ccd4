"""Readouts of published networks, put into networks that are rebuilt. The cores are elsewhere."""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.layouts import (
    Masks,
    ReadoutTensors,
    SessionReadout,
    as_rows,
    spatial_masks,
)
from decortex.models.checkpoints.positions import NamedTensors
from decortex.models.checkpoints.rebuilding.rebuild_config import RebuildConfig
from decortex.models.network import Network
from decortex.models.readouts import GridPredictorConfig, ReadoutConfig

# What neuralpredictors adds to a mask's norm before it divides.
_NORM_EPSILON = 1e-6
_COVARIANCES: dict[tuple[int, ...], str] = {(2, 2): "full", (1, 2): "uncorrelated", (1, 1): "isotropic"}
# Tensors of penalties, and counters: nothing that a prediction needs.
_UNUSED = re.compile(
    r"(^|\.)((_input_weights?_regularizer\w*|temporal_regularizer)\..*|num_batches_tracked)$"
)


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


def masks_of(kind: str, config: RebuildConfig) -> Masks:
    """How the masks of factorised readouts are taken.

    Raises
    ------
    ConfigError
        If nobody says whether they were divided by their norm.
    """
    if kind == "factorised_2d" and config.masks is None:
        raise ConfigError(
            "the tensors of a factorised readout do not tell whether its masks were divided by their norm: give"
            ' "masks": "normalised" (normalize=True, the default there) or "free".'
        )
    return config.masks or "free"


def readout_config_of(
    tensors: Mapping[str, ReadoutTensors], n_features: int, config: RebuildConfig
) -> ReadoutConfig:
    """How the readouts of a checkpoint are configured here; the core has ``n_features`` maps."""
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
        steps, rest = divmod(parts["features"].shape[1], n_features)
        if rest or not steps:
            raise CheckpointError(
                f"readouts of {parts['features'].shape[1]} features cannot read a core of {n_features}"
                " maps: 'stack' must name the layers that the network was built with."
            )
        if steps > 1 and config.pool_kernel is None:
            raise ConfigError(
                'pooled readouts do not tell "pool_kernel": give the pool_kern they were built with.'
            )
        return ReadoutConfig(kind="point_pooled", pool_steps=steps - 1, pool_kernel=config.pool_kernel or 2)
    if kind == "factorised_2d":
        return ReadoutConfig(kind="free_mask")
    if kind == "openretina_gaussian_mask" and config.video is not None:
        return ReadoutConfig(kind="factorised")
    raise CheckpointError(
        f"a network with readouts of kind {kind!r} is not rebuilt here: register the readout alone, or name a"
        " builder (docs/how-to/register-your-model.md)."
    )


def _predictor_config(parts: Mapping[str, Tensor], config: RebuildConfig) -> GridPredictorConfig | None:
    weights = [parts[name] for name in sorted(parts) if re.fullmatch(r"mu_transform\.\d{1,4}\.weight", name)]
    if not weights or "source_grid" not in parts:
        return None
    if weights[0].ndim != 2:
        raise CheckpointError(
            f"the grid predictor's weights have shape {tuple(weights[0].shape)}; expected (n_outputs, n_inputs)."
        )
    return GridPredictorConfig(
        input_dimensions=weights[0].shape[1],
        hidden_layers=len(weights) - 1,
        hidden_features=weights[0].shape[0] if len(weights) > 1 else 30,
        final_tanh=config.final_tanh,
    )


@torch.no_grad()
def fill_readout(
    network: Network, name: str, found: SessionReadout, tensors: ReadoutTensors, config: RebuildConfig
) -> None:
    """Put one session's published readout into a network.

    Raises
    ------
    CheckpointError
        If its shapes are not those of the network's readout.
    """
    readout, parts = network.readout(name), tensors.parts
    features = torch.from_numpy(found.features)
    if config.video is not None and config.video.positive_features:
        scale = parts["scale_param"].float().flatten()[:, None]
        features = as_rows(parts["features"], where=f"readout.{name}.features").float().clamp_min(0.0) * scale
    if features.shape != readout.features.shape:
        raise CheckpointError(
            f"the readout of session {name!r} has {features.shape[1]} features per neuron, the core"
            f" {readout.features.shape[1]} maps: give 'stack' as the network was built."
        )
    readout.features.copy_(features)
    bias = parts.get("bias")
    if bias is not None:
        _put(readout.bias, bias.flatten(), f"readout.{name}.bias")
    else:
        readout.bias.zero_()
    readout.bias.add_(config.elu_offset)
    own = dict(readout.named_parameters()) | dict(readout.named_buffers())
    if "sigma" in own:
        sigma, own_sigma = parts["sigma"], own["sigma"]
        same_size = sigma.numel() == own_sigma.numel()
        _put(own_sigma, sigma.reshape(own_sigma.shape) if same_size else sigma, f"readout.{name}.sigma")
    if "source_grid" in own:
        _put(own["source_grid"], parts["source_grid"], f"readout.{name}.source_grid")
        predictor = readout.get_submodule("predictor")
        fill_module(predictor, tensors_under(parts, "mu_transform."), f"grid predictor of {name}")
    elif "position" in own:
        if found.positions is None:
            raise CheckpointError(
                f"the readout of session {name!r} holds no positions ('_mu', 'mu' or 'grid')."
            )
        _put(own["position"], torch.from_numpy(found.positions), f"the positions of {name}")
    elif "mask_logits" in own:
        own["mask_logits"].copy_(_gaussian_logits(parts, own["mask_logits"].shape, name, config))
    elif "mask" in own:
        _fill_mask(own["mask"], spatial_masks(parts), name, config)


def _put(own: Tensor, values: Tensor, what: str) -> None:
    """Copy values into a tensor of the network, which must have their shape."""
    if values.shape != own.shape:
        raise CheckpointError(
            f"{what} has shape {tuple(values.shape)}, the network's readout {tuple(own.shape)}: the tensors are of two"
            " networks, or were changed after training. Save the state dict again."
        )
    own.copy_(values.float())


def _gaussian_logits(
    parts: Mapping[str, Tensor], shape: torch.Size, name: str, config: RebuildConfig
) -> Tensor:
    """Logits of openretina's Gaussian masks: their softmax over cells is the mask, its cut tails included."""
    assert config.video is not None
    grid, mean, log_var = (parts[key].float() for key in ("grid", "mask_mean", "mask_log_var"))
    if grid.ndim != 4 or grid.shape[3] != 2 or mean.shape != (len(grid), 2) or log_var.shape != (len(grid),):
        raise CheckpointError(
            f"the masks of session {name!r} have a grid {tuple(grid.shape)}, means {tuple(mean.shape)} and variances"
            f" {tuple(log_var.shape)}; expected (n_neurons, height, width, 2), (n_neurons, 2) and (n_neurons,)."
        )
    if grid[..., 0].numel() != shape.numel():
        raise CheckpointError(
            f"the masks of session {name!r} are over {tuple(grid.shape[1:3])} cells, the core's maps have {shape[1]}:"
            " give 'image_shape', 'padding' and 'stride' as the network was built; a core that pools is not"
            " rebuilt."
        )
    away = grid - mean[:, None, None] * config.video.mean_scale
    log_var = (log_var * config.video.var_scale).clamp(-20, 20)
    distance = away.square().sum(dim=-1) / (torch.exp(log_var)[:, None, None] + 1e-8)
    return (-0.5 * distance.clamp_max(20)).flatten(1)


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


def tensors_under(state: Mapping[str, Tensor], stem: str) -> NamedTensors:
    """Tensors whose keys begin with a stem, without it, as float32; penalties' and counters' are left out."""
    return NamedTensors(
        getattr(state, "stem", "") + stem,
        {
            key[len(stem) :]: value.float() if value.is_floating_point() else value
            for key, value in state.items()
            if key.startswith(stem) and not _UNUSED.search(key)
        },
    )


def fill_module(module: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load tensors into a module, which must have a place for each and get all of its own.

    Raises
    ------
    CheckpointError
        If shapes differ, tensors are left over or missing.
    """
    _check_shapes(module, state, what)
    missing, unexpected = module.load_state_dict(dict(state), strict=False)
    absent = [key for key in missing if not _UNUSED.search(key)]
    if absent or unexpected:
        raise CheckpointError(
            f"the {what} cannot be rebuilt: without {absent[:4] or 'nothing'}, with {list(unexpected)[:4] or 'nothing'}"
            " that the core cannot take. Its architecture is another; name a builder"
            " (docs/how-to/register-your-model.md)."
        )


def _check_shapes(module: torch.nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    for key, own in module.state_dict().items():
        if key in state and state[key].shape != own.shape:
            raise CheckpointError(
                f"the {what} cannot be rebuilt: {key!r} has shape {tuple(state[key].shape)}, expected"
                f" {tuple(own.shape)}. Give the options that the network was built with."
            )
