"""Reading embeddings out of checkpoints: every layout, every way a file can be wrong, real files."""

from __future__ import annotations

import hashlib
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import decortex
from decortex.errors import CheckpointError
from decortex.models import Network
from decortex.models.checkpoints import CheckpointReadout, read_checkpoint

C = 5


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def full_gaussian(session: str, n: int, channels: int = C) -> dict[str, Tensor]:
    stem = f"readout.{session}."
    return {
        f"{stem}_mu": drawn(1, n, 1, 2, seed=1) * 0.3,
        f"{stem}sigma": drawn(1, n, 2, 2),
        f"{stem}_features": drawn(1, channels, 1, n, seed=n),
        f"{stem}bias": drawn(n),
    }


@pytest.fixture
def read(tmp_path: Path):
    def save_and_read(content: object, **options) -> CheckpointReadout:
        torch.save(content, tmp_path / "weights.pt")
        return read_checkpoint(tmp_path / "weights.pt", **options)

    return save_and_read


def test_sessions_are_concatenated_in_order(read, tmp_path) -> None:
    state = {"core.conv.weight": drawn(2, 2)} | full_gaussian("27204-5-13", 3) | full_gaussian("a.b", 2)
    found = read(state)
    assert found.kind == "full_gaussian_2d"
    assert found.sessions == ("27204-5-13", "a.b")
    assert found.embedding.dtype == np.float32
    np.testing.assert_array_equal(found.embedding[:3], state["readout.27204-5-13._features"][0, :, 0].T)
    np.testing.assert_array_equal(found.embedding[3:], state["readout.a.b._features"][0, :, 0].T)
    assert found.session.tolist() == ["27204-5-13"] * 3 + ["a.b"] * 2
    assert found.index.tolist() == [0, 1, 2, 0, 1]
    np.testing.assert_array_equal(found.positions[:3], state["readout.27204-5-13._mu"][0, :, 0])
    assert found.cortical is None
    assert found.sha256 == hashlib.sha256((tmp_path / "weights.pt").read_bytes()).hexdigest()


@pytest.mark.parametrize(("n", "channels"), [(1, C), (4, 1), (1, 1)])
def test_single_neurons_and_channels_keep_their_axes(read, n: int, channels: int) -> None:
    assert read(full_gaussian("s", n, channels)).embedding.shape == (n, channels)


def test_positions_that_a_network_predicts_from_cortical_ones(read) -> None:
    state = full_gaussian("s", 4)
    del state["readout.s._mu"]
    grid = drawn(4, 2)
    predictor = torch.nn.Sequential(
        torch.nn.Linear(2, 7), torch.nn.ELU(), torch.nn.Linear(7, 2), torch.nn.Tanh()
    )
    state["readout.s.source_grid"] = grid
    state |= {f"readout.s.mu_transform.{key}": value for key, value in predictor.state_dict().items()}
    found = read(state)
    np.testing.assert_array_equal(found.cortical, grid)
    np.testing.assert_allclose(found.positions, predictor(grid).detach(), rtol=1e-6)


def test_shared_features_are_gathered_and_scaled(read) -> None:
    state = full_gaussian("s", 5)
    features = drawn(1, C, 1, 3)
    state["readout.s._features"] = features
    state["readout.s.scales"] = scales = drawn(1, 1, 1, 5)
    state["readout.s.feature_sharing_index"] = torch.tensor([2, 0, 0, 1, 2])
    expected = np.stack([scales[0, 0, 0, n] * features[0, :, 0, m] for n, m in enumerate([2, 0, 0, 1, 2])])
    np.testing.assert_array_equal(read(state).embedding, expected)


def test_point_pooled(read) -> None:
    state = {"readout.s.grid": drawn(1, 4, 1, 2), "readout.s.features": drawn(1, 3 * C, 1, 4)}
    found = read(state)
    assert found.kind == "point_pooled_2d"
    np.testing.assert_array_equal(found.embedding, state["readout.s.features"][0, :, 0].T)
    np.testing.assert_array_equal(found.positions, state["readout.s.grid"][0, :, 0].clamp(-1, 1))


def test_gaussian_2d(read) -> None:
    found = read({"readout.s.mu": drawn(1, 4, 1, 2), "readout.s.features": drawn(1, C, 1, 4)})
    assert found.kind == "gaussian_2d"
    assert found.positions.shape == (4, 2)


