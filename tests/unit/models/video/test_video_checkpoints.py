"""Published networks of movies: embeddings by key, whole networks equal to literal ones, and what is refused."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from decortex.errors import CheckpointError, ConfigError
from decortex.models import Network, read_checkpoint
from decortex.models.checkpoints import RebuildConfig, read_fnn, rebuild_network, save_readout

STORED = {
    "factorized3d": ({}, "elu", (3, 36, 64)),
    "openretina_full_valid": ({}, "softplus", (2, 18, 16)),
    "openretina_separable_valid": ({}, "softplus", (2, 18, 16)),
    "openretina_custom_separable_space_padded": (
        {"frames": [11, 5], "padding": [0, 2]},
        "softplus",
        (2, 18, 16),
    ),
}
HOEFLING = {"positive_features": True, "mean_scale": 6.0, "var_scale": 4.0}


def rebuilt(
    state: dict[str, Tensor], video: dict[str, object], *, output: str = "elu", shape: tuple[int, int, int]
) -> Network:
    config = RebuildConfig.from_params(
        {"video": {"frame_rate": 30.0, **video}, "output": output, "image_shape": list(shape)}
    )
    return rebuild_network(state, config, neuron_order_sha256="0" * 64)


@pytest.mark.real_data
@pytest.mark.parametrize("name", STORED)
def test_a_rebuilt_network_equals_the_stored_outputs_of_the_original(name: str, shared_data: Path) -> None:
    folder = shared_data / "video" / "networks"
    if not (folder / f"{name}.pt").exists():
        pytest.skip("no networks of movies beside the project")
    options, output, shape = STORED[name]
    state = torch.load(folder / f"{name}.pt", weights_only=True)
    stored = np.load(folder / f"{name}.npz")
    video = {**(HOEFLING if name.startswith("openretina") else {}), **options}
    network = rebuilt(state, video, output=output, shape=shape)
    assert network.lag == int(stored["lag"])
    movie = torch.from_numpy(stored["movie"])
    for session in network.session_names:
        with torch.no_grad():
            predicted = network(movie, session)[0].numpy()
        np.testing.assert_allclose(predicted, stored[f"prediction_{session}"], atol=1e-5)
    readout = read_checkpoint(folder / f"{name}.pt")
    assert readout.is_video
    embedding = network.embedding().detach().numpy()
    np.testing.assert_array_equal(
        np.maximum(readout.embedding, 0) if "openretina" in name else readout.embedding, embedding
    )


# literal networks, of torch modules with the originals' keys


def norm_of(n: int, generator: torch.Generator) -> nn.BatchNorm3d:
    norm = nn.BatchNorm3d(n)
    for value in (norm.weight, norm.bias, norm.running_mean):
        value.data = torch.randn(n, generator=generator)
    norm.running_var = torch.rand(n, generator=generator) + 0.5
    return norm.eval()


def prefixed(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"core.{name}.{key}": value.detach().clone()
        for name, module in modules.items()
        for key, value in module.state_dict().items()
    }


def with_gaussian_readout(state: dict[str, Tensor], n: int, channels: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(9)
    return {
        **state,
        "readout.s._mu": torch.rand(1, n, 1, 2, generator=g) - 0.5,
        "readout.s.sigma": torch.rand(1, n, 2, 2, generator=g),
        "readout.s._features": torch.randn(1, channels, 1, n, generator=g),
        "readout.s.bias": torch.randn(n, generator=g),
    }


def gaussian_literal(maps: Tensor, state: dict[str, Tensor]) -> Tensor:
    frames = maps[0].transpose(0, 1)
    grid = state["readout.s._mu"].expand(len(frames), -1, -1, -1)
    read = functional.grid_sample(frames, grid, align_corners=True)[..., 0]
    features = state["readout.s._features"][0, :, 0]
    drive = (read * features).sum(dim=1) + state["readout.s.bias"]
    return functional.elu(drive) + 1


def factorized(
    g: torch.Generator, bias: bool, padded: bool
) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    space = nn.Conv3d(2, 4, (1, 5, 5), bias=bias, padding=(0, 2, 2) if padded else 0)
    time = nn.Conv3d(4, 4, (6, 1, 1), bias=bias, dilation=(2, 1, 1))
    space1 = nn.Conv3d(4, 3, (1, 3, 3), bias=bias, padding=(0, 1, 1) if padded else 0)
    time1 = nn.Conv3d(3, 3, (3, 1, 1), bias=bias)
    norms = norm_of(4, g), norm_of(3, g)
    modules = {
        "features.layer0.conv_spatial": space,
        "features.layer0.conv_temporal": time,
        "features.layer0.norm": norms[0],
        "features.layer1.conv_spatial_1": space1,
        "features.layer1.conv_temporal_1": time1,
        "features.layer1.norm": norms[1],
    }
    return modules, lambda x: functional.elu(
        norms[1](time1(space1(functional.elu(norms[0](time(space(x)))))))
    )


class Factor(nn.Module):
    """neuralpredictors' Scale3DLayer and Bias3DLayer: one number per channel."""

    def __init__(self, name: str, n: int, g: torch.Generator) -> None:
        super().__init__()
        self.name = name
        self.register_parameter(name, nn.Parameter(torch.randn(1, n, 1, 1, 1, generator=g)))

    def forward(self, x: Tensor) -> Tensor:
        own = self.get_parameter(self.name)
        return x * own if self.name == "scale" else x + own


