"""Space-time convolutional cores: clips in, feature maps per frame out. Nothing here knows a neuron."""

from __future__ import annotations

from typing import Literal

import torch
from pydantic import Field, model_validator
from torch import Tensor, nn
from torch.nn import functional

from decortex.config import Config
from decortex.errors import ConfigError
from decortex.models.cores.equivariant import SharedNorm, TurnedConv
from decortex.models.cores.kernels import KernelBasis
from decortex.models.cores.stacked import NONLINEARITIES, LayerConfig


class SpaceTimeLayerConfig(LayerConfig):
    """One layer: convolution in space and in time, batch norm, nonlinearity, average pooling in space."""

    channels: int = Field(
        ge=1, le=4096, description="output channels; of a rotation-equivariant core, features per orientation"
    )
    kernel: int = Field(ge=1, le=63, description="side of the square kernel, pixels of this layer's input")
    frames: int = Field(ge=1, le=255, description="frames that the kernel spans")
    form: Literal["separable", "full"] = Field(
        default="separable",
        description="a spatial convolution and then a temporal one that mixes its channels, or one kernel in space and"
        " time",
    )
    dilation: int = Field(default=1, ge=1, le=32, description="pixels from one tap of the kernel to the next")
    time_dilation: int = Field(
        default=1, ge=1, le=32, description="frames from one tap of the kernel to the next"
    )
    time_padding: int = Field(
        default=0,
        ge=0,
        le=255,
        description="frames of zeros at both ends; above 0 the layer sees as many frames of the future (published cores"
        " that do are rebuilt so)",
    )
    bias: bool = Field(default=False, description="biases of the convolutions beside those of a norm")
    late_padding: int = Field(
        default=0,
        ge=0,
        le=31,
        description="zeros around the maps between convolution and norm, so that they grow; of published cores",
    )

    @property
    def growth(self) -> int:
        """Zeros that come around the maps behind the convolutions."""
        return self.late_padding

    @property
    def reach(self) -> int:
        """Pixels from the first to the last tap of the kernel."""
        return (self.kernel - 1) * self.dilation + 1

    @model_validator(mode="after")
    def _is_possible(self) -> SpaceTimeLayerConfig:
        if self.separable:
            raise ValueError("'separable' is of images; space and time are apart where form is 'separable'")
        if 2 * self.time_padding > self.span - 1:
            raise ValueError(
                f"{self.time_padding} frames of padding at both ends are more than a kernel over {self.span} loses"
            )
        return self

    @property
    def span(self) -> int:
        """Frames from the first to the last tap of the kernel."""
        return (self.frames - 1) * self.time_dilation + 1


class SpaceTimeConfig(Config):
    """A core of space-time layers."""

    layers: tuple[SpaceTimeLayerConfig, ...] = Field(min_length=1, description="from the movie upwards")
    warm_up: int = Field(
        default=0,
        ge=0,
        le=10000,
        description="frames at the start of every clip whose responses belong to what was shown before it: they are"
        " neither trained on nor scored; as many as the core's lag never are",
    )

    @property
    def lag(self) -> int:
        """Frames at the start of a clip that the core predicts nothing for: n frames give n - lag predictions."""
        return sum(layer.span - 1 - 2 * layer.time_padding for layer in self.layers)

    @property
    def future(self) -> int:
        """Frames after the one that is predicted that the core sees; 0: causal."""
        return sum(layer.time_padding for layer in self.layers)

    @property
    def skipped(self) -> int:
        """Frames at the start of every clip that are neither trained on nor scored: warm-up, or the lag if longer."""
        return max(self.warm_up, self.lag)

    @property
    def first_frame(self) -> int:
        """First frame of a clip that is shown, so that the first prediction is of frame `skipped`."""
        return self.skipped - self.lag


class SpaceTimeCore(nn.Module):
    """A stack of space-time layers shared by all sessions.

    Without padding in time prediction t sees the frames t - lag to t and no later one. Predictions belong to the last
    frames of a clip: n frames give n - lag of them.

    Parameters
    ----------
    n_image_channels : int
        Channels of the movie.
    config : SpaceTimeConfig
        Layers.
    n_orientations : int, optional
        O, for a rotation-equivariant core: map o F + f is feature f turned by 2 pi o / O, and so is the direction of
        motion that it prefers. Turning the movie turns the maps and rolls their orientations.
    basis : {'pixels', 'hermite'}
        Of a rotation-equivariant core's spatial kernels.
    """

    def __init__(
        self,
        n_image_channels: int,
        config: SpaceTimeConfig,
        *,
        n_orientations: int | None = None,
        basis: KernelBasis = "pixels",
    ) -> None:
        super().__init__()
        self.config = config
        stages: list[nn.Module] = []
        n_inputs, input_orientations = n_image_channels, 1
        for layer in config.layers:
            turned = None if n_orientations is None else (input_orientations, n_orientations, basis)
            stages.append(_Stage(n_inputs, layer, turned))
            n_inputs, input_orientations = layer.channels, n_orientations or 1
        self.stages = nn.Sequential(*stages)

    @property
    def lag(self) -> int:
        """Frames at the start of a clip that nothing is predicted for."""
        return self.config.lag

    def start(self, generator: torch.Generator) -> None:
        """Draw weights anew, uniform within one over the square root of the fan-in; biases are zero."""
        for module in self.modules():
            if isinstance(module, TurnedConv):
                module.start(generator)
            elif isinstance(module, nn.Conv2d | nn.Conv3d):
                bound = module.weight[0].numel() ** -0.5
                with torch.no_grad():
                    module.weight.uniform_(-bound, bound, generator=generator)
                    if module.bias is not None:
                        module.bias.zero_()

    def forward(self, clips: Tensor) -> Tensor:
        """Compute feature maps, (batch, n_features, n_frames - lag, map height, map width), from clips.

        Parameters
        ----------
        clips : Tensor, shape (batch, n_channels, n_frames, height, width)
            Longer than the lag.
        """
        maps: Tensor = self.stages(clips)
        return maps


