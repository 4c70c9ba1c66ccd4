"""Files of torch as other projects write them: plain values beside weights, odd types, other kinds of archives."""

from __future__ import annotations

import argparse
import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from decortex.errors import CheckpointError, ConfigError
from decortex.models.checkpoints import CheckpointReadout, read_checkpoint
from decortex.models.checkpoints.plain_values import NumpyArray, NumpyType

N, C = 5, 4


def state(value: float) -> dict[str, Tensor]:
    """A network's tensors, every feature of one value."""
    return {
        "core.w": torch.zeros(3),
        "readout.26872-17-20._features": torch.full((1, C, 1, N), float(value)),
        "readout.26872-17-20.bias": torch.zeros(N),
    }


@pytest.fixture
def read(tmp_path: Path):
    def save_and_read(content: object, **options: Any) -> CheckpointReadout:
        torch.save(content, tmp_path / "weights.pt")
        return read_checkpoint(tmp_path / "weights.pt", **options)

    return save_and_read


BESIDE = {
    "a mean of numpy": {"loss": np.float64(0.3), "epoch": np.int64(4)},
    "a curve": {"history": np.zeros(3)},
    "arguments": {"args": argparse.Namespace(lr=0.1, out=Path("runs"))},
    "a path": {"hyper_parameters": {"folder": Path("runs") / "1"}},
}


@pytest.mark.parametrize("name", BESIDE)
def test_plain_values_beside_the_weights_are_passed_over(read, name: str) -> None:
    assert (read({"model_state_dict": state(1), **BESIDE[name]}).embedding == 1).all()


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("kind", ["<f4", ">f8", "<f2", "<i8"])
def test_weights_that_numpy_kept_are_weights(read, kind: str, order: str) -> None:
    features = np.asarray(np.arange(C * N).reshape(1, C, 1, N), dtype=kind, order=order)
    found = read({**state(1), "readout.26872-17-20._features": features})
    np.testing.assert_array_equal(found.embedding, features[0, :, 0, :].T.astype(np.float32))


class Opened:
    """Unpickled, it would write a file."""

    def __reduce__(self) -> Any:
        return open, ("written-by-a-checkpoint", "w")


@pytest.mark.parametrize("value", [Opened(), np.array([{}], dtype=object), np.array([Opened()])])
def test_other_objects_are_refused_and_not_made(
    read, value: object, monkeypatch: Any, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    if isinstance(value, np.ndarray) and not isinstance(value[0], Opened):
        assert (read({"model": state(1), "other": value}).embedding == 1).all()
    else:
        with pytest.raises(CheckpointError, match="holds Python objects"):
            read({"model": state(1), "other": value})
    assert not (tmp_path / "written-by-a-checkpoint").exists()


def test_an_array_that_its_bytes_do_not_fill_is_no_weight() -> None:
    array = NumpyArray()
    for shape, raw in (((2**40,), b"\0" * 8), ((3,), b"\0" * 8), (None, b""), ((-1,), b"")):
        array.__setstate__((1, shape, NumpyType("f8", False, True), False, raw))
        assert array.tensor() is None


def test_a_named_key_may_be_a_parameter_or_sparse(read) -> None:
    features = torch.arange(20.0).reshape(N, C)
    for value in (nn.Parameter(features), features.to_sparse()):
        found = read({"embedding": value}, embedding_key="embedding")
        np.testing.assert_array_equal(found.embedding, features)


@pytest.mark.parametrize("key", ["core.w", "readout.26872-17-20._features"])
def test_sparse_tensors_of_a_network_are_told(read, key: str) -> None:
    tensors = state(1)
    with pytest.raises(CheckpointError, match=rf"'{key}' is sparse .*to_dense"):
        read({**tensors, key: tensors[key].to_sparse()})


def test_tensors_of_another_network_in_the_file_do_not_matter(read) -> None:
    tensors = state(1)
    for other in (
        {key: value * 1j for key, value in tensors.items()},
        {key: value.to_sparse() for key, value in tensors.items()},
        {key: value.to("meta") for key, value in tensors.items()},
    ):
        found = read({"model": tensors, "spectrum": other}, state_dict="model")
        np.testing.assert_array_equal(found.embedding, read(tensors).embedding)
        with pytest.raises(CheckpointError, match="2 state dicts with readouts"):
            read({"model": tensors, "spectrum": other})


def test_types_that_torch_hardly_computes_with_are_read(read) -> None:
    tensors = {"readout.a._features": torch.ones(1, C, 1, 2), "readout.a.bias": torch.zeros(3)}
    index = torch.tensor([0, 1, 1])
    expected = read({**tensors, "readout.a.feature_sharing_index": index})
    small = {key: value.to(torch.float8_e4m3fn) for key, value in tensors.items()}
    found = read({**small, "readout.a.feature_sharing_index": index.to(torch.uint16)})
    np.testing.assert_array_equal(found.embedding, expected.embedding)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "_mu",
            torch.full((1, N, 1, 2), torch.nan),
            f"the positions of {N} of {N} neurons of 'a' are NaN or infinite",
        ),
        ("_mu", torch.zeros(1, N, 1, 5), r"_mu has shape .*; positions are \(\.\.\., 2\)"),
        ("source_grid", torch.zeros(N), r"source_grid has shape .*; where neurons lie in cortex"),
        ("source_grid", torch.zeros(N, 2, 7), r"source_grid has shape .*; where neurons lie in cortex"),
        (
            "source_grid",
            torch.full((N, 2), torch.inf),
            rf"\(source_grid\) of {N} of {N} neurons .* NaN or inf",
        ),
    ],
)
def test_positions_that_are_none_are_refused(read, name: str, value: torch.Tensor, says: str) -> None:
    tensors = {"readout.a._features": torch.ones(1, C, 1, N), "readout.a.bias": torch.zeros(N)}
    with pytest.raises(CheckpointError, match=says):
        read({**tensors, f"readout.a.{name}": value})


