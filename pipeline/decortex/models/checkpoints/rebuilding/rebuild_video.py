"""Space-time cores out of published checkpoints: neuralpredictors' and openretina's convolutions, by key and shape.

Every published core becomes a `decortex.models.cores.SpaceTimeCore` with its weights in it; nothing of their code runs.
Keys and formulas: sinzlab/neuralpredictors a2055cd (``Factorized3dCore``, ``Basic3dCore``) and open-retina/open-retina
0aadd97 (``SimpleCoreWrapper`` with its convolutions 'custom_separable', 'separable' and 'full').
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints.positions import NamedTensors
from decortex.models.checkpoints.rebuilding.rebuild_config import VideoOptions
from decortex.models.cores import SpaceTimeConfig

# openretina's temporal kernels are sums of a third as many sines and cosines as they have frames.
_FRAMES_PER_WAVE = 3
_LAYER = re.compile(r"^features\.layer(?P<layer>\d{1,4})\.(?P<name>.+)$")
_NORM = ("weight", "bias", "running_mean", "running_var")


def is_video_core(state: Mapping[str, Tensor]) -> bool:
    """Whether the tensors of a core, without the prefix ``core.``, convolve in time as well."""
    return any(
        name.endswith(("conv.sin_weights", "conv.time_conv.weight", "conv.conv.weight"))
        or (re.search(r"\.conv(_spatial|_temporal)?(_\d+)?\.weight$", name) is not None and value.ndim == 5)
        for name, value in state.items()
    )


def space_time_core(
    state: Mapping[str, Tensor], options: VideoOptions
) -> tuple[SpaceTimeConfig, dict[str, Tensor], int]:
    """Read a published space-time core.

    Parameters
    ----------
    state : mapping of str to Tensor
        The core's tensors, without the prefix ``core.``.
    options : VideoOptions
        What they do not tell: padding, strides, dilation.

    Returns
    -------
    config : SpaceTimeConfig
        The same core here.
    weights : dict of str to Tensor
        State dict of that core.
    n_channels : int
        Channels of the movie that it reads.

    Raises
    ------
    CheckpointError
        If a layer is of no kind that is known, or holds tensors that are unknown here.
    ConfigError
        If an option names more layers than there are, or does not fit its convolution.
    """
    layers = _layers(state)
    for name, values in options.per_layer().items():
        if values is not None and len(values) != len(layers):
            raise ConfigError(f"{name} names {len(values)} layers, the core has {len(layers)}.")
    configs: list[dict[str, Any]] = []
    weights: dict[str, Tensor] = {}
    n_channels = 0
    for number, tensors in enumerate(layers):
        left = NamedTensors(f"core.features.layer{number}.", tensors)
        config, found, n_inputs = _convolution(left, number, options)
        n_channels = n_channels or n_inputs
        norm = _norm(left)
        config |= {"norm": "affine" if norm else "none", **options.of_layer(number, len(layers))}
        if left:
            raise CheckpointError(
                f"layer {number} of the core holds {sorted(left)[:4]}, which a space-time layer here does not have:"
                " its architecture is another; name a builder (docs/how-to/register-your-model.md)."
            )
        if not norm:  # a layer without a norm has a bias here, whether or not the original had one
            last = "time.bias" if config["form"] == "separable" else "both.bias"
            found.setdefault(last, torch.zeros(config["channels"]))
        configs.append(config)
        weights |= {f"stages.{number}.{key}": value for key, value in (found | norm).items()}
    core = SpaceTimeConfig.from_params({"layers": configs, "warm_up": options.warm_up})
    return core, weights, n_channels


def temporal_kernel(sines: Tensor, cosines: Tensor, frames: int, log_speed: Tensor) -> Tensor:
    r"""Temporal kernels of openretina's 'custom_separable' convolution (Höfling et al. 2024).

    .. math:: k(t) = m(t) \sum_j a_j \sin(2\pi j s t / L) + b_j \cos(2\pi j s t / L), \quad
       m(t) = 1 / (1 + e^{-t - \lfloor .95 L \rfloor / s}), \quad t = -L, \dots, -1, \quad s = e^{\text{log speed}}

    Parameters
    ----------
    sines, cosines : Tensor, shape (n_outputs, n_inputs, L // 3)
        a and b.
    frames : int
        L.
    log_speed : Tensor, shape (1,)
        Logarithm of the stretch.

    Returns
    -------
    Tensor, shape (n_outputs, n_inputs, L)
    """
    stretch = torch.exp(log_speed)
    time = torch.arange(frames, dtype=torch.float32) - frames
    mask = 1 / (1 + torch.exp(-time - int(frames * 0.95) / stretch))
    phase = stretch * time * 2 * math.pi / frames
    waves = torch.arange(sines.shape[2])[:, None] * phase
    kernel: Tensor = sines @ (mask * torch.sin(waves)) + cosines @ (mask * torch.cos(waves))
    return kernel


def _layers(state: Mapping[str, Tensor]) -> list[dict[str, Tensor]]:
    """Tensors of each layer, without the layer's number in their names."""
    found: dict[int, dict[str, Tensor]] = {}
    for key, value in state.items():
        match = _LAYER.match(key)
        if match is None:
            raise CheckpointError(
                f"the core holds {key!r}, which a stack of space-time layers does not have: its architecture is"
                " another; name a builder (docs/how-to/register-your-model.md)."
            )
        number = int(match["layer"])
        name = re.sub(rf"^(conv\w*?)_{number}(?=\.)", r"\1", match["name"])
        if name in found.setdefault(number, {}):
            raise CheckpointError(
                f"layer {number} of the core holds {name!r} twice, with its number and without. Save the state dict"
                " again."
            )
        found[number][name] = value
    if sorted(found) != list(range(len(found))):
        raise CheckpointError(
            f"the core's layers should be numbered from 0 without gaps, they are {sorted(found)}."
        )
    return [found[number] for number in range(len(found))]


def _convolution(
    left: NamedTensors, number: int, options: VideoOptions
) -> tuple[dict[str, Any], dict[str, Tensor], int]:
    """Take a layer's convolution out of its tensors: configuration, weights by our names, channels that it reads."""
    if any(name.startswith("conv.log_speed_") for name in left):
        raise CheckpointError(
            f"layer {number} of the core has a speed per session (log_speed_<session>): sessions do not share one core."
            " Register the readout alone."
        )
    speed = left.pop("conv._log_speed_default", torch.zeros(1))
    if speed.numel() != 1:
        raise CheckpointError(f"layer {number} of the core has {speed.numel()} speeds; one was expected.")
    if "conv_spatial.weight" in left:
        space, time = _space(left, "conv_spatial.weight")[:, :, 0], _time(left, "conv_temporal.weight")
        found = {"space.weight": space, "time.weight": time}
        biases = {
            "space.bias": left.pop("conv_spatial.bias", None),
            "time.bias": left.pop("conv_temporal.bias", None),
        }
        found |= {name: bias for name, bias in biases.items() if bias is not None}
        return _separable(found, bias="space.bias" in found), found, space.shape[1]
    if "conv.space_conv.weight" in left:
        space = _space(left, "conv.space_conv.weight")[:, :, 0]
        found = {
            "space.weight": space,
            "time.weight": torch.exp(speed) * _time(left, "conv.time_conv.weight"),
        }
        return _separable(found, bias=False), found, space.shape[1]
    if "conv.sin_weights" in left:
        space = _space(left, "conv.weight_spatial")
        if options.frames is None:
            raise ConfigError(
                "the tensors of a 'custom_separable' convolution do not tell how many frames it spans (a third as many"
                ' sines are kept): give "frames", one number per layer, as temporal_kernel_sizes was.'
            )
        frames = options.frames[number]
        sines, cosines = (_weights(left, f"conv.{name}_weights", n_axes=3) for name in ("sin", "cos"))
        if frames // _FRAMES_PER_WAVE != sines.shape[2]:
            raise CheckpointError(
                f"a kernel over {frames} frames has {frames // _FRAMES_PER_WAVE} sines, layer {number} of the core has"
                f" {sines.shape[2]}: give the temporal_kernel_sizes that the network was built with."
            )
        if cosines.shape != sines.shape or space.shape[:2] != sines.shape[:2]:
            raise CheckpointError(
                f"layer {number} of the core has sines {tuple(sines.shape)}, cosines {tuple(cosines.shape)} and spatial"
                f" kernels {tuple(space.shape)}, which are not of one convolution. Save the state dict again."
            )
        time = temporal_kernel(sines, cosines, frames, speed)
        weight = time[:, :, :, None, None] * space
    else:
        name = "conv.conv.weight" if "conv.conv.weight" in left else "conv.weight"
        if name not in left or left[name].ndim != 5:
            raise CheckpointError(
                f"layer {number} of the core holds {sorted(left)[:4]}: no convolution in space and time that is known"
                " here. Name a builder (docs/how-to/register-your-model.md), or register the readout alone."
            )
        weight = left.take(name)
    found = {"both.weight": weight}
    bias = left.pop("conv.bias", None)
    if bias is not None:
        found["both.bias"] = bias
    _check_square(weight.shape[3:])
    config = {
        "form": "full",
        "channels": weight.shape[0],
        "frames": weight.shape[2],
        "kernel": weight.shape[3],
        "bias": bias is not None,
    }
    return config, found, weight.shape[1]


def _space(left: NamedTensors, name: str) -> Tensor:
    """Take kernels over height and width of one frame, (n_outputs, n_inputs, 1, height, width)."""
    found = _weights(left, name)
    return _one_wide(
        found, (2,), f"{left.stem}{name}", "of one frame: (n_outputs, n_inputs, 1, height, width)"
    )


def _time(left: NamedTensors, name: str) -> Tensor:
    """Take kernels over frames of one pixel, as (n_outputs, n_inputs, frames, 1)."""
    found = _weights(left, name)
    return _one_wide(
        found, (3, 4), f"{left.stem}{name}", "of one pixel: (n_outputs, n_inputs, frames, 1, 1)"
    )[..., 0]


def _one_wide(found: Tensor, axes: tuple[int, ...], name: str, expected: str) -> Tensor:
    if any(found.shape[axis] != 1 for axis in axes):
        raise CheckpointError(
            f"{name} has shape {tuple(found.shape)}; expected kernels {expected}. Its architecture is another; name a"
            " builder (docs/how-to/register-your-model.md)."
        )
    return found


def _weights(left: NamedTensors, name: str, *, n_axes: int = 5) -> Tensor:
    """Take weights with so many axes, none of them empty, out of a layer's tensors."""
    found = left.take(name)
    if found.ndim != n_axes or not found.numel():
        raise CheckpointError(
            f"{left.stem}{name} has shape {tuple(found.shape)}; a layer that can be rebuilt has some, in {n_axes} axes."
            " Name a builder (docs/how-to/register-your-model.md)."
        )
    return found


def _separable(found: Mapping[str, Tensor], *, bias: bool) -> dict[str, Any]:
    space, time = found["space.weight"], found["time.weight"]
    _check_square(space.shape[2:])
    return {
        "form": "separable",
        "channels": space.shape[0],
        "kernel": space.shape[2],
        "frames": time.shape[2],
        "bias": bias,
    }


def _check_square(sides: torch.Size) -> None:
    if sides[0] != sides[1]:
        raise CheckpointError(
            f"kernels here are square, the core's are {tuple(sides)} pixels; name a builder."
        )


def _norm(left: NamedTensors) -> dict[str, Tensor]:
    """Take the batch norm, and the bias or scale that a layer of its own adds behind it, out of a layer's tensors."""
    if "norm.running_mean" not in left:
        return {}
    norm = {f"norm.{name}": left.take(f"norm.{name}") for name in _NORM if f"norm.{name}" in left}
    n = norm["norm.running_mean"].numel()
    norm.setdefault("norm.weight", torch.ones(n))
    norm.setdefault("norm.bias", torch.zeros(n))
    bias = left.pop("bias.bias", torch.zeros(n)).flatten()
    scale = left.pop("scale.scale", torch.ones(n)).flatten()
    if {len(bias), len(scale), *(one.numel() for one in norm.values())} != {n}:
        shapes = {name: tuple(one.shape) for name, one in norm.items()}
        raise CheckpointError(
            f"{left.stem}norm has values for different numbers of channels: {shapes}, bias {len(bias)}, scale"
            f" {len(scale)}. Save the state dict again."
        )
    norm["norm.bias"] = norm["norm.bias"] + bias
    return norm | {name: scale * norm[name] for name in ("norm.weight", "norm.bias")}
