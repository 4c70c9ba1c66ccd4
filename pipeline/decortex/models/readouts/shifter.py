"""Eye movements: a small network per session turns the pupil's position into a shift of where neurons look."""

from __future__ import annotations

from itertools import pairwise

import torch
from pydantic import Field
from torch import Tensor, nn

from decortex.config import Config


class ShifterConfig(Config):
    """A multilayer perceptron on the pupil's centre (Walker et al. 2019; Sensorium 2022)."""

    hidden_channels: int = Field(default=5, ge=1, le=1024, description="width of its hidden layers")
    layers: int = Field(default=3, ge=1, le=16, description="linear layers, a tanh after each")


def build_shifter(config: ShifterConfig) -> nn.Sequential:
    """Linear layers with tanh after each, from pupil x and y to a shift x and y in half map sides."""
    widths = [2, *[config.hidden_channels] * (config.layers - 1), 2]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.Linear(before, after), nn.Tanh()]
    return nn.Sequential(*layers)


def with_pupil(maps: Tensor, pupil: Tensor) -> Tensor:
    """Append the pupil's position to feature maps as two constant channels, so that the two travel together."""
    n_images, _, height, width = maps.shape
    return torch.cat([maps, pupil[:, :, None, None].expand(n_images, 2, height, width)], dim=1)
