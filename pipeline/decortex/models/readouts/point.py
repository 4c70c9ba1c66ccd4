"""Readouts at a point per neuron: learned, drawn around a learned one in training, or on maps pooled repeatedly."""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional

from decortex.models.readouts.base import Covariance, GridPredictorConfig, MapShape, Readout


class PointReadout(Readout):
    """Each neuron reads one learned point, bilinearly interpolated between cells (Lurz et al., ICLR 2021).

    The position is a parameter, not sampled: its gradient comes through the interpolation. Positions outside
    the map read its border.
    """

    def __init__(self, n_neurons: int, map_shape: MapShape) -> None:
        super().__init__(n_neurons, map_shape)
        self.position = nn.Parameter(torch.zeros(n_neurons, 2))

    def start_at(self, position: Tensor) -> None:
        """Put every neuron at a position, (n_neurons, 2)."""
        with torch.no_grad():
            self.position.copy_(position)

    def place_parameters(self) -> list[nn.Parameter]:
        """Return the positions."""
        return [self.position]

    def centre(self) -> Tensor:
        """Return the positions, inside the map."""
        return self.position.clamp(-1.0, 1.0)

    def pooled(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Features at each neuron's point, (batch, n_neurons, n_features)."""
        if shift is None:
            return read_points(maps, self.position)
        return read_points(maps, self.position + shift[:, None])


class GaussianReadout(Readout):
    r"""Each neuron reads one point; in training it is drawn anew for every image (Lurz et al., ICLR 2021).

    .. math:: p \sim N(\mu, \Sigma \Sigma^T), \quad \mu \in [-1, 1]^2

    In evaluation the point is the mean. The draws come from torch's global generator, which training seeds an
    epoch. With a grid predictor the mean is a function of where the neuron lies in cortex.

    Parameters
    ----------
    n_neurons : int
        Neurons of the session.
    map_shape : tuple of int
        (n_features, height, width) of the core's output.
    covariance : {'full', 'uncorrelated', 'isotropic'}
        What ``sigma`` holds: a 2 x 2 matrix, one number per axis, or one number per neuron.
    sigma_start : float
        Its start, in half map sides.
    predictor : GridPredictorConfig, optional
        Positions from cortical ones, which ``place_in_cortex`` gives.
    """

    source_grid: Tensor

    def __init__(
        self,
        n_neurons: int,
        map_shape: MapShape,
        covariance: Covariance,
        sigma_start: float,
        predictor: GridPredictorConfig | None,
    ) -> None:
        super().__init__(n_neurons, map_shape)
        shape = {"full": (n_neurons, 2, 2), "uncorrelated": (n_neurons, 2), "isotropic": (n_neurons, 1)}
        start = torch.full(shape[covariance], sigma_start)
        self.sigma = nn.Parameter(start * torch.eye(2) if covariance == "full" else start)
        self.predictor = None if predictor is None else build_predictor(predictor)
        if predictor is None:
            self.position = nn.Parameter(torch.zeros(n_neurons, 2))
        else:
            self.register_buffer("source_grid", torch.zeros(n_neurons, predictor.input_dimensions))

    def place_in_cortex(self, places: Tensor) -> None:
        """Take where the neurons lie, (n_neurons, n_dimensions), centred and scaled to at most one."""
        with torch.no_grad():
            centred = places - places.mean(dim=0, keepdim=True)
            self.source_grid.copy_(centred / centred.abs().max().clamp_min(1e-12))

    def start_at(self, position: Tensor) -> None:
        """Put every neuron at a position, (n_neurons, 2); a grid predictor starts where its weights say."""
        if self.predictor is None:
            with torch.no_grad():
                self.position.copy_(position)

    def place_parameters(self) -> list[nn.Parameter]:
        """Return positions, or the weights that predict them, and the Gaussians' spread."""
        where = [self.position] if self.predictor is None else list(self.predictor.parameters())
        return [*where, self.sigma]

    def centre(self) -> Tensor:
        """Means of the Gaussians, inside the map."""
        where = self.position if self.predictor is None else self.predictor(self.source_grid)
        return where.clamp(-1.0, 1.0)

    def pooled(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Features at each neuron's point, (batch, n_neurons, n_features)."""
        centre = self.centre()
        if not self.training and shift is None:
            return read_points(maps, centre)
        points = centre.expand(len(maps), -1, -1)
        if self.training:
            noise = torch.randn_like(points)
            spread = (
                torch.einsum("ncd,bnd->bnc", self.sigma, noise)
                if self.sigma.ndim == 3
                else self.sigma * noise
            )
            points = (points + spread).clamp(-1.0, 1.0)
        return read_points(maps, points if shift is None else points + shift[:, None], outside="zeros")


class PooledPointReadout(PointReadout):
    """Each neuron reads one point on the maps and on the maps pooled again and again (Sinz et al. 2018)."""

    def __init__(self, n_neurons: int, map_shape: MapShape, pool_steps: int, pool_kernel: int) -> None:
        super().__init__(n_neurons, (map_shape[0] * (pool_steps + 1), *map_shape[1:]))
        self.pool_steps, self.pool_kernel = pool_steps, pool_kernel

    def pooled(self, maps: Tensor, shift: Tensor | None = None) -> Tensor:
        """Features at each neuron's point, a block per pooling step, (batch, n_neurons, n_features)."""
        points = self.centre() if shift is None else self.centre() + shift[:, None]
        scales = [read_points(maps, points, outside="zeros")]
        for _ in range(self.pool_steps):
            maps = functional.avg_pool2d(maps, self.pool_kernel)
            scales.append(read_points(maps, points, outside="zeros"))
        return torch.cat(scales, dim=2)


def read_points(maps: Tensor, points: Tensor, *, outside: str = "border") -> Tensor:
    """Interpolate maps bilinearly at points.

    Parameters
    ----------
    maps : Tensor, shape (batch, n_features, height, width)
        Feature maps.
    points : Tensor, shape (n_neurons, 2) or (batch, n_neurons, 2)
        x then y, -1..1 over the cells' centres; the same for all images, or an image's own.
    outside : {'border', 'zeros'}
        What lies outside the map.

    Returns
    -------
    Tensor, shape (batch, n_neurons, n_features)
        Features at the points.
    """
    n_images, n_features, height, width = maps.shape
    if points.ndim == 3:
        read = functional.grid_sample(maps, points[:, :, None], padding_mode=outside, align_corners=True)
        return read[:, :, :, 0].transpose(1, 2)
    # One grid for all images: fold the batch into the channels, so that it is built and read once.
    folded = maps.reshape(1, n_images * n_features, height, width)
    read = functional.grid_sample(folded, points[None, :, None], padding_mode=outside, align_corners=True)
    return read.view(n_images, n_features, -1).transpose(1, 2)


def build_predictor(config: GridPredictorConfig) -> nn.Sequential:
    """Linear layers with ELU between them; keys and order are neuralpredictors'."""
    widths = [config.input_dimensions, *[config.hidden_features] * config.hidden_layers, 2]
    layers: list[nn.Module] = []
    for before, after in pairwise(widths):
        layers += [nn.ELU()] if layers else []
        layers.append(nn.Linear(before, after))
    return nn.Sequential(*layers, *([nn.Tanh()] if config.final_tanh else []))
