"""The stacked 2-D core of neuralpredictors, option for option and key for key, built of plain torch. No training."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from decortex.config import Config
from decortex.errors import CheckpointError, ConfigError
from decortex.models.cores.stacked import LayerConfig, MapGeometry, map_geometry

_Kernel = Annotated[int, Field(ge=1, le=63)]


class Stacked2dConfig(Config):
    """Options of neuralpredictors' ``Stacked2dCore`` and ``SE2dCore`` by their own names.

    Penalties are no part of it, they belong to training; self-attention layers are not rebuilt.
    """

    hidden_channels: int = Field(ge=1, le=4096, description="channels of every layer")
    input_kern: int = Field(ge=1, le=63, description="side of the first layer's kernels, pixels")
    hidden_kern: _Kernel | tuple[_Kernel, ...] = Field(
        description="side of the kernels of the layers after it, one number or one per layer"
    )
    layers: int = Field(default=3, ge=1, le=32, description="number of layers")
    skip: int = Field(default=0, ge=0, le=32, description="above 1: a layer reads this many layers before it")
    stride: int = Field(default=1, ge=1, le=8, description="stride of the layers after the first")
    final_nonlinearity: bool = Field(default=True, description="whether the last layer ends in an ELU")
    elu_shift: tuple[float, float] = Field(default=(0.0, 0.0), description="ELU(x - first) + second")
    bias: bool = Field(
        default=False, description="bias of the convolutions after the first (of all, without batch norm)"
    )
    momentum: float = Field(default=0.1, gt=0, le=1, description="of the batch norms' running statistics")
    pad_input: bool = Field(default=False, description="whether the first layer pads by half its kernel")
    hidden_padding: int | None = Field(
        default=None,
        ge=0,
        le=31,
        description="of the layers after the first; null: half the first hidden kernel",
    )
    batch_norm: bool = Field(default=True, description="batch norm after every convolution")
    batch_norm_scale: bool = Field(default=True, description="whether batch norm learns a scale")
    independent_bn_bias: bool = Field(
        default=True, description="batch norm learns scale and bias whatever bias and batch_norm_scale say"
    )
    hidden_dilation: int = Field(default=1, ge=1, le=8, description="dilation of the layers after the first")
    stack: int | tuple[int, ...] | None = Field(
        default=-1, description="layers that are read out: from this one on, these, or all (null)"
    )
    depth_separable: bool = Field(
        default=False, description="layers after the first: 1x1, a kernel a channel, 1x1"
    )
    linear: bool = Field(default=False, description="no nonlinearity anywhere")
    n_se_blocks: int = Field(default=0, ge=0, le=32, description="last layers that squeeze and excite")
    se_reduction: int = Field(
        default=32, ge=1, le=4096, description="channels over those of their bottleneck"
    )

    @model_validator(mode="after")
    def _fits(self) -> Stacked2dConfig:
        hidden = self.layers - 1
        if isinstance(self.hidden_kern, tuple) and len(self.hidden_kern) != hidden:
            raise ValueError(f"hidden_kern names {len(self.hidden_kern)} kernels for {hidden} hidden layers")
        if not self.stacked_layers or not all(-self.layers <= i < self.layers for i in self.stacked_layers):
            raise ValueError(f"stack {self.stack} names no layer, or one that the {self.layers} layers lack")
        if self.n_se_blocks and self.hidden_channels < self.se_reduction:
            raise ValueError("se_reduction is larger than hidden_channels, which leaves no bottleneck")
        return self

    @property
    def hidden_kernels(self) -> tuple[int, ...]:
        """Kernel side of each layer after the first."""
        if isinstance(self.hidden_kern, tuple):
            return self.hidden_kern
        return (self.hidden_kern,) * (self.layers - 1)

    @property
    def stacked_layers(self) -> tuple[int, ...]:
        """Places of the layers that are read out."""
        if self.stack is None:
            return tuple(range(self.layers))
        return self.stack if isinstance(self.stack, tuple) else tuple(range(self.layers)[self.stack :])

    @property
    def n_features(self) -> int:
        """Channels of the maps that are read out."""
        return self.hidden_channels * len(self.stacked_layers)

    @property
    def padding(self) -> int:
        """Padding of every layer after the first, which follows the first of their kernels."""
        if self.hidden_padding is not None or self.layers == 1:
            return self.hidden_padding or 0
        return ((self.hidden_kernels[0] - 1) * self.hidden_dilation + 1) // 2

    def map_geometry(self, side: int) -> MapGeometry:
        """Follow one axis of the image to the maps that are read out.

        Raises
        ------
        ConfigError
            If a kernel is larger than what reaches it, or the stacked layers have maps of different sizes.
        """
        reach = self.input_kern // 2 if self.pad_input else 0
        steps = [LayerConfig(channels=1, kernel=self.input_kern, padding=reach)]
        for kernel in self.hidden_kernels:
            # A dilated kernel covers what a larger one without gaps would.
            span = (kernel - 1) * self.hidden_dilation + 1
            steps.append(LayerConfig(channels=1, kernel=span, stride=self.stride, padding=self.padding))
        found = {map_geometry(tuple(steps[: i % self.layers + 1]), side) for i in self.stacked_layers}
        if len(found) > 1:
            raise ConfigError(
                f"the layers {self.stacked_layers} have maps of different sizes on {side} pixels and cannot be"
                " read out together. Stack fewer layers, or pad so that sizes stay."
            )
        return found.pop()


class Stacked2dCore(nn.Module):
    """Neuralpredictors' stacked core; its ``state_dict`` has the keys that the package writes.

    The package's key ``_input_weights_regularizer.laplace.filter`` belongs to a penalty and is not among them.

    Parameters
    ----------
    n_image_channels : int
        Channels of the images.
    config : Stacked2dConfig
        Architecture.
    """

    def __init__(self, n_image_channels: int, config: Stacked2dConfig) -> None:
        super().__init__()
        self.config = config
        self.features = nn.Sequential()
        for place in range(config.layers):
            self.features.add_module(f"layer{place}", _layer(place, n_image_channels, config))

    def start(self, generator: torch.Generator) -> None:
        """Draw weights anew: normal, with the variance of Glorot & Bengio (2010); biases are zero."""
        with torch.no_grad():
            for module in self.modules():
                if isinstance(module, nn.Conv2d):
                    taps = module.weight[0, 0].numel()
                    fans = taps * (module.weight.shape[0] + module.weight.shape[1])
                    module.weight.normal_(0.0, (2.0 / fans) ** 0.5, generator=generator)
                    if module.bias is not None:
                        module.bias.zero_()
                elif isinstance(module, nn.Linear):
                    bound = module.in_features**-0.5
                    module.weight.uniform_(-bound, bound, generator=generator)
                    module.bias.zero_()

    def forward(self, images: Tensor) -> Tensor:
        """Compute feature maps, (batch, n_features, map height, map width), from (batch, channels, h, w)."""
        # On a CPU depth-separable convolutions run faster on this layout; the numbers are the same.
        x = images.contiguous(memory_format=torch.channels_last)
        outputs: list[Tensor] = []
        for place, layer in enumerate(self.features):
            if place and self.config.skip > 1:
                x = torch.cat(outputs[-min(self.config.skip, place) :], dim=1)
            x = layer(x)
            outputs.append(x)
        return torch.cat([outputs[place] for place in self.config.stacked_layers], dim=1)


class ShiftedELU(nn.Module):
    """ELU(x - right) + up."""

    def __init__(self, right: float, up: float) -> None:
        super().__init__()
        self.right, self.up = right, up

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return functional.elu(x - self.right) + self.up


class ChannelOffset(nn.Module):
    """A learned number per channel that is added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bias = nn.Parameter(torch.zeros(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return x + self.bias


class ChannelScale(nn.Module):
    """A learned number per channel that multiplies."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1, channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Apply it."""
        return x * self.scale


class SqueezeExcitation(nn.Module):
    """Channels weighted by what their means over the map say (Hu, Shen & Sun 2018)."""

    def __init__(self, channels: int, reduction: int) -> None:
        super().__init__()
        inner = channels // reduction
        # The first place is the mean over the map, which has no parameters.
        self.se = nn.Sequential(
            nn.Identity(), nn.Linear(channels, inner), nn.ReLU(), nn.Linear(inner, channels), nn.Sigmoid()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Apply it to maps (batch, channels, height, width)."""
        weights: Tensor = self.se(x.mean(dim=(2, 3)))
        return x * weights[:, :, None, None]


def _layer(place: int, n_image_channels: int, config: Stacked2dConfig) -> nn.Sequential:
    layer = nn.Sequential()
    channels = config.hidden_channels
    if place == 0:
        padding = config.input_kern // 2 if config.pad_input else 0
        with_bias = config.bias and not config.batch_norm
        conv = nn.Conv2d(n_image_channels, channels, config.input_kern, padding=padding, bias=with_bias)
        layer.add_module("conv", conv)
    else:
        n_inputs = channels * (min(config.skip, place) if config.skip > 1 else 1)
        name = "ds_conv" if config.depth_separable else "conv"
        layer.add_module(name, _hidden_convolution(n_inputs, config.hidden_kernels[place - 1], config))
    if config.batch_norm:
        affine = config.independent_bn_bias or (config.bias and config.batch_norm_scale)
        layer.add_module("norm", nn.BatchNorm2d(channels, momentum=config.momentum, affine=affine))
        if not config.independent_bn_bias and config.bias and not config.batch_norm_scale:
            layer.add_module("bias", ChannelOffset(channels))
        if not config.independent_bn_bias and not config.bias and config.batch_norm_scale:
            layer.add_module("scale", ChannelScale(channels))
    if not config.linear and (place < config.layers - 1 or config.final_nonlinearity):
        layer.add_module("nonlin", ShiftedELU(*config.elu_shift))
    if place and config.layers - place <= config.n_se_blocks:
        layer.add_module("seg_ex_block", SqueezeExcitation(channels, config.se_reduction))
    return layer


def _hidden_convolution(n_inputs: int, kernel: int, config: Stacked2dConfig) -> nn.Module:
    channels = config.hidden_channels
    where = {"stride": config.stride, "padding": config.padding, "dilation": config.hidden_dilation}
    if not config.depth_separable:
        return nn.Conv2d(n_inputs, channels, kernel, bias=config.bias, **where)  # type: ignore[arg-type]
    parts = nn.Sequential()
    parts.add_module("in_depth_conv", nn.Conv2d(n_inputs, channels, 1, bias=config.bias))
    spatial = nn.Conv2d(channels, channels, kernel, groups=channels, bias=config.bias, **where)  # type: ignore[arg-type]
    parts.add_module("spatial_conv", spatial)
    parts.add_module("out_depth_conv", nn.Conv2d(channels, channels, 1, bias=config.bias))
    return parts


# What the tensors alone do not tell; whoever registers a checkpoint does. (Nor ``momentum``, which predicts nothing.)
UNTOLD = (
    "pad_input",
    "hidden_padding",
    "stride",
    "hidden_dilation",
    "stack",
    "final_nonlinearity",
    "elu_shift",
    "linear",
)


def told_by_tensors(state: Mapping[str, Tensor]) -> dict[str, object]:
    """Options of a stacked core that the shapes of its tensors tell.

    Parameters
    ----------
    state : mapping of str to Tensor
        The core's state dict, keys ``features.layer<i>...``.

    Returns
    -------
    dict
        Every option of `Stacked2dConfig` but `UNTOLD` and ``momentum``.

    Raises
    ------
    CheckpointError
        If the tensors are not those of a stacked core of convolutions.
    """
    places = sorted(
        {int(found[1]) for key in state if (found := re.match(r"features\.layer(\d{1,4})\.", key))}
    )
    if places != list(range(len(places))) or "features.layer0.conv.weight" not in state:
        raise CheckpointError(
            "the core is not a stack of convolutions 'core.features.layer<i>.conv' or '.ds_conv'"
            f" (it has {sorted(state)[:6]}). Name a builder that builds it (docs/how-to/register-your-model.md)."
        )
    first = _kernels(state, "features.layer0.conv.weight")
    names = {key.split(".", 2)[2] for key in state if key.startswith("features.layer1.")}
    separable = any(name.startswith("ds_conv.") for name in names)
    if len(places) > 1 and not separable and "conv.weight" not in names:
        raise CheckpointError(
            f"the core's second layer is no convolution that can be rebuilt (it has {sorted(names)[:6]});"
            " self-attention layers need a builder (docs/how-to/register-your-model.md)."
        )
    leaf = "ds_conv.spatial_conv.weight" if separable else "conv.weight"
    reads = "ds_conv.in_depth_conv.weight" if separable else "conv.weight"
    kernels = tuple(int(_kernels(state, f"features.layer{place}.{leaf}").shape[-1]) for place in places[1:])
    reach = [
        int(_kernels(state, f"features.layer{place}.{reads}").shape[1]) // len(first) for place in places[1:]
    ]
    normed = "features.layer0.norm.running_mean" in state
    affine = "features.layer0.norm.weight" in state
    bias_leaf = leaf.removesuffix("weight") + "bias"
    bottlenecks = [key for key in state if key.endswith("seg_ex_block.se.1.weight")]
    return {
        "hidden_channels": len(first),
        "input_kern": int(first.shape[-1]),
        "hidden_kern": kernels if len(set(kernels)) > 1 else next(iter(kernels), 1),
        "layers": len(places),
        "skip": max(reach, default=0) if max(reach, default=0) > 1 else 0,
        "bias": bias_leaf in names
        or bool({"features.layer0.conv.bias", "features.layer0.bias.bias"} & set(state)),
        "batch_norm": normed,
        "independent_bn_bias": not normed or affine,
        "batch_norm_scale": affine or "features.layer0.scale.scale" in state,
        "depth_separable": separable,
        "n_se_blocks": len(bottlenecks),
        "se_reduction": len(first) // len(_kernels(state, bottlenecks[0], n_axes=2)) if bottlenecks else 32,
    }


def _kernels(state: Mapping[str, Tensor], key: str, *, n_axes: int = 4) -> Tensor:
    """Weights of a layer of the core, which must be there and have so many axes."""
    found = state.get(key)
    if found is None or found.ndim != n_axes or not found.numel():
        what = "absent" if found is None else f"of shape {tuple(found.shape)}"
        raise CheckpointError(
            f"the core's weights {key!r} are {what}; a layer that can be rebuilt has some, in {n_axes} axes. Save the"
            " whole state dict, or name a builder (docs/how-to/register-your-model.md)."
        )
    return found
