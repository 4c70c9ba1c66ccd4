"""Published networks of movies: what is refused and with what words, embeddings by key, and fnn's two files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from support.foreign_folders import write_fnn
from support.literal_movies import OpenRetinaCore, openretina_mask, rebuilt, with_gaussian_readout
from torch import Tensor

from decortex.errors import CheckpointError, ConfigError
from decortex.models import read_checkpoint
from decortex.models.checkpoints import RebuildConfig, read_fnn, rebuild_network, save_readout

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


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("core.features.layer0.conv.time_conv.weight", None, r"no tensor 'core\.features\.layer0\.conv\.time_conv\.w"),
        ("core.features.layer0.conv.space_conv.weight", torch.zeros(3), r"space_conv\.weight has shape \(3,\)"),
        ("core.features.layer0.norm.running_var", torch.zeros(0), "different numbers of channels"),
        ("core.features.layer0.conv.space_conv.weight", torch.zeros(4, 2, 3, 5, 5), r"\(4, 2, 3, 5, 5\); .* one frame"),
        ("core.features.layer0.conv.time_conv.weight", torch.zeros(4, 4, 7, 1, 3), r"\(4, 4, 7, 1, 3\); .* one pixel"),
        ("readout.s.grid", torch.tensor(0.0), r"have a grid \(\), means \(4, 2\)"),
        ("readout.s.mask_mean", torch.zeros(4), r"means \(4,\)"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_missing_or_of_another_shape_is_named(
    separable: dict[str, Tensor], key: str, value: Tensor | None, message: str
) -> None:
    assert key in separable, list(separable)
    state = {name: tensor for name, tensor in separable.items() if name != key}
    with pytest.raises(CheckpointError, match=message):
        rebuilt(state if value is None else {**state, key: value}, {}, output="softplus", shape=(2, 12, 10))


def test_custom_kernels_need_their_length() -> None:
    core = OpenRetinaCore("custom", 0, torch.Generator().manual_seed(4))
    readout, _ = openretina_mask(torch.zeros(1, 3, 4, 6, 4), torch.Generator().manual_seed(5), 4)
    state = {**core.tensors, **readout}
    key = "core.features.layer0.conv.weight_spatial"
    for frames in (2, 7):
        wide = {**state, key: state[key].expand(-1, -1, frames, -1, -1)}
        with pytest.raises(CheckpointError, match=r"weight_spatial has shape .* of one frame"):
            rebuilt(wide, {"frames": [7, 5]}, output="softplus", shape=(2, 12, 10))
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


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("session,scan_idx,unit_id,readout_id\n4,7,400,0.5\n", r"holds '0\.5' under 'readout_id' in row 1"),
        ("session,scan_idx,unit_id,readout_id\n9,9,,\n4,7,,0\n", r"holds '' under 'unit_id' in row 2"),
        (
            "session,scan_idx,unit_id,readout_id\n4,7,400,0\nx,7,401,1\n",
            r"holds 'x' under 'session' in row 2",
        ),
        (
            "session,scan_idx,unit_id,readout_id\n4,7,5,0\n4,7,5,1\n4,7,6,2\n",
            "names unit 5 twice in session 4, scan 7",
        ),
        ("session,scan_idx,unit_id,readout_id\n4,7,400,0,1,2\n", "line 2 has 6 fields"),
        ("\xff\xfe", "units cannot be read"),
    ],
)
def test_units_that_are_no_whole_numbers_are_told(tmp_path: Path, text: str, message: str) -> None:
    write_fnn(tmp_path / "twin", gains=False)
    (tmp_path / "twin" / "units.csv").write_bytes(text.encode("latin-1"))
    with pytest.raises(CheckpointError, match=message):
        read_fnn(tmp_path / "twin")


@pytest.mark.parametrize(
    ("stream", "value", "message"),
    [
        ("weights.0", torch.zeros(3, 1, 2, 4) * 1j, "is of type torch.complex64"),
        ("gains.1", torch.zeros(3, 1, 2, device="meta"), r"gains\.1 of .* has a shape and no numbers"),
        ("weights.1", torch.zeros(2, 1, 2, 4), r"weights\.1 of .* has 2 units, the stream before 3"),
        ("gains.1", torch.zeros(3, 2), r"gains\.1 of .* has shape \(3, 2\); weights \(3, 1, 2, 4\) go with"),
    ],
)
def test_streams_that_do_not_go_together_are_told(
    tmp_path: Path, stream: str, value: Tensor, message: str
) -> None:
    state = write_fnn(tmp_path / "twin", gains=True)["4-7"]
    torch.save({**state, f"readout.feature.{stream}": value}, tmp_path / "twin" / "params_4_7.pt")
    with pytest.raises(CheckpointError, match=message):
        read_fnn(tmp_path / "twin")


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


def test_a_file_of_two_networks_is_not_read_as_one(tmp_path: Path) -> None:
    state = write_fnn(tmp_path / "twin", gains=True)["4-7"]
    path = tmp_path / "twin" / "params_4_7.pt"
    torch.save({"model": state, "ema": {key: value * 0 + 7 for key, value in state.items()}}, path)
    with pytest.raises(CheckpointError, match=r"features of 2 networks, \['model\.readout"):
        read_fnn(tmp_path / "twin")
    torch.save({key.replace("weights.1", "weights.2"): value for key, value in state.items()}, path)
    with pytest.raises(CheckpointError, match=r"streams \[0, 2\]; expected each once, counted from 0"):
        read_fnn(tmp_path / "twin")
    torch.save({"weights": {"weights": state}}, path)  # gains lie beside weights, whatever the prefix
    assert read_fnn(tmp_path / "twin").readout.embedding.shape == (8, 16)
    torch.save(state, tmp_path / "twin" / "params_04_7.pt")
    with pytest.raises(CheckpointError, match="two files of one scan"):
        read_fnn(tmp_path / "twin")
