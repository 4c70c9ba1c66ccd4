"""Networks rebuilt from published checkpoints, against what the published packages predict (frozen)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from decortex.errors import CheckpointError, ConfigError
from decortex.models import Network
from decortex.models.checkpoints import (
    PUBLISHED,
    RebuildConfig,
    load_tensors,
    read_checkpoint,
    rebuild_network,
)

# Made by benchmarks/networks/published_networks.py from neuralpredictors 0.3.0 and openretina 1.1.1.
FROZEN: dict[str, Any] = torch.load(
    Path(__file__).parent / "frozen" / "published_networks.pt", weights_only=True
)
REBUILT = sorted(name for name in FROZEN if not name.startswith(("openretina", "sensorium_2022")))
ORDER = "0" * 64


def inputs_of(case: dict[str, Any]) -> torch.Tensor:
    """The images; where there is one, the pupil's position as two more channels."""
    images, pupil = case["images"], case["pupil"]
    if pupil is None:
        return images
    return torch.cat([images, pupil[:, :, None, None].expand(-1, 2, *images.shape[2:])], dim=1)


def rebuilt(case: dict[str, Any], **changed: Any) -> Network:
    options = {
        "core": case["core"],
        "image_shape": list(inputs_of(case).shape[1:]),
        **{name: case[name] for name in ("masks", "pool_kernel", "final_tanh")},
        **changed,
    }
    return rebuild_network(case["state"], RebuildConfig.from_params(options), neuron_order_sha256=ORDER)


@pytest.mark.parametrize("name", REBUILT)
def test_predictions_are_the_published_ones(name: str) -> None:
    case = FROZEN[name]
    network, images = rebuilt(case), inputs_of(case)
    assert network.session_names == list(case["predicted"])
    moved = torch.cat([one.std(dim=0) for one in case["predicted"].values()])
    assert moved.mean() > 5e-3  # the images matter: the comparison has something to say
    for session, expected in case["predicted"].items():
        with torch.no_grad():
            found = network(images, session)
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("name", REBUILT)
def test_embeddings_are_the_published_ones_bit_for_bit(name: str, tmp_path: Path) -> None:
    case = FROZEN[name]
    torch.save(case["state"], tmp_path / "weights.pt")
    found = read_checkpoint(tmp_path / "weights.pt", masks=case["masks"])
    expected = torch.cat(list(case["features"].values())).numpy()
    if name == "free_masks":
        norm = np.concatenate(
            [case["state"][f"readout.{s}.spatial"].flatten(1).norm(dim=1) for s in found.sessions]
        )
        expected = expected * norm[:, None]
    assert found.embedding.tobytes() == expected.tobytes()
    assert rebuilt(case).embedding().detach().numpy().tobytes() == expected.tobytes()
    counts = [len(one) for one in case["features"].values()]
    assert found.session.tolist() == list(np.repeat(list(case["features"]), counts))
    assert found.index.tolist() == [i for n in counts for i in range(n)]


@pytest.mark.parametrize("name", ["shifter", "pooled", "shared_features"])
def test_a_rebuilt_network_is_an_ordinary_one(name: str) -> None:
    network = rebuilt(FROZEN[name])
    again, images = Network.from_checkpoint(network.checkpoint()).eval(), inputs_of(FROZEN[name])
    for session in network.session_names:
        torch.testing.assert_close(again(images, session), network(images, session), rtol=0, atol=0)
    assert np.isfinite(network.positions()).all()


def test_openretina_readouts_weigh_their_maps_by_the_embedding(tmp_path: Path) -> None:
    for name, case in FROZEN.items():
        if not name.startswith("openretina"):
            continue
        state, maps = case["state"], case["maps"]  # (batch, channels, time, height, width)
        torch.save(state, tmp_path / "weights.pt")
        found = read_checkpoint(tmp_path / "weights.pt")
        assert found.kind == {"factorized": "openretina_factorised"}.get(
            name.removeprefix("openretina_"), "openretina_gaussian_mask"
        )
        if found.kind == "openretina_factorised":
            masks = state["readout.s.mask_weights"].T
            masks = masks / masks.norm(dim=1, keepdim=True)
        else:
            grid, mean = state["readout.s.grid"].flatten(1, 2), state["readout.s.mask_mean"]
            distance = (grid - mean[:, None]).square().sum(dim=2) / state["readout.s.mask_log_var"].exp()[
                :, None
            ]
            masks = torch.exp(-0.5 * distance.clamp_max(20))
            masks = masks / masks.sum(dim=1, keepdim=True)
        seen = torch.einsum("bctp,np->btcn", maps.flatten(3), masks)
        drive = (
            torch.einsum("btcn,nc->btn", seen, torch.from_numpy(found.embedding)) + state["readout.s.bias"]
        )
        torch.testing.assert_close(
            torch.nn.functional.softplus(drive), case["predicted"], rtol=1e-5, atol=1e-5
        )


