"""Pieces of a training step: losses, parameter groups, rates, what is trained. The loop is elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from decortex.models.network import Network
from decortex.models.training.config import TrainingConfig

_POISSON_EPSILON = 1e-12
# Sensorium's: the rate falls to this share after as many epochs without a better one.
_PLATEAU_FACTOR, _PLATEAU_EPOCHS = 0.3, 5
_DRAW_STREAM = 2  # a random stream of its own: batch order and shifts do not depend on draws


def prediction_loss(
    predictions: Sequence[Tensor], responses: Sequence[Tensor], scales: Sequence[Tensor], *, loss: str
) -> Tensor:
    r"""Mean over all pairs of image and neuron, over the parts of a mixed batch.

    Parameters
    ----------
    predictions, responses : sequence of Tensor, shapes (n_images, n_neurons)
        One for each part, in the recordings' own units.
    scales : sequence of Tensor, shapes (n_neurons,)
        Response scale of each part's neurons; the squared error is taken in its units.
    loss : {'poisson', 'mse'}
        :math:`\hat r - r \log(\hat r + 10^{-12})`, or :math:`((\hat r - r)/s)^2`.

    Returns
    -------
    Tensor
        Scalar. A mean, so that other terms' factors do not depend on batch size or number of neurons.
    """
    total, count = torch.zeros((), device=predictions[0].device), 0
    for predicted, recorded, scale in zip(predictions, responses, scales, strict=True):
        if loss == "poisson":
            total = total + (predicted - recorded * torch.log(predicted + _POISSON_EPSILON)).sum()
        else:
            total = total + ((predicted - recorded) / scale).square().sum()
        count += recorded.numel()
    return total / count


def mean_correlation(predictions: Sequence[Tensor], responses: Sequence[Tensor]) -> float:
    """Mean over neurons of the correlation over trials, for choosing an epoch.

    A constant prediction counts as 0, so that a network cannot gain by losing neurons; neurons whose
    responses do not vary are left out (no network can predict them). NaN where none is left.
    """
    found = [
        _correlations(few_predicted.double().numpy(), few_recorded.double().numpy())
        for predicted, recorded in zip(predictions, responses, strict=True)
        for few_predicted, few_recorded in zip(_in_blocks(predicted), _in_blocks(recorded), strict=True)
    ]
    values = np.concatenate(found)
    return float(np.nanmean(values)) if np.isfinite(values).any() else float("nan")


def _in_blocks(per_neuron: Tensor) -> Sequence[Tensor]:
    """Blocks of about 512 neurons: six copies as float64 of all trials of all neurons would be the peak of memory."""
    return per_neuron.tensor_split(max(1, round(per_neuron.shape[1] / 512)), dim=1)


def _correlations(predicted: NDArray[np.float64], recorded: NDArray[np.float64]) -> NDArray[np.float64]:
    predicted = predicted - predicted.mean(axis=0)
    recorded = recorded - recorded.mean(axis=0)
    spread = np.sqrt(np.square(recorded).sum(axis=0))
    norm = spread * np.sqrt(np.square(predicted).sum(axis=0))
    values = np.where(norm > 0, (predicted * recorded).sum(axis=0) / np.where(norm > 0, norm, 1.0), 0.0)
    result: NDArray[np.float64] = np.where(spread > 0, values, np.nan)
    return result


def build_optimiser(
    network: Network, term: nn.Module | None, config: TrainingConfig
) -> torch.optim.Adam | torch.optim.AdamW:
    """Adam or AdamW over what is trained, in groups of one rate and decay each."""
    kernels = [p for p in network.core.parameters() if p.ndim > 1]
    vectors = [p for p in network.core.parameters() if p.ndim <= 1]
    readouts = [network.readout(name) for name in network.session_names]
    scales = [p for readout in readouts for name, p in readout.named_parameters() if name == "penalty_scale"]
    shifters = list(network.shifters.parameters())
    position_rate = config.position_rate or config.learning_rate
    groups = [
        (kernels, config.learning_rate, config.weight_decay),
        (vectors, config.learning_rate, 0.0),
        ([readout.features for readout in readouts], config.learning_rate, config.feature_weight_decay),
        ([readout.bias for readout in readouts] + scales, config.learning_rate, 0.0),
        ([p for readout in readouts for p in readout.place_parameters()] + shifters, position_rate, 0.0),
        (list(term.parameters()) if term is not None else [], config.learning_rate, 0.0),
    ]
    trained = [
        {"params": [p for p in parameters if p.requires_grad], "lr": rate, "weight_decay": decay}
        for parameters, rate, decay in groups
    ]
    kind = torch.optim.AdamW if config.optimiser == "adamw" else torch.optim.Adam
    return kind([group for group in trained if group["params"]], fused=True)


def build_schedule(
    optimiser: torch.optim.Optimizer, config: TrainingConfig, *, n_steps: int
) -> torch.optim.lr_scheduler.LRScheduler:
    """One cycle over all steps (Smith & Topin 2019), a constant rate, or a fall where validation stands still."""
    if config.schedule == "plateau":
        return torch.optim.lr_scheduler.ReduceLROnPlateau(
            optimiser,
            mode="max",
            factor=_PLATEAU_FACTOR,
            patience=_PLATEAU_EPOCHS,
            threshold=1e-6,
            threshold_mode="abs",
        )
    if config.schedule == "constant":
        return torch.optim.lr_scheduler.ConstantLR(optimiser, factor=1.0)
    rates = [group["lr"] for group in optimiser.param_groups]
    return torch.optim.lr_scheduler.OneCycleLR(optimiser, max_lr=rates, total_steps=max(n_steps, 2))


@contextmanager
def only_trained(network: Network, trains: str) -> Iterator[None]:
    """Let gradients reach what is trained only, inside the block."""
    frozen: dict[str, list[nn.Module]] = {
        "readout": [network.core],
        "core": [network.readouts, network.shifters],
    }
    modules = frozen.get(trains, [])
    parameters = [p for module in modules for p in module.parameters() if p.requires_grad]
    try:
        for parameter in parameters:
            parameter.requires_grad_(False)
        yield
    finally:
        for parameter in parameters:
            parameter.requires_grad_(True)


@contextmanager
def own_randomness(seed: int, epoch: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global generators for one epoch, and put them back: draws depend on (seed, epoch) alone.

    Readouts that draw positions use them, on whatever device they are.
    """
    word = int(np.random.SeedSequence([seed, epoch, _DRAW_STREAM]).generate_state(1, np.uint64)[0] >> 1)
    devices = [device] if device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(word)
        yield