class TurnedTimeConv(TurnedConv):
    """Convolution in time of maps at O orientations: orientation o reads p with the coefficients of p - o.

    Parameters
    ----------
    n_features : int
        Features per orientation, in and out.
    n_orientations : int
        O.
    frames, dilation, padding : int
        Of the kernel in time.
    with_bias : bool
        Whether there is a bias, one per feature.
    """

    def __init__(
        self,
        n_features: int,
        n_orientations: int,
        *,
        frames: int,
        dilation: int,
        padding: int,
        with_bias: bool,
    ) -> None:
        super().__init__(
            n_features,
            n_features,
            input_orientations=n_orientations,
            n_orientations=n_orientations,
            side=1,
            with_bias=with_bias,
        )
        # turning an image leaves time as it is
        self.register_buffer("bank", torch.eye(frames).expand(n_orientations, -1, -1), persistent=False)
        self.coefficients = nn.Parameter(torch.zeros(n_features, n_orientations, n_features, frames))
        self.kernel_shape = (frames, 1)
        self.dilation, self.time_padding = dilation, padding

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve (batch, O * F, n_frames, n_pixels) along its frames."""
        bias = None if self.bias is None else self.bias.repeat(self.n_orientations)
        return functional.conv2d(
            maps, self.kernels(), bias, padding=(self.time_padding, 0), dilation=(self.dilation, 1)
        )


class _Stage(nn.Module):
    """Convolutions, norm, nonlinearity, pooling of one layer."""

    def __init__(
        self,
        n_inputs: int,
        layer: SpaceTimeLayerConfig,
        turned: tuple[int, int, KernelBasis] | None,
    ) -> None:
        super().__init__()
        self.layer = layer
        bias = layer.bias or layer.norm == "none"
        padding, n = layer.time_padding, layer.channels
        if turned is not None:
            if layer.form == "full":
                raise ConfigError(
                    "a rotation-equivariant space-time core has layers of form 'separable' only."
                )
            if layer.dilation > 1:
                raise ConfigError(
                    f"a rotation-equivariant core turns whole kernels: dilation {layer.dilation} is of plain cores."
                )
            input_orientations, n_orientations, basis = turned
            self.space: nn.Module = TurnedConv(
                n_inputs,
                n,
                input_orientations=input_orientations,
                n_orientations=n_orientations,
                side=layer.kernel,
                stride=layer.stride,
                padding=layer.padding,
                basis=basis,
                with_bias=layer.bias,
            )
            self.time: nn.Module = TurnedTimeConv(
                n,
                n_orientations,
                frames=layer.frames,
                dilation=layer.time_dilation,
                padding=padding,
                with_bias=bias,
            )
            norm: nn.Module = SharedNorm(n, n_orientations, affine=layer.norm == "affine")
        elif layer.form == "separable":
            self.space = nn.Conv2d(
                n_inputs, n, layer.kernel, layer.stride, layer.padding, layer.dilation, bias=layer.bias
            )
            self.time = nn.Conv2d(
                n, n, (layer.frames, 1), padding=(padding, 0), dilation=(layer.time_dilation, 1), bias=bias
            )
            norm = nn.BatchNorm2d(n, affine=layer.norm == "affine")
        else:
            self.both = nn.Conv3d(
                n_inputs,
                n,
                (layer.frames, layer.kernel, layer.kernel),
                stride=(1, layer.stride, layer.stride),
                padding=(padding, layer.padding, layer.padding),
                dilation=(layer.time_dilation, layer.dilation, layer.dilation),
                bias=bias,
            )
            norm = nn.BatchNorm2d(n, affine=layer.norm == "affine")
        self.norm = nn.Identity() if layer.norm == "none" else norm
        self.nonlinearity = NONLINEARITIES[layer.nonlinearity]()

    def forward(self, clips: Tensor) -> Tensor:
        """From (batch, channels, n_frames, height, width) to the same of the next layer."""
        if self.layer.form == "full":
            maps: Tensor = self.both(clips)
            batch, channels, _, height, width = maps.shape
            flat = maps.reshape(batch, channels, -1, height * width)
        else:
            # Convolutions in two dimensions, on time folded into the batch and on space folded into one axis: on a
            # CPU several times as fast as one in three.
            batch, channels, n_frames, height, width = clips.shape
            frames = clips.transpose(1, 2).reshape(batch * n_frames, channels, height, width)
            seen: Tensor = self.space(frames)
            channels, height, width = seen.shape[1:]
            seen = seen.reshape(batch, n_frames, channels, height * width).transpose(1, 2)
            flat = self.time(seen)
        if self.layer.late_padding:
            grown = functional.pad(
                flat.reshape(*flat.shape[:3], height, width), (self.layer.late_padding,) * 4
            )
            height, width = grown.shape[3:]
            flat = grown.flatten(3)
        flat = self.nonlinearity(self.norm(flat))
        out: Tensor = flat.reshape(batch, flat.shape[1], flat.shape[2], height, width)
        if self.layer.pool == 1:
            return out
        pooled: Tensor = functional.avg_pool3d(out, (1, self.layer.pool, self.layer.pool))
        return pooled