def test_what_the_tensors_do_not_tell_must_be_given() -> None:
    case = FROZEN["sensorium"]
    core = {name: value for name, value in case["core"].items() if name not in ("pad_input", "stack")}
    with pytest.raises(ConfigError, match="do not tell pad_input, stack"):
        rebuilt(case, core=core)
    with pytest.raises(ConfigError, match='give "image_shape"'):
        rebuilt(case, image_shape=None)
    with pytest.raises(ConfigError, match='"masks": "normalised"'):
        rebuilt(FROZEN["free_masks"], masks=None)
    with pytest.raises(ConfigError, match='"pool_kernel"'):
        rebuilt(FROZEN["pooled"], pool_kernel=None)


@pytest.mark.parametrize(
    ("name", "wrong", "message"),
    [
        ("sensorium", {"layers": 4}, "built with layers=3, not with 4"),
        ("sensorium", {"hidden_kern": 5}, "built with hidden_kern=3, not with 5"),
        ("sensorium", {"depth_separable": False}, "built with depth_separable=True, not with False"),
        ("sensorium", {"stack": None}, "has 4 features per neuron, the core 12 maps"),
        ("pooled", {"stack": 1}, "cannot read a core of 8 maps"),
    ],
)
def test_a_configuration_that_the_tensors_contradict_is_refused(
    name: str, wrong: dict[str, Any], message: str
) -> None:
    case = FROZEN[name]
    with pytest.raises(CheckpointError, match=message):
        rebuilt(case, core={**case["core"], **wrong})


def test_tensors_that_do_not_belong_together_are_refused() -> None:
    case = FROZEN["sensorium"]
    with pytest.raises(CheckpointError, match="reads images of 1 channels, not of 3"):
        rebuilt(case, image_shape=[3, 14, 17])
    changed = {**case["state"], "core.features.layer1.norm.bias": torch.full((4,), float("nan"))}
    with pytest.raises(
        CheckpointError, match=r"core\.features\.layer1\.norm\.bias' holds 4 numbers that are NaN"
    ):
        rebuilt({**case, "state": changed})
    lost = {key: value for key, value in case["state"].items() if "layer1.norm" not in key}
    with pytest.raises(CheckpointError, match=r"core cannot be rebuilt: without \['features\.layer1\.norm"):
        rebuilt({**case, "state": lost})
    extra = {**case["state"], "core.features.layer1.gate.weight": torch.zeros(2)}
    with pytest.raises(
        CheckpointError, match=r"with \['features\.layer1\.gate\.weight'\] that the core cannot take"
    ):
        rebuilt({**case, "state": extra})
    with pytest.raises(CheckpointError, match="not a stack of convolutions"):
        rebuilt({**case, "state": {k: v for k, v in case["state"].items() if not k.startswith("core.")}})


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("readout.0-a.sigma", None, "'sigma' is absent"),
        ("readout.0-a.sigma", torch.zeros(1, 4, 2), r"'sigma' is \(1, 4, 2\)"),
        ("readout.0-a.mu_transform.2.bias", None, r"no tensor 'readout\.0-a\.mu_transform\.2\.bias', which goes with"),
        ("readout.0-a.mu_transform.2.bias", torch.zeros(0), r"mu_transform\.2 has weights \(2, 7\) and a bias \(0,\)"),
        ("readout.0-a.mu_transform.0.weight", torch.zeros(7), r"mu_transform\.0 has weights \(7,\)"),
        ("readout.0-a.source_grid", torch.zeros(4), r"do not apply to \(4,\)"),
        ("core.features.layer1.ds_conv.spatial_conv.weight", None, r"spatial_conv\.weight' are absent"),
        ("core.features.layer1.ds_conv.in_depth_conv.weight", torch.tensor(1.0), r"depth_conv\.weight' are of shape"),
        ("core.features.layer0.conv.weight", torch.zeros(0, 1, 3, 3), r"weight' are of shape \(0, 1, 3, 3\)"),
        ("core.features.layer0.conv.weight", torch.zeros(4, 1, 3, 3, device="meta"), r"has a shape and no numbers"),
        ("readout.0-a.bias", torch.zeros(4) * 1j, r"'readout\.0-a\.bias' is of type torch\.complex64"),
    ],
)  # fmt: skip
def test_a_tensor_that_is_missing_or_of_another_shape_is_named(
    key: str, value: torch.Tensor | None, message: str
) -> None:
    case = FROZEN["sensorium"]
    assert key in case["state"]
    state = {name: tensor for name, tensor in case["state"].items() if name != key}
    with pytest.raises(CheckpointError, match=message):
        rebuilt({**case, "state": state if value is None else {**state, key: value}})


