"""Networks: start, forward passes, checkpoints."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from decortex.data import InMemoryTrials
from decortex.errors import CheckpointError, InputError
from decortex.models import Network, NetworkConfig
from decortex.models.readouts import ReadoutConfig

KINDS = ("point", "mask", "factorised")


def with_readout(config: NetworkConfig, kind: str) -> NetworkConfig:
    return config.model_copy(update={"readout": ReadoutConfig(kind=kind)})


@pytest.mark.parametrize("kind", KINDS)
def test_mixed_forward_is_the_forward_of_each_session(make_recordings, tiny_config, kind: str) -> None:
    recordings = make_recordings(neurons=(5, 3, 4))
    network = Network.build(with_readout(tiny_config, kind), recordings, seed=0).eval()
    images = [s.images.read(np.arange(n)) for s, n in zip(recordings.sessions, (4, 1, 6), strict=True)]
    parts = [(s.name, len(one)) for s, one in zip(recordings.sessions, images, strict=True)]
    with torch.no_grad():
        mixed = network.forward_mixed(torch.from_numpy(np.concatenate(images)), parts)
        for (name, _), one, answer in zip(parts, images, mixed, strict=True):
            torch.testing.assert_close(answer, network(torch.from_numpy(one), name))


def test_prediction_of_an_image_does_not_depend_on_its_batch(make_recordings, tiny_config) -> None:
    recordings = make_recordings()
    network = Network.build(tiny_config, recordings, seed=0).eval()
    images = torch.from_numpy(recordings.sessions[0].images.read(np.arange(9)))
    with torch.no_grad():
        whole = network(images, "one")
        torch.testing.assert_close(network(images[3:5], "one"), whole[3:5])


@pytest.mark.parametrize("scale", ["mean", "std", "none"])
@pytest.mark.parametrize("output", ["softplus", "elu", "linear"])
def test_without_features_the_network_predicts_the_mean_response(
    make_recordings, tiny_config, output: str, scale: str
) -> None:
    recordings = make_recordings()
    config = tiny_config.model_copy(update={"output": output, "response_scale": scale})
    network = Network.build(config, recordings, seed=0).eval()
    session = recordings.sessions[0]
    with torch.no_grad():
        network.readout("one").features.zero_()
        predicted = network(torch.from_numpy(session.images.read(np.arange(2))), "one")[0].numpy()
    expected = session.responses.read(session.trials("train")).mean(axis=0)
    np.testing.assert_allclose(predicted, expected, rtol=1e-4)


@pytest.mark.parametrize("output", ["softplus", "elu", "linear"])
def test_a_silent_neuron_starts_low_and_finite(make_recordings, tiny_config, output: str) -> None:
    recordings = make_recordings(neurons=(3,))
    responses = recordings.sessions[0].responses.values.copy()
    responses[:, 1] = 0.0
    session = dataclasses.replace(recordings.sessions[0], responses=InMemoryTrials(responses))
    silent = dataclasses.replace(recordings, sessions=[session])
    network = Network.build(tiny_config.model_copy(update={"output": output}), silent, seed=0).eval()
    with torch.no_grad():
        network.readout("one").features.zero_()
        predicted = network(torch.from_numpy(session.images.read(np.arange(1))), "one")[0]
    assert torch.isfinite(predicted).all()
    assert abs(predicted[1].item()) < 0.01
    assert network.response_scale[1] == 1.0


def test_embedding_follows_the_order_of_the_recordings(make_recordings, tiny_config) -> None:
    recordings = make_recordings(neurons=(5, 3, 4))
    network = Network.build(tiny_config, recordings, seed=0)
    embedding = network.embedding()
    assert embedding.shape == (12, 3)
    assert network.slices == recordings.slices
    for name, place in recordings.slices.items():
        assert torch.equal(embedding[place], network.readout(name).features)
    embedding.sum().backward()
    assert torch.equal(network.readout("three").features.grad, torch.ones(4, 3))


def test_build_depends_on_the_seed_alone_and_leaves_the_global_stream(make_recordings, tiny_config) -> None:
    recordings = make_recordings()
    torch.manual_seed(1)
    before = torch.random.get_rng_state()
    first = Network.build(tiny_config, recordings, seed=7)
    assert torch.equal(torch.random.get_rng_state(), before)
    torch.manual_seed(2)
    second, third = (Network.build(tiny_config, recordings, seed=seed) for seed in (7, 8))
    for key, value in first.state_dict().items():
        assert torch.equal(value, second.state_dict()[key])
    assert not torch.equal(first.embedding(), third.embedding())


@pytest.mark.parametrize("kind", KINDS)
def test_checkpoint_holds_everything(make_recordings, tiny_config, tmp_path, kind: str) -> None:
    recordings = make_recordings()
    network = Network.build(with_readout(tiny_config, kind), recordings, seed=0).eval()
    torch.save(network.checkpoint(), tmp_path / "network.pt")
    again = Network.from_checkpoint(torch.load(tmp_path / "network.pt", weights_only=True)).eval()
    images = torch.from_numpy(recordings.sessions[1].images.read(np.arange(4)))
    with torch.no_grad():
        assert torch.equal(network(images, "two.b"), again(images, "two.b"))
    assert again.config == network.config
    assert again.geometry == network.geometry
    np.testing.assert_array_equal(again.positions(), network.positions())


def test_a_checkpoint_is_a_copy(make_recordings, tiny_config) -> None:
    network = Network.build(tiny_config, make_recordings(), seed=0)
    state = network.checkpoint()["state_dict"]["readouts.0.features"]
    with torch.no_grad():
        network.readout("one").features.add_(1.0)
    assert not torch.equal(state, network.readout("one").features)


@pytest.mark.parametrize("checkpoint", [{}, {"format": "other"}, [1, 2], {"state_dict": {}}])
def test_foreign_checkpoints_are_refused(checkpoint) -> None:
    with pytest.raises(CheckpointError, match="expected a checkpoint with format 'decortex-network-1'"):
        Network.from_checkpoint(checkpoint)


@pytest.mark.parametrize("part", ["config", "geometry", "state_dict"])
def test_checkpoints_that_lack_a_part_are_refused(make_recordings, tiny_config, part: str) -> None:
    checkpoint = Network.build(tiny_config, make_recordings(), seed=0).checkpoint()
    checkpoint[part] = {} if part == "state_dict" else {"layers": 3}
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        Network.from_checkpoint(checkpoint)
    del checkpoint[part]
    with pytest.raises(CheckpointError, match="cannot be rebuilt"):
        Network.from_checkpoint(checkpoint)


def test_unknown_sessions_and_image_shapes_are_named(make_recordings, tiny_config) -> None:
    network = Network.build(tiny_config, make_recordings(), seed=0)
    with pytest.raises(InputError, match=r"no session 'five'; it was built for one, two\.b"):
        network(torch.zeros(1, 1, 12, 12), "five")
    with pytest.raises(InputError, match=r"images of shape \(1, 12, 12\).*got \(3, 12, 12\)"):
        network(torch.zeros(1, 3, 12, 12), "one")


def test_positions_are_pixels_of_the_image(make_recordings, tiny_config) -> None:
    network = Network.build(tiny_config, make_recordings(), seed=0)
    network.readout("one").start_at(torch.zeros(5, 2))
    # 12 pixels, kernel 3: 10 cells from pixel 1; pooled: 5 cells, 1.5, 3.5 ...; kernel 3: 3.5, 5.5, 7.5
    np.testing.assert_allclose(network.positions()[:5], 5.5)
