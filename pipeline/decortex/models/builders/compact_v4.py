"""The macaque V4 networks of Cowley et al. (2023), as torch modules: one core, a factorised readout per neuron."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

# Mean of the images' channels that training subtracted.
_PIXEL_MEAN = (116.222, 109.270, 100.381)
_BATCH_NORM_EPSILON = 1e-3
# 112 pixels, twice strided
_MAP_SIDE = 28


class CompactV4(nn.Module):
    """A convolution, four depth-separable blocks and a factorised readout with linear output.

    Parameters
    ----------
    n_filters : int
        Channels of the first three blocks.
    n_neurons : int
        Neurons of all sessions.
    n_features : int
        Channels of the last two blocks, hence numbers in a neuron's embedding.
    """

    pixel_mean: Tensor

    def __init__(self, n_filters: int, n_neurons: int, n_features: int) -> None:
        super().__init__()
        widths = (n_filters, n_filters, n_filters, n_features, n_features)
        self.c0 = nn.Conv2d(3, n_filters, 5, padding=2)
        self.dw = nn.ModuleList(nn.Conv2d(w, w, 5, groups=w, bias=False) for w in widths[:-1])
        self.pw = nn.ModuleList(nn.Conv2d(a, b, 1) for a, b in pairwise(widths))
        self.bn = nn.ModuleList(nn.BatchNorm2d(w, eps=_BATCH_NORM_EPSILON) for w in widths)
        self.feat = nn.Parameter(torch.zeros(n_neurons, n_features))
        self.feat_b = nn.Parameter(torch.zeros(n_neurons))
        self.mask = nn.Parameter(torch.zeros(n_neurons, _MAP_SIDE, _MAP_SIDE))
        self.bias = nn.Parameter(torch.zeros(n_neurons))
        self.register_buffer("pixel_mean", torch.tensor(_PIXEL_MEAN).view(1, 3, 1, 1), persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        """Predict, (batch, n_neurons), for RGB images of 0 to 255, (batch, 3, 112, 112)."""
        x = functional.relu(self.bn[0](self.c0(images - self.pixel_mean)))
        for block, (depthwise, pointwise) in enumerate(zip(self.dw, self.pw, strict=True)):
            strided = block < 2
            # The first two blocks halve the map as their framework's 'same' padding does: one pixel before, two after.
            assert isinstance(depthwise, nn.Conv2d)
            x = functional.conv2d(
                functional.pad(x, (1, 2, 1, 2) if strided else (2, 2, 2, 2)),
                depthwise.weight,
                stride=2 if strided else 1,
                groups=depthwise.groups,
            )
            x = functional.relu(self.bn[block + 1](pointwise(x)))
        seen = torch.einsum("bchw,nc->bnhw", x, self.feat) + self.feat_b[:, None, None]
        return torch.einsum("bnhw,nhw->bn", seen, self.mask) + self.bias


def build(n_filters: int = 10, n_neurons: int = 219, n_features: int = 100) -> CompactV4:
    """Build the network; the checkpoint gives its weights."""
    return CompactV4(n_filters, n_neurons, n_features)
