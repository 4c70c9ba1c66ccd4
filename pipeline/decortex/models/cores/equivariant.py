"""Rotation-equivariant core: turning the image turns the maps and rolls their orientations. Knows no neuron."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from decortex.errors import ConfigError
from decortex.models.cores.kernels import KernelBasis, turned_basis
from decortex.models.cores.stacked import NONLINEARITIES, LayerConfig, map_geometry


class EquivariantCore(nn.Module):
    """Stacked group convolutions over O rotations (Cohen & Welling 2016; Ecker et al. 2019).

    A map's channel o F + f is feature f at orientation o. Turning the image by 360/O degrees counter-clockwise
    turns the maps and rolls their orientations by one: exactly, up to rounding, for multiples of 90 degrees.

    Parameters
    ----------
    n_image_channels : int
        Channels of the images.
    layers : tuple of LayerConfig
        From the image upwards; ``channels`` counts features, each at O orientations.
    n_orientations : int
        O, a multiple of four.
    basis : {'pixels', 'hermite'}
        What kernels are made of, see `decortex.models.cores.kernels.turned_basis`.
    """

    def __init__(
        self, n_image_channels: int, layers: tuple[LayerConfig, ...], n_orientations: int, basis: KernelBasis
    ) -> None:
        super().__init__()
        stages: list[nn.Module] = []
        n_inputs, input_orientations = n_image_channels, 1
        for layer in layers:
            stages.append(_Stage(n_inputs, input_orientations, layer, n_orientations, basis))
            n_inputs, input_orientations = layer.channels, n_orientations
        self.stages = nn.Sequential(*stages)

    def start(self, generator: torch.Generator) -> None:
        """Draw coefficients anew; kernels have the variance of uniform ones within 1/sqrt(fan-in)."""
        for module in self.modules():
            if isinstance(module, TurnedConv):
                module.start(generator)

    def forward(self, images: Tensor) -> Tensor:
        """Compute feature maps, (batch, O * F, map height, map width), from (batch, channels, h, w)."""
        features: Tensor = self.stages(images)
        return features


class TurnedConv(nn.Module):
    """A convolution whose kernels are one set of coefficients at every orientation.

    The kernel of output orientation o is turned by o, and reads input orientation p with the coefficients of
    p - o. On images, which have no orientations, it is turned only.

    Parameters
    ----------
    n_inputs, n_outputs : int
        Features.
    input_orientations : int
        1 for images, else O.
    n_orientations : int
        O.
    side, stride, padding : int
        As of a convolution.
    depthwise : bool
        Whether every feature reads itself only, at its own orientation; then n_outputs is n_inputs.
    basis : {'pixels', 'hermite'}
        Functions that the kernels are made of.
    with_bias : bool
        Whether there is a bias, one per feature.
    """

    bank: Tensor

    def __init__(
        self,
        n_inputs: int,
        n_outputs: int,
        *,
        input_orientations: int,
        n_orientations: int,
        side: int,
        stride: int = 1,
        padding: int = 0,
        depthwise: bool = False,
        basis: KernelBasis = "pixels",
        with_bias: bool = False,
    ) -> None:
        super().__init__()
        self.n_orientations, self.side, self.stride, self.padding = n_orientations, side, stride, padding
        self.depthwise = depthwise
        self.kernel_shape = (side, side)
        bank = torch.from_numpy(turned_basis(side, n_orientations, basis)).float()
        self.register_buffer("bank", bank, persistent=False)
        shape = (n_outputs, 1, 1) if depthwise else (n_outputs, input_orientations, n_inputs)
        self.coefficients = nn.Parameter(torch.zeros(*shape, bank.shape[2]))
        self.bias = nn.Parameter(torch.zeros(n_outputs)) if with_bias else None

    def start(self, generator: torch.Generator) -> None:
        """Draw the coefficients; biases are zero."""
        n_functions = self.coefficients.shape[3]
        fan_in = self.coefficients[0].numel()
        energy = self.bank[0].square().sum()  # of a kernel whose coefficients have variance one
        bound = (n_functions / energy) ** 0.5 * fan_in**-0.5
        with torch.no_grad():
            self.coefficients.uniform_(-float(bound), float(bound), generator=generator)

    def kernels(self) -> Tensor:
        """Kernels, (O * n_outputs, input channels per group, side, side)."""
        turned = torch.einsum("okb,fpib->ofpik", self.bank, self.coefficients)
        if not self.depthwise and turned.shape[2] > 1:
            turned = torch.stack([kernel.roll(o, dims=1) for o, kernel in enumerate(turned)])
        n_outputs = turned.shape[0] * turned.shape[1]
        return turned.reshape(n_outputs, -1, *self.kernel_shape)

    def forward(self, maps: Tensor) -> Tensor:
        """Convolve, (batch, O * n_outputs, height, width)."""
        bias = None if self.bias is None else self.bias.repeat(self.n_orientations)
        groups = maps.shape[1] if self.depthwise else 1
        return functional.conv2d(
            maps, self.kernels(), bias, stride=self.stride, padding=self.padding, groups=groups
        )


class SharedNorm(nn.Module):
    """Batch norm of features, shared over their orientations."""

    def __init__(self, n_features: int, n_orientations: int, *, affine: bool) -> None:
        super().__init__()
        self.n_orientations = n_orientations
        self.norm = nn.BatchNorm2d(n_features, affine=affine)

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (batch, O * F, height, width)."""
        batch, _, height, width = maps.shape
        folded = maps.reshape(batch * self.n_orientations, -1, height, width)
        normed: Tensor = self.norm(folded)
        return normed.reshape(maps.shape)


