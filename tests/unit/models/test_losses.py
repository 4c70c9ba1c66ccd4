"""The loss of predictions and the correlation that validation is judged by, on numbers worked out by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from decortex.models.training import mean_correlation, prediction_loss


def test_losses_are_means_over_pairs() -> None:
    predictions = [torch.tensor([[1.0, 2.0]]), torch.tensor([[3.0], [1.0]])]
    responses = [torch.tensor([[0.0, 4.0]]), torch.tensor([[3.0], [2.0]])]
    scales = [torch.tensor([1.0, 2.0]), torch.tensor([2.0])]
    mse = prediction_loss(predictions, responses, scales, loss="mse").item()
    assert mse == pytest.approx((1 + 1 + 0 + 0.25) / 4)
    poisson = prediction_loss(predictions, responses, scales, loss="poisson").item()
    assert poisson == pytest.approx((1 + 2 - 4 * math.log(2) + 3 - 3 * math.log(3) + 1) / 4)


def test_mean_correlation_of_many_neurons_is_that_of_numpy() -> None:
    random = np.random.default_rng(0)
    predicted, recorded = random.random((2, 6, 1300))
    one_by_one = [np.corrcoef(predicted[:, neuron], recorded[:, neuron])[0, 1] for neuron in range(1300)]
    found = mean_correlation([torch.from_numpy(predicted)], [torch.from_numpy(recorded)])
    assert found == pytest.approx(np.mean(one_by_one), abs=1e-12)


def test_mean_correlation_counts_constant_predictions_and_leaves_out_constant_responses() -> None:
    rng = np.random.default_rng(0)
    recorded, predicted = rng.normal(size=(30, 3)), rng.normal(size=(30, 3))
    predicted[:, 1], recorded[:, 2] = 4.0, 1.0
    expected = np.corrcoef(recorded[:, 0], predicted[:, 0])[0, 1] / 2
    found = mean_correlation([torch.from_numpy(predicted)], [torch.from_numpy(recorded)])
    assert found == pytest.approx(expected)
    assert math.isnan(
        mean_correlation([torch.from_numpy(predicted[:, 2:])], [torch.from_numpy(recorded[:, 2:])])
    )
