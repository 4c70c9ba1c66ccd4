"""Penalties against their formulas, drawn positions against their seed, and reading ahead against reading."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from decortex.errors import ConfigError
from decortex.models import Network, NetworkConfig
from decortex.models.cores import LayerConfig
from decortex.models.readouts import ReadoutConfig, ShifterConfig, build_readout
from decortex.models.training import (
    TierBatches,
    TrainingConfig,
    fit_network,
    log_norm_penalty,
    penalty,
    roughness,
)

SHIFTED = NetworkConfig(
    layers=(LayerConfig(channels=3, kernel=3),),
    readout=ReadoutConfig(kind="gaussian", start="centre", adaptive_penalty=True),
    shifter=ShifterConfig(hidden_channels=4, layers=2),
)


def test_the_log_norm_penalty_against_its_formula() -> None:
    norms, scales = torch.tensor([1.0, 3.0, 0.5]), torch.tensor([1.0, -2.0, 0.1])
    config = TrainingConfig(feature_log_norm=5.0, log_norm_width=0.2)
    expected = np.mean(
        [
            5.0 * abs(b) * z + math.log(abs(b)) ** 2 / 0.04
            for b, z in zip(scales.tolist(), norms.tolist(), strict=True)
        ]
    )
    assert log_norm_penalty(norms, scales, config).item() == pytest.approx(expected, rel=1e-6)


def test_roughness_is_free_of_scale_and_rises_with_it() -> None:
    smooth = torch.ones(2, 1, 9, 9)
    rough = smooth * (1 - 2 * (torch.arange(9) % 2)).float()
    assert roughness(rough) > 3 * roughness(smooth)
    torch.testing.assert_close(roughness(7.0 * rough), roughness(rough))


def test_the_log_norm_penalty_brings_norms_together(make_recordings) -> None:
    config = NetworkConfig(
        layers=(LayerConfig(channels=3, kernel=3, norm="plain"),),
        readout=ReadoutConfig(kind="point", start="centre", feature_start=2.0, adaptive_penalty=True),
    )
    network = Network.build(config, make_recordings(), seed=0)
    training = TrainingConfig(max_epochs=2, batch_size=16, feature_log_norm=0.5, learning_rate=0.02)
    before = penalty(network, training).item()
    fit_network(network, make_recordings(), training, seed=0, device="cpu")
    assert penalty(network, training).item() < before
    with pytest.raises(ConfigError, match="adaptive_penalty=True"):
        fit_network(
            Network.build(config.model_copy(update={"readout": ReadoutConfig()}), make_recordings(), seed=0),
            make_recordings(),
            training,
            seed=0,
        )


@pytest.mark.parametrize("covariance", ["full", "uncorrelated", "isotropic"])
def test_points_are_drawn_in_training_and_fixed_in_evaluation(covariance: str) -> None:
    readout = build_readout(
        ReadoutConfig(kind="gaussian", covariance=covariance, sigma_start=0.2), 500, (1, 9, 9)
    )
    ramp = torch.linspace(-1, 1, 9).expand(1, 1, 9, 9)  # a feature that is the x coordinate
    readout.start_at(torch.tensor([[0.25, -0.5]]).expand(500, 2))
    assert torch.allclose(readout.eval().pooled(ramp), torch.full((1, 500, 1), 0.25), atol=1e-6)
    torch.manual_seed(0)
    drawn = readout.train().pooled(ramp.expand(40, 1, 9, 9))
    assert drawn.mean().item() == pytest.approx(0.25, abs=0.01)
    assert drawn.std().item() == pytest.approx(0.2, abs=0.01)


def test_a_pupil_that_moves_moves_where_neurons_look(make_recordings) -> None:
    recordings = make_recordings(side=10)
    three = type(recordings)(
        [_with_pupil(session) for session in recordings.sessions], (3, 10, 10), recordings.content_sha256
    )
    network = Network.build(SHIFTED, three, seed=0)
    short = TrainingConfig(max_epochs=1, batch_size=16)
    fit_network(network, three, short, seed=0, device="cpu")
    again = Network.build(SHIFTED, three, seed=0)
    fit_network(again, three, short, seed=0, device="cpu")
    for key, value in network.state_dict().items():
        assert torch.equal(value, again.state_dict()[key]), key  # drawn points depend on the seed alone
    name = network.session_names[0]
    with torch.no_grad():
        network.readout(name).features.normal_(generator=torch.Generator().manual_seed(0))
        image = torch.from_numpy(three.sessions[0].images.read(np.array([0])))
        moved = image.clone()
        moved[:, -2:] += 2.0
        assert not torch.allclose(network.eval()(image, name), network(moved, name))
        for linear in network.shifters[0]:
            if isinstance(linear, torch.nn.Linear):
                linear.weight.zero_()
                linear.bias.zero_()
        torch.testing.assert_close(network(image, name), network(moved, name))


def _with_pupil(session):
    from dataclasses import replace

    from decortex.data import InMemoryTrials

    images = session.images.values
    pupil = np.random.default_rng(0).normal(size=(len(images), 2, 1, 1)).astype(np.float32)
    both = np.concatenate([images, np.broadcast_to(pupil, (len(images), 2, *images.shape[2:]))], axis=1)
    return replace(session, images=InMemoryTrials(both))


def test_a_plateau_lowers_the_rate_and_resumes(make_recordings, tiny_config) -> None:
    network = Network.build(tiny_config, make_recordings(), seed=0)
    config = TrainingConfig(schedule="plateau", max_epochs=9, batch_size=64, learning_rate=1e-9, keep="last")
    outcome = fit_network(network, make_recordings(), config, seed=0, device="cpu")
    assert len(outcome.epochs) == 9


def test_batches_read_ahead_are_those_read_at_once(make_recordings) -> None:
    recordings = make_recordings(n_trials=60)
    streamed = TierBatches(recordings, "train", batch_size=8, max_cache_bytes=0)
    order = streamed.order(0, 1)
    for batch, rows in zip(streamed.stream(order), order, strict=True):
        expected = streamed.batch(rows)
        assert batch.parts == expected.parts
        assert torch.equal(batch.inputs, expected.inputs)
    half = streamed.stream(order)
    next(half)
    half.close()  # leaves no thread behind