def test_readouts_of_other_sizes_are_refused() -> None:
    case = FROZEN["many_sessions"]
    state = {**case["state"], "readout.31-a.sigma": torch.ones(1, 2, 2, 2)}
    with pytest.raises(
        CheckpointError, match=r"31-a\.sigma has shape \(1, 2, 2, 2\), the network's readout \(2, 1\)"
    ):
        rebuilt({**case, "state": state})
    state = {**case["state"], "readout.31-a._mu": torch.zeros(1, 3, 1, 2)}
    with pytest.raises(CheckpointError, match=r"_mu has 3 positions for 2 neurons\. Save"):
        rebuilt({**case, "state": state})
    state = {**case["state"], "readout.31-a._mu": torch.zeros(1, 2, 1, 1)}
    with pytest.raises(CheckpointError, match=r"_mu has shape \(1, 2, 1, 1\); positions are"):
        rebuilt({**case, "state": state})


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("normalised_masks", "readout.1-a.spatial", r"readout\.1-a\.spatial has shape \(1,\); masks are"),
        ("free_masks", "readout.0-a.spatial", r"readout\.0-a\.spatial has shape \(2,\); masks are"),
    ],
)
def test_masks_without_cells_are_refused(name: str, key: str, message: str) -> None:
    case = FROZEN[name]
    state = {**case["state"], key: torch.ones(len(case["state"][key]))}
    with pytest.raises(CheckpointError, match=message):
        rebuilt({**case, "state": state})


@pytest.mark.parametrize(
    ("index", "asked"), [([0, 1, 2, 0, -1], "-1"), ([0, 1, 2, 0, 3], "3"), ([0, 1, 2, 0, 1.5], "1.5")]
)
def test_an_index_of_features_that_are_not_there_is_refused(index: list[float], asked: str) -> None:
    case = FROZEN["shared_features"]
    state = {**case["state"], "readout.0-a.feature_sharing_index": torch.tensor(index)}
    with pytest.raises(
        CheckpointError, match=rf"asks for number {asked}, but there are 3 shared feature vectors"
    ):
        rebuilt({**case, "state": state})


def test_an_image_without_an_end_is_refused() -> None:
    with pytest.raises(ConfigError, match="should be at most 65535"):
        rebuilt(FROZEN["sensorium"], image_shape=[1, 2**63, 17])
    case = FROZEN["sensorium"]
    config = RebuildConfig.from_params({"core": case["core"]})
    with pytest.raises(ConfigError, match="each from 1 to 65535"):
        rebuild_network(case["state"], config, neuron_order_sha256=ORDER, image_shape=(1, 2**63, 17))
    with pytest.raises(ConfigError, match=r"pixel_std.*above 0"):
        RebuildConfig.from_params({"pixel_std": [0.0]})


@pytest.mark.real_data
@pytest.mark.parametrize(
    ("name", "file"),
    [("sensorium", "sensorium_sota_model.pth"), ("sensorium_plus", "sensorium_p_sota_model.pth")],
)
def test_the_sensorium_networks_predict_as_published(shared_data: Path, name: str, file: str) -> None:
    path = shared_data / "mouse_v1_sensorium" / file
    network = rebuild_network(load_tensors(path), PUBLISHED[name], neuron_order_sha256=ORDER)
    case = FROZEN["sensorium_2022" if name == "sensorium" else "sensorium_2022_plus"]
    with torch.no_grad():
        found = network(inputs_of(case), network.session_names[0])
    assert network.map_shape[1:] == (28, 56)
    assert case["predicted"].std() > 0.1
    torch.testing.assert_close(found[:, :200], case["predicted"], rtol=1e-5, atol=1e-5)