def test_sessions_lie_in_one_space_of_cortex(read) -> None:
    tensors = {}
    for session, dimensions in (("a", 2), ("b", 3)):
        tensors[f"readout.{session}._features"] = torch.ones(1, C, 1, N)
        tensors[f"readout.{session}.source_grid"] = torch.zeros(N, dimensions)
    with pytest.raises(CheckpointError, match=r"different numbers of dimensions, \{'a': 2, 'b': 3\}"):
        read(tensors)


def test_masks_are_free_or_normalised(read) -> None:
    tensors = {"readout.a.features": torch.ones(N, C), "readout.a.spatial": torch.ones(N, 5, 5)}
    with pytest.raises(ConfigError, match="masks should be one of free, normalised, but is 'normalized'"):
        read(tensors, masks="normalized")
    for masks in ("free", "normalised"):
        with pytest.raises(CheckpointError, match=r"spatial has shape .*; masks are"):
            read({**tensors, "readout.a.spatial": torch.ones(N)}, masks=masks)
    with pytest.raises(CheckpointError, match=r"features of this readout are \(n_features, n_neurons\)"):
        read({"readout.a.feature_weights": torch.ones(C, N, 3)}, masks="normalised")


def test_readouts_in_three_dimensions(read) -> None:
    features = torch.arange(20.0).reshape(1, C, N)
    tensors = {"readout.a.features": features[:, :, None], "readout.a.bias": torch.zeros(N)}
    place = torch.arange(15.0).reshape(1, N, 1, 1, 3) / 15
    found = read({**tensors, "readout.a.mu": place})  # neuralpredictors' Gaussian3d
    np.testing.assert_allclose(found.positions, place.reshape(N, 3)[:, :2])
    attention = {"readout.a._features": features, "readout.a.neuron_query": torch.zeros(1, 8, N)}
    np.testing.assert_array_equal(read(attention).embedding, features[0].T)


def archive(names: list[str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as file:
        for name in names:
            file.writestr(name, b"0" * 100)
    return made.getvalue()


def tar() -> bytes:
    made = io.BytesIO()
    with tarfile.open(fileobj=made, mode="w") as file:
        record = tarfile.TarInfo("model.pth")
        record.size = 100
        file.addfile(record, io.BytesIO(b"0" * 100))
    return made.getvalue()


SAFE = b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}'


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (len(SAFE).to_bytes(8, "little") + SAFE + b"\0" * 4, "a safetensors file.*load_file"),
        (archive(["model.pth", "README"]), "a zip archive of 'model.pth', 'README'.*unpack it first"),
        (tar(), "a tar archive.*unpack it first"),
        (pickle.dumps({"a": [1]}, protocol=4), "a pickle, not a torch file"),
        (archive(["archive/data.pkl"])[:-4], "cut short.*Copy it again"),
    ],
)
def test_files_of_other_kinds_are_named(tmp_path: Path, content: bytes, says: str) -> None:
    path = tmp_path / "weights.pth"
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match=says):
        read_checkpoint(path)
