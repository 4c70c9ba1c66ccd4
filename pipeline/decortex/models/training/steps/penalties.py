"""Penalties of training beside the prediction loss: means, so that their factors do not depend on sizes."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from decortex.models.network import Network
from decortex.models.training.config import TrainingConfig

_LAPLACE = ((0.25, 0.5, 0.25), (0.5, -3.0, 0.5), (0.25, 0.5, 0.25))


def penalty(network: Network, config: TrainingConfig) -> Tensor:
    """Sum of the penalties that a configuration asks for; zero where it asks for none.

    ``feature_l1`` and ``feature_group_l1`` are means over neurons of the features' L1 norm, and of the sum of their
    norms over orientations; see `log_norm_penalty` and `roughness` for the others.
    """
    total = torch.zeros((), device=network.pixel_mean.device)
    if config.feature_l1:
        total = total + config.feature_l1 * network.embedding().abs().sum(dim=1).mean()
    if config.feature_group_l1:
        features = network.embedding()
        turns = features.reshape(len(features), network.n_orientations, -1)
        groups = torch.linalg.vector_norm(turns, dim=1)  # (n_neurons, F)
        total = total + config.feature_group_l1 * groups.sum(dim=1).mean()
    if config.feature_log_norm:
        norms = network.embedding().abs().sum(dim=1)
        total = total + log_norm_penalty(norms, network.penalty_scales(), config)
    if config.input_laplace:
        total = total + config.input_laplace * roughness(first_kernels(network))
    return total


def log_norm_penalty(norms: Tensor, scales: Tensor, config: TrainingConfig) -> Tensor:
    r"""Adaptive log-norm penalty (Turishcheva et al. 2024), a mean over neurons.

    .. math:: \frac{1}{N} \sum_n \gamma |b_n| \|z_n\|_1 + \frac{1}{s^2} (\log |b_n|)^2

    Parameters
    ----------
    norms : Tensor, shape (n_neurons,)
        L1 norms of the features.
    scales : Tensor, shape (n_neurons,)
        Learned b_n, not zero.
    config : TrainingConfig
        ``feature_log_norm`` is gamma, ``log_norm_width`` s. The authors sum over neurons.

    Returns
    -------
    Tensor
        Scalar.
    """
    size = scales.abs()
    prior = size.log().square() / config.log_norm_width**2
    return (config.feature_log_norm * size * norms + prior).mean()


def roughness(kernels: Tensor) -> Tensor:
    """Mean squared Laplacian of kernels over their mean square, (n_outputs, n_inputs, height, width): scale-free."""
    stencil = kernels.new_tensor(_LAPLACE)[None, None]
    planes = kernels.reshape(-1, 1, *kernels.shape[2:])
    curved = functional.conv2d(planes, stencil, padding=1)
    return curved.square().mean() / kernels.square().mean().clamp_min(1e-12)


def first_kernels(network: Network) -> Tensor:
    """Kernels that read the image."""
    for module in network.core.modules():
        if isinstance(module, nn.Conv2d):
            return module.weight
    kernels: Tensor = next(parameter for parameter in network.core.parameters() if parameter.ndim == 4)
    return kernels