class _Stage(nn.Sequential):
    """Convolution, norm, nonlinearity, pooling."""

    def __init__(
        self,
        n_inputs: int,
        input_orientations: int,
        layer: LayerConfig,
        n_orientations: int,
        basis: KernelBasis,
    ) -> None:
        super().__init__()
        with_bias = layer.norm == "none"
        if layer.separable:
            self.depthwise = TurnedConv(
                n_inputs,
                n_inputs,
                input_orientations=input_orientations,
                n_orientations=n_orientations,
                side=layer.kernel,
                stride=layer.stride,
                padding=layer.padding,
                depthwise=True,
                basis=basis,
            )
        self.conv = TurnedConv(
            n_inputs,
            layer.channels,
            input_orientations=input_orientations,
            n_orientations=n_orientations,
            side=1 if layer.separable else layer.kernel,
            stride=1 if layer.separable else layer.stride,
            padding=0 if layer.separable else layer.padding,
            basis="pixels" if layer.separable else basis,
            with_bias=with_bias,
        )
        if layer.norm != "none":
            self.norm = SharedNorm(layer.channels, n_orientations, affine=layer.norm == "affine")
        self.nonlinearity = NONLINEARITIES[layer.nonlinearity]()
        if layer.pool > 1:
            self.pool = nn.AvgPool2d(layer.pool)


def check_equivariance(layers: tuple[LayerConfig, ...], shape: tuple[int, int]) -> None:
    """Refuse layers under which turning the image would not turn the maps about their centre.

    Parameters
    ----------
    layers : tuple of LayerConfig
        From the image upwards.
    shape : tuple of int
        Height and width of the images in pixels.

    Raises
    ------
    ConfigError
        If the first layer is depth-separable (an image has no orientations), or striding or pooling leaves
        pixels over at one side, so that the centre moves.
    """
    if layers[0].separable:
        raise ConfigError(
            "the first layer of a rotation-equivariant core cannot be depth-separable: images have no orientations."
        )
    for side in shape:
        for number, layer in enumerate(layers):
            size = map_geometry(layers[:number], side).size if number else side
            left = (size + 2 * layer.padding - layer.kernel) % layer.stride
            convolved = (size + 2 * layer.padding - layer.kernel) // layer.stride + 1
            over = convolved % layer.pool
            if left or over:
                raise ConfigError(
                    f"core layer {number} (kernel {layer.kernel}, stride {layer.stride}, padding {layer.padding}, pool"
                    f" {layer.pool}) drops {left or over} of the {size if left else convolved} pixels at one side:"
                    " turning the image would move the maps. Change padding, kernel or pooling so that"
                    " (pixels + 2 padding - kernel) is a multiple of the stride and what remains one of the pooling."
                )
