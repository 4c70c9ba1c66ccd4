"""Space-time cores: how many frames they predict, which, that they do not see the future, that turning is rolling."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch

from decortex.config import config_hash
from decortex.data import Recordings
from decortex.errors import ConfigError, InputError
from decortex.evaluation.performance import score_neurons
from decortex.models import RECIPES, Network, NetworkConfig, predict
from decortex.models.cores import LayerConfig, SpaceTimeConfig, SpaceTimeCore, SpaceTimeLayerConfig
from decortex.models.training import TrainingConfig

from .conftest import recordings_of, session_of


def core_of(*layers: SpaceTimeLayerConfig, n_orientations: int | None = None) -> SpaceTimeCore:
    core = SpaceTimeCore(1, SpaceTimeConfig(layers=layers), n_orientations=n_orientations)
    core.start(torch.Generator().manual_seed(0))
    return core.eval()


def layer(**changes: object) -> SpaceTimeLayerConfig:
    given = {"channels": 2, "kernel": 1, "frames": 3, "norm": "none", "nonlinearity": "linear", **changes}
    return SpaceTimeLayerConfig.from_params(given)


def delta_network(recordings: Recordings, delta: int, *, frames: int = 6, warm_up: int = 0) -> Network:
    """Neuron n reads pixel n ``delta`` frames ago."""
    config = NetworkConfig(
        space_time=SpaceTimeConfig(layers=(layer(channels=1, frames=frames),), warm_up=warm_up),
        output="linear",
        response_scale="none",
    )
    network = Network.build(config, recordings, seed=0)
    stage = network.core.stages[0]  # type: ignore[union-attr]
    readout = network.readout("s")
    rows, columns = np.indices(recordings.image_shape[1:])
    with torch.no_grad():
        stage.space.weight.fill_(1.0)  # type: ignore[union-attr]
        stage.time.weight.zero_()  # type: ignore[union-attr]
        stage.time.weight[0, 0, frames - 1 - delta] = 1.0  # type: ignore[union-attr, index]
        stage.time.bias.zero_()  # type: ignore[union-attr]
        network.pixel_mean.zero_()
        network.pixel_std.fill_(1.0)
        readout.features.fill_(1.0)
        readout.bias.zero_()
        x = 2.0 * columns.ravel() / (recordings.image_shape[2] - 1) - 1.0
        y = 2.0 * rows.ravel() / (recordings.image_shape[1] - 1) - 1.0
        readout.start_at(torch.from_numpy(np.stack([x, y], axis=1)).float())
    return network


def score_of(network: Network, recordings: Recordings) -> float:
    found = predict(network, recordings, "test", device="cpu")["s"]
    scores = score_neurons(found.responses, found.predictions, found.image_ids, clip_ids=found.clip_ids)
    return float(np.nanmean(scores["correlation_to_average"].values))


# off by n (trap 1)


@pytest.mark.parametrize(("delta", "score"), [(3, 1.0), (2, 0.0), (4, 0.0)])
def test_predictions_lie_beside_the_responses_of_their_own_frames(
    copying: Recordings, delta: int, score: float
) -> None:
    assert score_of(delta_network(copying, delta), copying) == pytest.approx(
        score, abs=0.25 if score == 0 else 1e-5
    )


@pytest.mark.parametrize("form", ["separable", "full"])
def test_frames_out_are_frames_in_minus_the_lag(form: str) -> None:
    for frames, padding, dilation in product((1, 2, 5), (0, 1, 2), (1, 3)):
        if 2 * padding > (frames - 1) * dilation:
            continue
        parts = [
            layer(frames=frames, time_padding=padding, time_dilation=dilation, form=form),
            layer(frames=3, form=form, kernel=3),
        ]
        core = core_of(*parts)
        maps = core(torch.zeros(2, 1, 31, 6, 5))
        assert maps.shape == (2, 2, 31 - core.lag, 4, 3)
        assert core.lag == (frames - 1) * dilation - 2 * padding + 2
        assert core.config.future == padding


def test_padding_beyond_what_a_kernel_loses_is_refused() -> None:
    with pytest.raises(
        ConfigError, match="2 frames of padding at both ends are more than a kernel over 3 loses"
    ):
        layer(frames=3, time_padding=2)


# seeing the future (trap 2)


@pytest.mark.parametrize(
    "core",
    [
        core_of(layer(frames=4), layer(frames=3, time_dilation=2)),
        core_of(layer(frames=4, form="full"), layer(frames=3, form="full", time_dilation=2)),
        core_of(layer(frames=4), layer(frames=3, time_dilation=2), n_orientations=4),
        core_of(layer(frames=5, time_padding=2), layer(frames=5, time_dilation=2, time_padding=3)),
    ],
    ids=["separable", "full", "equivariant", "padded"],
)
def test_a_prediction_sees_the_frames_up_to_its_own_and_what_padding_adds(core: SpaceTimeCore) -> None:
    clip = torch.randn(1, 1, 40, 3, 3, generator=torch.Generator().manual_seed(1), requires_grad=True)
    maps = core(clip)
    place = 15
    frame = place + core.lag
    maps[0, :, place].sum().backward()
    assert clip.grad is not None
    seen = np.flatnonzero(clip.grad[0, 0].abs().sum(dim=(1, 2)).numpy())
    assert seen.max() == frame + core.config.future
    assert (core.config.future == 0) == (seen.max() <= frame)


# turning the movie


def test_turning_the_movie_turns_the_maps_and_rolls_their_orientations() -> None:
    core = core_of(
        layer(kernel=5, frames=3, norm="affine", nonlinearity="elu"),
        layer(channels=3, kernel=3, frames=4, norm="plain", nonlinearity="elu"),
        n_orientations=8,
    )
    clip = torch.randn(2, 1, 12, 15, 15, generator=torch.Generator().manual_seed(2))
    maps = core(clip)
    turned = core(torch.rot90(clip, 1, (3, 4)))
    rolled = torch.rot90(maps, 1, (3, 4)).unflatten(1, (8, 3)).roll(2, dims=1).flatten(1, 2)
    torch.testing.assert_close(turned, rolled, rtol=1e-4, atol=1e-5)
    assert (maps - turned).abs().max() > 1e-2


def test_an_equivariant_core_has_no_full_kernels_and_needs_whole_strides() -> None:
    with pytest.raises(ConfigError, match="form 'separable' only"):
        core_of(layer(form="full"), n_orientations=4)


# configurations and checkpoints


def test_networks_of_images_hash_as_before_there_were_movies() -> None:
    network, training = RECIPES["simulated_cortex"]()
    assert "space_time" not in network.resolved()
    assert "window" not in training.resolved()
    assert config_hash({"network": network.resolved(), "training": training.resolved()}) == (
        "846d67f6b93f22fb46145ed8951e1bd047b0b16be6993eaa1633db3fc621d463"
    )
    again = NetworkConfig.from_params(network.resolved())
    assert again == network
    video, how = RECIPES["simulated_retina"]()
    assert NetworkConfig.from_params(video.resolved()) == video
    assert TrainingConfig.from_params({**how.resolved(), "window": 20}).resolved()["window"] == 20


def test_a_core_is_of_one_kind() -> None:
    parts = SpaceTimeConfig(layers=(layer(),))
    with pytest.raises(ConfigError, match=r"by 'layers' \(at least one\), by 'stacked' or by 'space_time'"):
        NetworkConfig.from_params(
            {"space_time": parts.resolved(), "layers": [LayerConfig(channels=1, kernel=1).resolved()]}
        )
    with pytest.raises(ConfigError, match="'separable' is of images"):
        layer(separable=True)


def test_a_network_is_rebuilt_from_its_checkpoint(copying: Recordings) -> None:
    network = delta_network(copying, 2, warm_up=9)
    again = Network.from_checkpoint(network.checkpoint()).eval()
    assert again.config == network.config
    assert again.geometry.frame_rate == 30.0
    assert (again.lag, again.is_video) == (5, True)
    clip = torch.randn(1, 1, 20, 2, 3)
    torch.testing.assert_close(again(clip, "s"), network.eval()(clip, "s"))


def test_images_and_movies_need_their_own_cores(copying: Recordings) -> None:
    with pytest.raises(ConfigError, match=r"show movies at 30 Hz, and the network's core is one of images"):
        Network.build(NetworkConfig(layers=(LayerConfig(channels=1, kernel=1),)), copying, seed=0)


def test_clips_of_another_shape_or_too_short_are_refused(copying: Recordings) -> None:
    network = delta_network(copying, 2)
    with pytest.raises(InputError, match=r"clips of shape \(1, n_frames, 2, 3\).*got \(1, 2, 3\)"):
        network(torch.zeros(4, 1, 2, 3), "s")
    with pytest.raises(InputError, match="longer than the core's lag of 5 frames, these have 5"):
        network(torch.zeros(1, 1, 5, 2, 3), "s")


# positions (trap 9)


@pytest.mark.parametrize("at_cells", [True, False])
def test_positions_move_from_wherever_they_start(at_cells: bool) -> None:
    """A bilinear readout written as relu(1 - |x - i|) has no gradient at a cell's centre; on the border none has."""
    rng = np.random.default_rng(3)
    clips = [rng.normal(size=(1, 30, 5, 5)) for _ in range(4)]
    answers = [
        np.roll(clip[0].reshape(30, 25), 2, axis=0) ** 2 for clip in clips
    ]  # answers to local contrast
    recordings = recordings_of(session_of(clips, answers, ["train", "train", "train", "validation"]))
    config = NetworkConfig(
        space_time=SpaceTimeConfig(layers=(layer(channels=2, frames=4, bias=True),)), output="linear"
    )
    network = Network.build(config, recordings, seed=0)
    position = network.readout("s").get_parameter("position")
    if at_cells:
        grid = torch.cartesian_prod(torch.linspace(-0.5, 0.5, 3), torch.linspace(-0.5, 0.5, 3))
        with torch.no_grad():
            position[:9] = grid
            position[9:] = 0.3
    clip = torch.from_numpy(recordings.sessions[0].images.read(np.array([0])))
    network(clip, "s").square().mean().backward()
    assert position.grad is not None
    assert (position.grad.abs() > 0).all()
