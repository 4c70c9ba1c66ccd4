"""Published networks of movies are rebuilt whole: equal to stored outputs and to networks written out."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from support.literal_movies import (
    HOEFLING,
    OpenRetinaCore,
    basic,
    dilated,
    factorized,
    gaussian_literal,
    one_linear_layer,
    openretina_mask,
    prefixed,
    rebuilt,
    with_gaussian_readout,
)
from torch import nn

from decortex.errors import CheckpointError
from decortex.models import Network, read_checkpoint
from decortex.models.checkpoints import RebuildConfig, rebuild_network

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