@pytest.mark.parametrize("leaf", ["_features", "features"])
def test_factorised(read, leaf: str) -> None:
    features, spatial = drawn(4, C), drawn(4, 3, 6, seed=1)
    state = {f"readout.s.{leaf}": features, "readout.s.spatial": spatial}
    norm = np.sqrt(np.square(spatial.numpy()).sum(axis=(1, 2)))
    free, normalised = read(state), read(state, masks="normalised")
    assert free.kind == "factorised_2d"
    np.testing.assert_allclose(free.embedding, features.numpy() * norm[:, None], rtol=1e-6)
    np.testing.assert_array_equal(normalised.embedding, features)
    assert free.positions is None


@pytest.mark.parametrize(
    ("nest", "key"),
    [
        (lambda m: {"feat": m, "bias": drawn(3)}, "feat"),
        (lambda m: {"model": {"head.weight": m}}, "model.head.weight"),
        (lambda m: {"a.b": drawn(2), "a": {"b": drawn(2), "b.c": m}}, "a.b.c"),
    ],
)
def test_features_named_by_a_dotted_path(read, nest, key: str) -> None:
    matrix = drawn(3, C)
    found = read(nest(matrix), embedding_key=key)
    assert found.kind == "named_key"
    assert found.sessions == (key,)
    np.testing.assert_array_equal(found.embedding, matrix)


@pytest.mark.parametrize("name", ["state_dict", "model_state_dict"])
def test_state_dicts_one_level_deeper(read, name: str) -> None:
    assert read({"epoch": 3, "optimizer": {"lr": 0.1}, name: full_gaussian("s", 3)}).embedding.shape == (3, C)


def test_prefixes_before_the_readout(read) -> None:
    state = {f"module.{key}": value for key, value in full_gaussian("s", 3).items()}
    assert read(state).sessions == ("s",)


def test_own_checkpoints(read, make_recordings, tiny_config) -> None:
    network = Network.build(tiny_config, make_recordings(), seed=0)
    found = read(network.checkpoint())
    assert found.kind == "decortex"
    assert found.sessions == ("one", "two.b")
    np.testing.assert_array_equal(found.embedding, network.embedding().detach())


def test_half_precision_becomes_float32(read) -> None:
    state = {key: value.half() for key, value in full_gaussian("s", 3).items()}
    found = read(state)
    assert found.embedding.dtype == np.float32
    np.testing.assert_array_equal(found.embedding, state["readout.s._features"][0, :, 0].T.float())


class NotATensor:
    pass


def test_files_that_need_unpickling_are_refused_with_the_remedy(read) -> None:
    with pytest.raises(CheckpointError, match=r"holds Python objects.*torch\.save\(model\.state_dict\(\)"):
        read({"model": NotATensor()})


def test_old_style_pickles_are_refused_as_well(tmp_path) -> None:
    torch.save(NotATensor(), tmp_path / "old.pt", _use_new_zipfile_serialization=False)
    with pytest.raises(CheckpointError, match="holds Python objects"):
        read_checkpoint(tmp_path / "old.pt")


@pytest.mark.parametrize("share", [0.0, 0.02, 0.5, 0.98])
def test_files_cut_short_are_refused(read, tmp_path, share: float) -> None:
    read(full_gaussian("s", 300))
    whole = (tmp_path / "weights.pt").read_bytes()
    (tmp_path / "cut.pt").write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(CheckpointError, match="cut short, damaged or not a torch file"):
        read_checkpoint(tmp_path / "cut.pt")


def test_other_files_are_refused(tmp_path) -> None:
    (tmp_path / "notes.pt").write_text("not a checkpoint at all")
    with pytest.raises(CheckpointError, match="not a torch file"):
        read_checkpoint(tmp_path / "notes.pt")
    with pytest.raises(CheckpointError, match="there is no checkpoint"):
        read_checkpoint(tmp_path / "absent.pt")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path)


def test_a_checkpoint_without_readout_lists_what_comes_near(read) -> None:
    with pytest.raises(
        CheckpointError, match=r"no readout was found.*saw \['feat', 'feat_b'\].*embedding_key"
    ):
        read({"feat": drawn(3, 2), "feat_b": drawn(3), "bias": drawn(3)})
    with pytest.raises(CheckpointError, match=r"no readout was found.*saw \['conv.weight'\]"):
        read({"conv.weight": drawn(3, 2)})


