"""How strong a clustering loss is beside the prediction loss at the start: the ratio of their gradients' norms."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from decortex.data import Recordings
from decortex.finetune.losses import ClusteringTerm
from decortex.models import Network
from decortex.models.training import TrainingConfig, prediction_loss, tier_batches


def gradient_ratio(
    network: Network,
    recordings: Recordings,
    term: ClusteringTerm,
    schedule: TrainingConfig,
    *,
    seed: int,
    epoch: int = 1,
) -> float:
    r"""Norm of the prediction loss's gradient on the readout over that of the mean KL, at the start.

    .. math:: \rho = \frac{|\partial \langle l\rangle / \partial W|}{|\partial \langle KL\rangle / \partial W|}

    With :math:`\beta = \rho` both terms pull equally hard on the readout weights W.

    Parameters
    ----------
    network : Network
        Left as it is: evaluation mode, no batch-norm statistics move.
    recordings : Recordings
        The first training batch of the run is read, unshifted.
    term : ClusteringTerm
        At its start.
    schedule : TrainingConfig
        Prediction loss and batch size.
    seed : int
        Seed of the run.
    epoch : int
        Epoch whose first batch is read; a run that goes on from another's state begins later.

    Returns
    -------
    float
        inf where the clustering loss has no gradient.
    """
    was_training = network.training
    batches = tier_batches(
        network,
        recordings,
        "train",
        batch_size=schedule.batch_size,
        window=schedule.window,
        max_cache_bytes=0,
    )
    batch = batches.batch(next(iter(batches.order(seed, epoch)))).to(network.pixel_mean.device)
    try:
        network.eval()
        with torch.enable_grad():
            predicted = network.forward_mixed(batch.inputs, batch.parts)
            scales = [network.response_scale[network.slices[session]] for session, _ in batch.parts]
            prediction = prediction_loss(predicted, batch.responses, scales, loss=schedule.loss)
            clustering = term.kl(term.to_points(network.embedding()))
    finally:
        network.train(was_training)
    pull = _norm(clustering, network)
    return _norm(prediction, network) / pull if pull > 0 else float("inf")


def _norm(loss: Tensor, network: Network) -> float:
    features = [network.readout(name).features for name in network.session_names]
    gradients = torch.autograd.grad(loss, features, allow_unused=True)
    return math.sqrt(sum(float(one.double().square().sum()) for one in gradients if one is not None))
