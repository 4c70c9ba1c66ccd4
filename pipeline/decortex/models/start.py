"""The start of a network: random weights, and what training data say of biases, scales and positions."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from decortex.errors import ConfigError
from decortex.models.readouts import GaussianReadout

if TYPE_CHECKING:
    from decortex.data import Recordings
    from decortex.models.initialisation import TrainingStatistics
    from decortex.models.network import Network
    from decortex.models.network_config import Output

# The starting drive of a neuron that never responded in training: softplus(-7) is .001.
_SILENT_DRIVE = -7.0
# A scale of the log-norm penalty may not start at zero, where its logarithm ends.
_LEAST_SCALE = 1e-2
# Positions start this far inside the outermost cells' centres: on the border itself a readout has no gradient.
_INSIDE = 1.0 - 1e-3


@torch.no_grad()
def start_network(network: Network, statistics: TrainingStatistics, generator: torch.Generator) -> None:
    """Draw core and features anew, and set pixels, scales, biases and positions from the training trials.

    Parameters
    ----------
    network : Network
        Changed in place.
    statistics : TrainingStatistics
        What its recordings' training trials say.
    generator : torch.Generator
        Source of the random weights.
    """
    network.pixel_mean.copy_(torch.from_numpy(statistics.pixel_mean).view_as(network.pixel_mean))
    network.pixel_std.copy_(torch.from_numpy(statistics.pixel_std).view_as(network.pixel_std))
    network.core.start(generator)
    _start_linear(network.shifters, generator)
    for name in network.session_names:
        _start_readout(network, name, statistics, generator)


@torch.no_grad()
def place_in_cortex(network: Network, recordings: Recordings) -> None:
    """Tell the readouts that predict positions where their neurons lie.

    Raises
    ------
    ConfigError
        If a readout needs cortical positions that its session does not have.
    """
    for name in network.session_names:
        readout = network.readout(name)
        if not isinstance(readout, GaussianReadout) or readout.predictor is None:
            continue
        axes = ["x", "y", "z"][: readout.source_grid.shape[1]]
        own = recordings.neurons.iloc[network.slices[name]]
        places = own.reindex(columns=axes).to_numpy(dtype=np.float64, na_value=np.nan)
        if not np.isfinite(places).all():
            raise ConfigError(
                f"a grid predictor needs where every neuron lies in cortex ({', '.join(axes)}), which session"
                f" {name!r} does not say (meta/neurons/cell_motor_coordinates.npy). Use a readout without one."
            )
        readout.place_in_cortex(torch.from_numpy(places).float())


def _start_readout(
    network: Network, name: str, statistics: TrainingStatistics, generator: torch.Generator
) -> None:
    found, readout, config = statistics.sessions[name], network.readout(name), network.config
    scale = {"mean": found.mean, "std": found.std, "none": np.ones_like(found.mean)}[config.response_scale]
    scale = np.where(scale > 0, scale, 1.0)  # a silent neuron keeps the recordings' own unit
    network.response_scale[network.slices[name]] = torch.from_numpy(scale).float()
    readout.bias.copy_(inverse_output(torch.from_numpy(found.mean / scale), config.output))
    n_features = readout.features.shape[1]
    readout.features.normal_(0.0, config.readout.feature_start / n_features**0.5, generator=generator)
    if config.readout.adaptive_penalty:
        scales = readout.get_parameter("penalty_scale").normal_(1.0, 1.0, generator=generator)
        scales.copy_(torch.where(scales.abs() < _LEAST_SCALE, _LEAST_SCALE, scales))
    if isinstance(readout, GaussianReadout) and readout.predictor is not None:
        _start_linear(readout.predictor, generator)
    if found.peak is not None:
        peak = torch.from_numpy(found.peak)
        place = torch.stack(
            [network.map_columns.to_map(peak[:, 0]), network.map_rows.to_map(peak[:, 1])], dim=1
        )
        readout.start_at(place.clamp(-_INSIDE, _INSIDE).float())
    else:
        readout.start_at(torch.zeros(len(found.mean), 2))


def inverse_output(response: Tensor, output: Output) -> Tensor:
    """Drive at which the output is this response; that of a silent neuron is low but finite."""
    if output == "linear":
        return response
    if output == "softplus":
        drive = response + torch.log(-torch.expm1(-response))
    else:
        drive = torch.where(response > 1.0, response - 1.0, torch.log(response))
    return drive.clamp_min(_SILENT_DRIVE)


def _start_linear(modules: nn.Module, generator: torch.Generator) -> None:
    """Draw the weights of linear layers, normal with the variance of Glorot & Bengio (2010); biases are zero."""
    for module in modules.modules():
        if isinstance(module, nn.Linear):
            module.weight.normal_(0.0, (2.0 / sum(module.weight.shape)) ** 0.5, generator=generator)
            module.bias.zero_()