def test_not_a_state_dict(read) -> None:
    with pytest.raises(CheckpointError, match="holds a Tensor, not a state dict"):
        read(drawn(3, 3))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_features_that_are_not_finite_are_refused(read, value: float) -> None:
    state = full_gaussian("s", 4)
    state["readout.s._features"][0, 2, 0, 1] = value
    with pytest.raises(
        CheckpointError, match=r"1 of 4 neurons of 's' are NaN or infinite \(first: neuron 1\)"
    ):
        read(state)


def test_a_session_that_occurs_twice_is_refused(read) -> None:
    state = {f"members.{i}.{key}": v for i in range(2) for key, v in full_gaussian("s", 3).items()}
    with pytest.raises(CheckpointError, match=r"session 's' occurs twice: 'members\.0' \(sessions \['s'\]"):
        read(state)


def test_sessions_of_different_width_are_refused(read) -> None:
    with pytest.raises(CheckpointError, match=r"different numbers of features, \{'a': 5, 'b': 4\}"):
        read(full_gaussian("a", 3) | full_gaussian("b", 3, channels=4))


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("_features", drawn(2, C, 1, 3), r"_features has shape \(2, 5, 1, 3\)"),
        ("_mu", drawn(1, 2, 1, 2), "_mu has 2 positions for 3 neurons"),
        ("feature_sharing_index", torch.tensor([0, 1, 3]), "asks for number 3"),
        ("spatial", drawn(2, 4, 4), "spatial has 2 values for 3 neurons"),
    ],
)
def test_shapes_that_do_not_fit_are_named(read, key: str, value: Tensor, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read(full_gaussian("s", 3) | {f"readout.s.{key}": value})


def test_scales_that_do_not_fit_are_named(read) -> None:
    state = full_gaussian("s", 3) | {
        "readout.s.feature_sharing_index": torch.tensor([0, 1, 2]),
        "readout.s.scales": drawn(1, 1, 1, 2),
    }
    with pytest.raises(CheckpointError, match=r"readout\.s\.scales has 2 values for 3 neurons"):
        read(state)


@pytest.mark.parametrize("key", ["feats", "feat.more", "bias"])
def test_a_path_that_leads_nowhere_is_named(read, key: str) -> None:
    with pytest.raises(CheckpointError, match=r"no tensor under embedding_key|has shape \(3,\)"):
        read({"feat": drawn(3, 2), "bias": drawn(3)}, embedding_key=key)


def test_a_sign_that_mask_and_features_share_is_removed(read) -> None:
    features, masks = drawn(5, C), drawn(5, 3, 4, seed=1)
    flip = torch.tensor([1.0, -1.0, -1.0, 1.0, -1.0])
    flipped = {"feat": features * flip[:, None], "mask": masks * flip[:, None, None]}
    free = read({"feat": features, "mask": masks}, embedding_key="feat", mask_key="mask")
    np.testing.assert_array_equal(
        read(flipped, embedding_key="feat", mask_key="mask").embedding, free.embedding
    )
    sign = np.where(masks.sum(dim=(1, 2)).numpy() < 0, -1, 1)
    assert {-1, 1} == set(sign)
    np.testing.assert_array_equal(free.embedding, features.numpy() * sign[:, None])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mask_key": "mask"}, "mask_key 'mask' came without embedding_key"),
        ({"embedding_key": "feat", "mask_key": "masks"}, "no tensor under mask_key 'masks'"),
        (
            {"embedding_key": "feat", "mask_key": "mask"},
            r"shape \(4, 2\), but one mask for each of 3 neurons",
        ),
    ],
)
def test_masks_that_do_not_fit_are_refused(read, options, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        read({"feat": drawn(3, 2), "mask": drawn(4, 2)}, **options)


@pytest.mark.real_data
def test_the_sensorium_model(shared_data: Path) -> None:
    path = shared_data / "mouse_v1_sensorium" / "sensorium_sota_model.pth"
    found = read_checkpoint(path)
    features = torch.load(path, map_location="cpu", weights_only=True)["readout.26872-17-20._features"]
    assert found.kind == "full_gaussian_2d"
    assert found.sessions == ("26872-17-20",)
    assert found.embedding.shape == (7776, 64)
    assert found.embedding.tobytes() == features[0, :, 0, :].T.contiguous().numpy().tobytes()
    assert found.cortical.shape == found.positions.shape == (7776, 2)


@pytest.mark.real_data
def test_three_seeds_of_the_macaque_v1_model_hold_the_same_neurons(shared_data: Path) -> None:
    folder = shared_data / "macaque_v1_seeds"
    seeds = [read_checkpoint(path) for path in sorted(folder.glob("*.pt"))]
    assert {found.embedding.shape for found in seeds} == {(458, 96)}
    assert {found.kind for found in seeds} == {"point_pooled_2d"}
    assert len({(found.sessions, tuple(found.session), tuple(found.index)) for found in seeds}) == 1
    assert len(seeds[0].sessions) == 32


@pytest.mark.real_data
def test_the_macaque_v4_models_by_key(shared_data: Path) -> None:
    path = shared_data / "macaque_v4" / "models" / "shared_ensemble_10.torch.pt"
    free = read_checkpoint(path, embedding_key="feat").embedding
    turned = read_checkpoint(path, embedding_key="feat", mask_key="mask").embedding
    assert free.shape == turned.shape == (219, 100)
    assert 80 < (np.sign(free[:, 0]) != np.sign(turned[:, 0])).sum() < 140
    with pytest.raises(CheckpointError, match="embedding_key"):
        read_checkpoint(path)


@pytest.mark.parametrize("dtype", [torch.complex64, torch.complex128])
def test_complex_tensors_are_refused(read, dtype: torch.dtype) -> None:
    state = {key: value.to(dtype) for key, value in full_gaussian("s", 3).items()}
    with pytest.raises(
        CheckpointError, match=r"is of type torch\.complex\d+: networks here hold real numbers"
    ):
        read(state)
    with pytest.raises(CheckpointError, match=r"'feat' of .* is of type .*: networks here hold real numbers"):
        read({"feat": drawn(3, 2).to(dtype)}, embedding_key="feat")


def test_a_named_tensor_without_numbers_is_refused(read) -> None:
    with pytest.raises(CheckpointError, match=r"'feat' of .* has a shape and no numbers"):
        read({"feat": drawn(3, 2).to("meta")}, embedding_key="feat")


def test_a_zip_that_points_out_of_its_folder_is_refused_and_writes_nothing(tmp_path: Path) -> None:
    inside = tmp_path / "a" / "b"
    inside.mkdir(parents=True)
    path = inside / "evil.pt"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../../escaped.txt", "out")
        archive.writestr("archive/data.pkl", b"\x80\x02}q\x00.")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(CheckpointError, match=r"cannot be read|no readout"):
        read_checkpoint(path)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_zip_that_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "images.zip", "w") as archive:
        archive.writestr("image0001.jpg", b"\xff\xd8")
    with pytest.raises(CheckpointError, match="cannot be read"):
        read_checkpoint(tmp_path / "images.zip")