def dilated(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    """Spread taps in space, ReLU, strides; layers with a scale behind the norm, a bias behind a plain one, no norm."""
    space = nn.Conv3d(2, 4, (1, 3, 3), dilation=(1, 2, 2), padding=(0, 1, 1))
    time = nn.Conv3d(4, 4, (3, 1, 1), dilation=(2, 1, 1))
    space1, time1 = nn.Conv3d(4, 3, (1, 3, 3), stride=(1, 2, 2)), nn.Conv3d(3, 3, (3, 1, 1))
    space2, time2 = nn.Conv3d(3, 3, (1, 1, 1)), nn.Conv3d(3, 3, (2, 1, 1))
    affine, plain = norm_of(4, g), nn.BatchNorm3d(3, affine=False).eval()
    plain.running_mean, plain.running_var = torch.randn(3, generator=g), torch.rand(3, generator=g) + 0.5
    scale, bias = Factor("scale", 4, g), Factor("bias", 3, g)
    modules = {
        "features.layer0.conv_spatial": space,
        "features.layer0.conv_temporal": time,
        "features.layer0.norm": affine,
        "features.layer0.scale": scale,
        "features.layer1.conv_spatial_1": space1,
        "features.layer1.conv_temporal_1": time1,
        "features.layer1.norm": plain,
        "features.layer1.bias": bias,
        "features.layer2.conv_spatial_2": space2,
        "features.layer2.conv_temporal_2": time2,
    }
    relu = functional.relu
    return modules, lambda x: relu(
        time2(space2(relu(bias(plain(time1(space1(relu(scale(affine(time(space(x))))))))))))
    )


def one_linear_layer(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    """`Basic3dCore(layers=1, final_nonlin=False)`."""
    conv, norm = nn.Conv3d(2, 3, (4, 5, 5)), norm_of(3, g)
    return {"features.layer0.conv": conv, "features.layer0.norm": norm}, lambda x: norm(conv(x))


def basic(g: torch.Generator) -> tuple[dict[str, nn.Module], Callable[[Tensor], Tensor]]:
    one, two = nn.Conv3d(2, 4, (5, 5, 5), bias=True), nn.Conv3d(4, 3, (3, 3, 3), bias=True)
    norms = norm_of(4, g), norm_of(3, g)
    modules = {
        "features.layer0.conv": one,
        "features.layer0.norm": norms[0],
        "features.layer1.conv_1": two,
        "features.layer1.norm": norms[1],
    }
    return modules, lambda x: functional.elu(norms[1](two(functional.elu(norms[0](one(x))))))


@pytest.mark.parametrize(
    ("kind", "video"),
    [
        ("factorized", {"time_dilation": [2, 1]}),
        ("factorized without biases", {"time_dilation": [2, 1]}),
        ("factorized padded", {"time_dilation": [2, 1], "padding": [2, 1]}),
        ("basic", {}),
        (
            "dilated",
            {
                "dilation": [2, 1, 1],
                "time_dilation": [2, 1, 1],
                "padding": [1, 0, 0],
                "stride": [1, 2, 1],
                "nonlinearity": "relu",
            },
        ),
        ("one linear layer", {"final_nonlinearity": False}),
    ],
)
def test_neuralpredictors_cores_are_rebuilt(kind: str, video: dict[str, object]) -> None:
    torch.manual_seed(0)
    g = torch.Generator().manual_seed(1)
    makers = {"basic": basic, "dilated": dilated, "one linear layer": one_linear_layer}
    made = (
        makers[kind](g)
        if kind in makers
        else factorized(g, bias="without" not in kind, padded="padded" in kind)
    )
    state = with_gaussian_readout(prefixed(made[0]), 6, 3)
    network = rebuilt(state, video, shape=(2, 14, 16))
    movie = torch.randn(1, 2, 25, 14, 16, generator=g)
    with torch.no_grad():
        expected = gaussian_literal(made[1](movie), state)
        torch.testing.assert_close(network(movie, "s")[0], expected, atol=1e-5, rtol=1e-5)
    assert network.lag == {"basic": 6, "dilated": 7, "one linear layer": 3}.get(kind, 12)
    assert network.config.space_time is not None
    assert network.config.space_time.future == 0
    assert network.geometry.frame_rate == 30.0
    again = Network.from_checkpoint(network.checkpoint()).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(movie, "s"), network(movie, "s"))


def test_a_shifter_moves_readouts_by_the_gaze_of_each_predicted_frame() -> None:
    g = torch.Generator().manual_seed(1)
    modules, forward = factorized(g, bias=True, padded=False)
    state = with_gaussian_readout(prefixed(modules), 6, 3)
    one, two = nn.Linear(2, 5), nn.Linear(5, 2)
    for number, layer in ((0, one), (2, two)):
        state |= {
            f"shifter.s.mlp.{number}.{key}": value.detach() for key, value in layer.state_dict().items()
        }
    network = rebuilt(state, {"time_dilation": [2, 1]}, shape=(4, 14, 16))
    movie, gaze = torch.randn(1, 2, 25, 14, 16, generator=g), torch.randn(1, 2, 25, generator=g)
    seen = torch.cat([movie, gaze[..., None, None].expand(-1, -1, -1, 14, 16)], dim=1)
    with torch.no_grad():
        maps = forward(movie)
        shifts = torch.tanh(two(torch.tanh(one(gaze[0, :, -maps.shape[2] :].T))))  # of the frames predicted
        expected = torch.cat(
            [
                gaussian_literal(
                    maps[:, :, [frame]],
                    state | {"readout.s._mu": state["readout.s._mu"] + shift[None, None, None]},
                )
                for frame, shift in enumerate(shifts)
            ]
        )
        torch.testing.assert_close(network(seen, "s")[0], expected, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("wrapped", ["lightning", "parallel", "compiled in a trainer's file"])
def test_wrappers_and_sessions_change_nothing(tmp_path: Path, wrapped: str) -> None:
    g = torch.Generator().manual_seed(1)
    modules, forward = factorized(g, bias=True, padded=False)
    sessions = ("dynamic29515-10-12-Video-9b4f", "dynamic29623-4-9-Video-9b4f")
    state = prefixed(modules) | {
        "core._input_weight_regularizer.laplace.filter": torch.ones(1, 1, 3, 3),
        "core.temporal_regularizer.laplace.filter": torch.ones(1, 1, 3),
    }
    for number, name in enumerate(sessions):
        of_one = with_gaussian_readout({}, 4 + number, 3)
        state |= {key.replace("readout.s.", f"readout.{name}."): value for key, value in of_one.items()}
    stem = {"lightning": "model.", "parallel": "module."}.get(wrapped, "module._orig_mod.")
    named = {f"{stem}{key}": value for key, value in state.items()}
    content: dict[str, object] = {"state_dict": named, "epoch": 3, "optimizer_states": [{"state": {}}]}
    torch.save(named if wrapped == "parallel" else content, tmp_path / "net.pt")
    readout = read_checkpoint(tmp_path / "net.pt")
    assert (readout.sessions, len(readout.embedding), readout.is_video) == (sessions, 9, True)
    config = RebuildConfig.from_params(
        {"video": {"frame_rate": 30.0, "time_dilation": [2, 1]}, "image_shape": [2, 14, 16]}
    )
    network = rebuild_network(
        torch.load(tmp_path / "net.pt", weights_only=True), config, neuron_order_sha256="0" * 64
    )
    np.testing.assert_array_equal(network.embedding().detach().numpy(), readout.embedding)
    movie = torch.randn(1, 2, 25, 14, 16, generator=g)
    with torch.no_grad():
        for name in sessions:
            literal = {key.replace(f"readout.{name}.", "readout.s."): value for key, value in state.items()}
            expected = gaussian_literal(forward(movie), literal)
            torch.testing.assert_close(network(movie, name)[0], expected, atol=1e-5, rtol=1e-5)


def test_an_ensemble_of_movies_in_one_file_is_refused_with_its_members(tmp_path: Path) -> None:
    modules, _ = factorized(torch.Generator().manual_seed(1), bias=True, padded=False)
    state = with_gaussian_readout(prefixed(modules), 4, 3)
    members = {f"members.{i}.{key}": value + i for i in range(2) for key, value in state.items()}
    torch.save(members, tmp_path / "ensemble.pt")
    with pytest.raises(CheckpointError, match=r"members\.0.*members\.1"):
        read_checkpoint(tmp_path / "ensemble.pt")
    one = read_checkpoint(tmp_path / "ensemble.pt", state_dict="members.1")
    assert one.embedding.shape == (4, 3)
    assert one.is_video


class OpenRetinaCore(nn.Module):
    """A literal transcription of openretina's core wrapper with one of its convolutions."""

    def __init__(self, kind: str, padding: object, g: torch.Generator) -> None:
        super().__init__()
        self.kind, self.padding = kind, padding
        self.sizes = ((2, 4, 7, 5), (4, 3, 5, 3))
        self.tensors: dict[str, Tensor] = {}
        self.norms = []
        for number, (n_in, n_out, frames, side) in enumerate(self.sizes):
            stem = f"core.features.layer{number}"
            speed = torch.full((1,), 0.1)
            self.tensors[f"{stem}.conv._log_speed_default"] = speed
            if kind == "full":
                self.tensors[f"{stem}.conv.conv.weight"] = torch.randn(
                    n_out, n_in, frames, side, side, generator=g
                )
            elif kind == "separable":
                self.tensors[f"{stem}.conv.space_conv.weight"] = torch.randn(
                    n_out, n_in, 1, side, side, generator=g
                )
                self.tensors[f"{stem}.conv.time_conv.weight"] = torch.randn(
                    n_out, n_out, frames, 1, 1, generator=g
                )
            else:
                for name in ("sin_weights", "cos_weights"):
                    self.tensors[f"{stem}.conv.{name}"] = torch.randn(n_out, n_in, frames // 3, generator=g)
                self.tensors[f"{stem}.conv.weight_spatial"] = torch.randn(
                    n_out, n_in, 1, side, side, generator=g
                )
            norm = norm_of(n_out, g)
            self.norms.append(norm)
            self.tensors |= {f"{stem}.norm.{key}": value for key, value in norm.state_dict().items()}
            self.tensors[f"{stem}.bias.bias"] = torch.randn(1, n_out, 1, 1, 1, generator=g)

    def forward(self, x: Tensor) -> Tensor:
        for number, (_, _, frames, _) in enumerate(self.sizes):
            t = {
                key.split(f"layer{number}.", 1)[1]: value
                for key, value in self.tensors.items()
                if f"layer{number}." in key
            }
            padding = 0 if number == 0 else self.padding
            speed = torch.exp(t["conv._log_speed_default"])
            if self.kind == "full":
                x = functional.conv3d(x, t["conv.conv.weight"], padding=padding)
            elif self.kind == "separable":
                x = functional.conv3d(x, t["conv.space_conv.weight"], padding=padding)
                x = speed * functional.conv3d(x, t["conv.time_conv.weight"], padding=padding)
            else:
                time = torch.arange(frames, dtype=torch.float) - frames
                mask = 1 / (1 + torch.exp(-time - int(frames * 0.95) / speed))
                kernel = torch.zeros(*t["conv.sin_weights"].shape[:2], frames)
                for k in range(frames // 3):
                    phase = speed * time * 2 * math.pi / frames * k
                    kernel += t["conv.sin_weights"][..., k, None] * (mask * torch.sin(phase))
                    kernel += t["conv.cos_weights"][..., k, None] * (mask * torch.cos(phase))
                x = functional.conv3d(x, kernel[..., None, None] * t["conv.weight_spatial"], padding=padding)
            x = functional.elu(self.norms[number](x) + t["bias.bias"])
        return x


def openretina_mask(maps: Tensor, g: torch.Generator, n: int) -> tuple[dict[str, Tensor], Tensor]:
    """State of a Gaussian mask readout, and what it answers to maps."""
    _, channels, _, height, width = maps.shape
    ends = [side / max(height, width) for side in (height, width)]
    rows, columns = (torch.linspace(-end, end, side) for end, side in zip(ends, (height, width), strict=True))
    grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), 2)[None].repeat(n, 1, 1, 1)
    parts = {
        "mask_mean": 0.1 * torch.randn(n, 2, generator=g),
        "mask_log_var": torch.randn(n, generator=g) - 1,
        "features": torch.randn(1, channels, 1, n, generator=g),
        "scale_param": 1 + 0.1 * torch.randn(n, generator=g),
        "bias": torch.randn(n, generator=g),
        "grid": grid,
    }
    away = grid - (parts["mask_mean"] * HOEFLING["mean_scale"]).view(n, 1, 1, 2)
    variance = torch.exp((parts["mask_log_var"] * HOEFLING["var_scale"]).clamp(-20, 20)).view(-1, 1, 1)
    pdf = torch.exp(-0.5 * ((away**2).sum(-1) / (variance + 1e-8)).clamp(max=20))
    pdf = pdf / pdf.sum(dim=(1, 2), keepdim=True)
    y = torch.einsum("nctwh,whd->nctd", maps, pdf.permute(1, 2, 0))
    y = (y * parts["features"].clamp(min=0)).sum(1)
    answer = functional.softplus(y * parts["scale_param"] + parts["bias"])
    return {f"readout.s.{key}": value for key, value in parts.items()}, answer[0]


@pytest.mark.parametrize(
    ("kind", "padding", "video", "future"),
    [
        ("full", 0, {}, 0),
        ("full", "same", {"padding": [0, 1], "time_padding": [0, 2]}, 2),
        ("full", (1, 1, 1), {"padding": [0, 1], "time_padding": [0, 1]}, 1),
        ("separable", 0, {}, 0),
        ("separable", "same", {"padding": [0, 1], "time_padding": [0, 2]}, 2),
        ("separable", (0, 1, 1), {"padding": [0, 1], "late_padding": [0, 1]}, 0),
        ("custom", 0, {"frames": [7, 5]}, 0),
        ("custom", (0, 2, 2), {"frames": [7, 5], "padding": [0, 2]}, 0),
        ("custom", "same", {"frames": [7, 5], "padding": [0, 1], "time_padding": [0, 2]}, 2),
    ],
)
def test_openretinas_convolutions_are_rebuilt_and_non_causal_padding_is_named(
    kind: str, padding: object, video: dict[str, object], future: int
) -> None:
    g = torch.Generator().manual_seed(3)
    core = OpenRetinaCore(kind, padding, g)
    movie = torch.randn(1, 2, 24, 12, 10, generator=g)
    with torch.no_grad(), warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        maps = core(movie)
        readout, expected = openretina_mask(maps, g, 5)
        network = rebuilt(
            {**core.tensors, **readout}, {**HOEFLING, **video}, output="softplus", shape=(2, 12, 10)
        )
        predicted = network(movie, "s")[0]
    torch.testing.assert_close(predicted, expected, atol=1e-5, rtol=1e-5)
    assert network.lag == 24 - len(expected)
    assert network.config.space_time is not None
    assert network.config.space_time.future == future
    assert any(f"sees {future} frames of the future" in str(one.message) for one in said) == (future > 0)
    again = Network.from_checkpoint(network.checkpoint()).eval()
    with torch.no_grad():
        torch.testing.assert_close(again(movie, "s")[0], predicted)


# what is refused, and with what words


@pytest.fixture
def separable() -> dict[str, Tensor]:
    core = OpenRetinaCore("separable", 0, torch.Generator().manual_seed(4))
    readout, _ = openretina_mask(torch.zeros(1, 3, 4, 6, 4), torch.Generator().manual_seed(5), 4)
    return {**core.tensors, **readout}


def test_a_network_of_movies_needs_its_frame_rate(separable: dict[str, Tensor]) -> None:
    with pytest.raises(ConfigError, match=r"convolves in time, a network of movies.*frame_rate"):
        rebuild_network(
            separable, RebuildConfig(core={"stack": -1}, image_shape=(2, 12, 10)), neuron_order_sha256=""
        )
    with pytest.raises(ConfigError, match="give one of them"):
        RebuildConfig.from_params({"core": {"stack": -1}, "video": {"frame_rate": 30}})
    assert "video" not in RebuildConfig(core={}).resolved()


@pytest.mark.parametrize(
    ("change", "video", "error", "message"),
    [
        (
            {"core.features.layer0.conv.log_speed_s": torch.zeros(1)},
            {},
            CheckpointError,
            "a speed per session",
        ),
        (
            {"core.features.layer0.pool.weight": torch.zeros(1)},
            {},
            CheckpointError,
            r"layer 0 .*'pool\.weight'",
        ),
        (
            {"core.color_squashing_layer.w": torch.zeros(1)},
            {},
            CheckpointError,
            "holds 'color_squashing_layer.w'",
        ),
        ({}, {"padding": [0]}, ConfigError, "padding names 1 layers, the core has 2"),
        (
            {},
            {"padding": [1, 1]},
            CheckpointError,
            r"masks .* are over \(6, 4\) cells, the core's maps have 80",
        ),
    ],
)
def test_cores_that_are_not_rebuilt_are_refused_with_the_reason(
    separable: dict[str, Tensor],
    change: dict[str, Tensor],
    video: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        rebuilt({**separable, **change}, video, output="softplus", shape=(2, 12, 10))


def test_custom_kernels_need_their_length() -> None:
    core = OpenRetinaCore("custom", 0, torch.Generator().manual_seed(4))
    readout, _ = openretina_mask(torch.zeros(1, 3, 4, 6, 4), torch.Generator().manual_seed(5), 4)
    state = {**core.tensors, **readout}
    with pytest.raises(ConfigError, match=r'do not tell how many frames it spans .*give "frames"'):
        rebuilt(state, {}, output="softplus", shape=(2, 12, 10))
    with pytest.raises(
        CheckpointError, match="a kernel over 11 frames has 3 sines, layer 0 of the core has 2"
    ):
        rebuilt(state, {"frames": [11, 5]}, output="softplus", shape=(2, 12, 10))


# embeddings alone


def test_a_recurrent_network_over_a_core_of_images_gives_its_embedding(tmp_path: Path) -> None:
    core = {"core.features.layer0.conv.weight": torch.zeros(4, 1, 3, 3)}
    gates = {
        f"gru_module.gru.{gate}_gate_input.weight": torch.zeros(4, 4, 3, 3)
        for gate in ("reset", "update", "out")
    }
    state = with_gaussian_readout({**core, **gates}, 7, 4)
    torch.save(state, tmp_path / "gru.pt")
    readout = read_checkpoint(tmp_path / "gru.pt")
    assert readout.embedding.shape == (7, 4)
    assert readout.is_video
    config = RebuildConfig(core={"stack": -1, "pad_input": False}, image_shape=(1, 12, 12))
    rebuild_network(with_gaussian_readout(core, 7, 4), config, neuron_order_sha256="")
    for wrapped in (state, {"state_dict": {f"model.{key}": value for key, value in state.items()}}):
        with pytest.raises(
            CheckpointError, match=r"'gru_module', which is recurrent over the frames.*readout alone"
        ):
            rebuild_network(wrapped, config, neuron_order_sha256="")
    modulated = {**with_gaussian_readout(core, 7, 4), "modulator.s.mlp.0.weight": torch.zeros(1, 2)}
    with pytest.raises(CheckpointError, match="'modulator', which scales responses"):
        rebuild_network(modulated, config, neuron_order_sha256="")
    torch.save(with_gaussian_readout(core, 7, 4), tmp_path / "images.pt")
    assert not read_checkpoint(tmp_path / "images.pt").is_video


@pytest.mark.parametrize("shape", [(6, 1, 5), (6, 5, 1), (6, 2, 5)])
def test_features_with_a_third_axis_are_rows(tmp_path: Path, shape: tuple[int, ...]) -> None:
    features = torch.randn(shape)
    torch.save({"net": {"weights": features}}, tmp_path / "other.pt")
    found = read_checkpoint(tmp_path / "other.pt", embedding_key="net.weights")
    np.testing.assert_array_equal(found.embedding, features.flatten(1).numpy())


@pytest.mark.parametrize("embedding_key", [None, "readouts.0.layer.1.weight"])
def test_a_readout_in_groups_is_refused_with_the_reason(tmp_path: Path, embedding_key: str | None) -> None:
    state = {
        "core.blocks.0.weight": torch.zeros(3, 1, 3, 3, 3),
        "cortex.layers.0.weight": torch.zeros(4, 4, 1),
        "readouts.0.layer.1.weight": torch.zeros(8, 2, 1),
    }
    torch.save(state, tmp_path / "dwise.pt")
    with pytest.raises(CheckpointError, match="two groups of its readout read different channels"):
        read_checkpoint(tmp_path / "dwise.pt", embedding_key=embedding_key)


class Hyper:
    """What a Lightning checkpoint holds beside its weights."""


def test_python_objects_are_refused_with_the_line_that_converts(tmp_path: Path) -> None:
    torch.save({"state_dict": {}, "hyper_parameters": Hyper()}, tmp_path / "lightning.ckpt")
    with pytest.raises(CheckpointError, match=r"holds Python objects.*torch\.save\(model\.state_dict\(\)"):
        read_checkpoint(tmp_path / "lightning.ckpt")


# fnn's two files


def write_fnn(folder: Path, *, gains: bool) -> dict[str, Tensor]:
    folder.mkdir(parents=True)
    g = torch.Generator().manual_seed(6)
    torch.save({"core.weights": torch.zeros(3)}, folder / "params_core.pt")
    weights, rows = {}, []
    for session, scan, n in ((4, 7, 3), (10, 2, 5)):
        shape = (n, 1, 2, 4) if gains else (n, 1, 8)
        state = {f"readout.feature.weights.{s}": torch.randn(shape, generator=g) for s in range(2)}
        if gains:
            state |= {f"readout.feature.gains.{s}": torch.randn(n, 1, 2, generator=g) for s in range(2)}
        state["readout.position.mu"] = torch.randn(n, 2, generator=g)
        torch.save(state, folder / f"params_{session}_{scan}.pt")
        weights[f"{session}-{scan}"] = state
        rows += [
            {"session": session, "scan_idx": scan, "unit_id": 100 * session + i, "readout_id": i}
            for i in range(n)
        ]
    pd.DataFrame(rows[::-1]).to_csv(folder / "units.csv", index=False)
    return weights


def literal(state: dict[str, Tensor], *, gains: bool) -> np.ndarray:
    streams = []
    for s in range(2):
        weight = state[f"readout.feature.weights.{s}"].double().numpy()
        if gains:
            mean, var = weight.mean(axis=3, keepdims=True), weight.var(axis=3, keepdims=True)
            weight = (weight - mean) / np.sqrt(var * 8 + 1e-5)
            weight = weight * state[f"readout.feature.gains.{s}"].double().numpy()[..., None]
        streams.append(weight.reshape(len(weight), -1))
    return np.concatenate(streams, axis=1)


@pytest.mark.parametrize("gains", [False, True])
def test_the_digital_twins_features_come_with_their_units(tmp_path: Path, gains: bool) -> None:
    states = write_fnn(tmp_path / "twin", gains=gains)
    found = read_fnn(tmp_path / "twin")
    assert found.readout.sessions == ("4-7", "10-2")
    assert found.readout.is_video
    assert found.units["unit_id"].tolist() == [400, 401, 402, 1000, 1001, 1002, 1003, 1004]
    expected = np.concatenate([literal(state, gains=gains) for state in states.values()])
    np.testing.assert_allclose(found.readout.embedding, expected, rtol=1e-5)
    save_readout(found.readout, tmp_path / "twin.pt")
    again = read_checkpoint(tmp_path / "twin.pt")
    np.testing.assert_array_equal(again.embedding, found.readout.embedding)
    assert again.sessions == found.readout.sessions
    with pytest.raises(CheckpointError, match="exists"):
        save_readout(found.readout, tmp_path / "twin.pt")


def test_units_and_rows_must_belong_together(tmp_path: Path) -> None:
    write_fnn(tmp_path / "twin", gains=False)
    table = pd.read_csv(tmp_path / "twin" / "units.csv")
    table.iloc[1:].to_csv(tmp_path / "twin" / "units.csv", index=False)
    with pytest.raises(CheckpointError, match=r"params_10_2\.pt holds 5 units, but units\.csv names 4"):
        read_fnn(tmp_path / "twin")
    (tmp_path / "twin" / "units.csv").unlink()
    with pytest.raises(CheckpointError, match=r"should hold units\.csv"):
        read_fnn(tmp_path / "twin")
    table.drop(columns="unit_id").to_csv(tmp_path / "twin" / "units.csv", index=False)
    with pytest.raises(CheckpointError, match=r"lacks the columns \['unit_id'\]"):
        read_fnn(tmp_path / "twin")