def test_sessions_are_renamed_and_rearranged_with_their_neurons(read) -> None:
    found = read(full_gaussian("a", 2) | full_gaussian("b", 3))
    turned = found.arranged({"b": "second", "a": "first"})
    assert turned.sessions == ("second", "first")
    assert turned.session.tolist() == ["second"] * 3 + ["first"] * 2
    np.testing.assert_array_equal(
        turned.embedding, np.concatenate([found.embedding[2:], found.embedding[:2]])
    )
    with pytest.raises(CheckpointError, match="do not name each of the checkpoint's sessions"):
        found.arranged({"a": "first"})


@pytest.mark.parametrize("content", ["cell,a,b\n1,2,3\n", "garbage\n" * 20, "", "PK\x03\x04" + "0" * 100])
@pytest.mark.parametrize("suffix", [".csv", ".pth"])
def test_no_reader_repeats_the_advice_to_run_the_code_of_a_file(tmp_path, content: str, suffix: str) -> None:
    path = tmp_path / f"cells{suffix}"
    path.write_text(content)
    for read_file in (decortex.embed, decortex.load_network, read_checkpoint):
        with pytest.raises(CheckpointError, match="cannot be read") as caught:
            read_file(path)
        said = str(caught.value)
        assert "weights_only" not in said
        assert "torch.load" not in said
        assert "Python objects" not in said, "a csv whose first column is called 'cell' is text"
        assert ("decortex analyse" in said) == (suffix == ".csv")
