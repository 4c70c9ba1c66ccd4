"""Checkpoints that expand are refused before memory is taken, and torch files are read in no other way."""

from __future__ import annotations

import ast
import io
import resource
import zipfile
from pathlib import Path

import pytest
import torch

import decortex
import decortex_ops
import decortex_schemas
from decortex.errors import CheckpointError
from decortex.models.checkpoints import bounded
from decortex.models.checkpoints.bounded import ALLOWANCE_BYTES, load_bounded
from decortex.models.checkpoints.read import read_checkpoint
from decortex.models.network import Network
from decortex.models.training.handover import Handover


def saved(content: object, **options: bool) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer, **options)
    return buffer.getvalue()


def compressed(data: bytes) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    return packed.getvalue()


def test_compressed_records_are_refused_before_they_are_read(tmp_path: Path) -> None:
    plain = saved({"readout.weight": torch.zeros(ALLOWANCE_BYTES // 4 + 2**20)})
    bomb = compressed(plain)
    assert len(bomb) < len(plain) / 500
    path = tmp_path / "bomb.pth"
    path.write_bytes(bomb)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(CheckpointError, match=r"its records unpack to [\d,]+ bytes, the limit .* is [\d,]+"):
        read_checkpoint(path, embedding_key="readout.weight")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 2**15  # 32 MB, in kilobytes
    with pytest.raises(CheckpointError, match="its records unpack to"):
        Handover.from_bytes(bomb)
    assert load_bounded(plain)["readout.weight"].shape[0] > 0  # as torch writes it, it is what it is


@pytest.mark.parametrize(
    "tensor",
    [
        torch.ones(1).expand(100_000, 100_000),
        torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=torch.long), [1.0], (100_000, 100_000)),
        torch.ones(1, 100).expand(10**6, 100),
    ],
    ids=["stride 0", "sparse", "repeated rows"],
)
@pytest.mark.parametrize("nest", [lambda x: {"w": x}, lambda x: {"state_dict": {"w": [x]}}])
def test_tensors_whose_numbers_are_not_in_the_file_are_refused(tensor: torch.Tensor, nest) -> None:
    with pytest.raises(CheckpointError, match=r"its tensors would take [\d,]+ bytes, the limit"):
        load_bounded(saved(nest(tensor)))


def test_one_tensor_under_thousands_of_names_is_refused_and_under_some_is_not() -> None:
    shared = torch.zeros(2**22)
    assert len(load_bounded(saved({f"readout.{i}.w": shared for i in range(16)}))) == 16
    names = bounded.MOST_NAMES * (ALLOWANCE_BYTES // (4 * 2**22) + 3)
    with pytest.raises(CheckpointError, match="each as often as it is named"):
        load_bounded(saved({f"readout.{i}.w": shared for i in range(names)}))


@pytest.mark.parametrize("zipped", [True, False])
def test_files_as_torch_writes_them_are_read(tmp_path: Path, zipped: bool) -> None:
    state = {"a": torch.randn(50, 7), "b": torch.ones(1).expand(30), "c": torch.randn(6, 5).T, "n": 3}
    data = saved(state, _use_new_zipfile_serialization=zipped)
    (tmp_path / "x.pt").write_bytes(data)
    for found in (load_bounded(data), load_bounded(tmp_path / "x.pt")):
        assert all(torch.equal(found[name], state[name]) for name in "abc")


def test_an_old_file_that_promises_more_than_it_holds_is_refused(tmp_path: Path) -> None:
    data = saved({"a": torch.arange(100_000)}, _use_new_zipfile_serialization=False)
    grown = data.replace((100_000).to_bytes(4, "little"), (2**31 - 1).to_bytes(4, "little"))
    assert grown != data
    (tmp_path / "x.pt").write_bytes(grown)
    with pytest.raises(CheckpointError):
        read_checkpoint(tmp_path / "x.pt", embedding_key="a")


def test_a_configuration_larger_than_its_numbers_builds_nothing(make_recordings, tiny_config) -> None:
    content = Network.build(tiny_config, make_recordings(), seed=0).checkpoint()
    content["geometry"]["sessions"][0]["n_neurons"] = 10**10
    with pytest.raises(CheckpointError, match=r"a network of [\d,]+ bytes, the checkpoint's tensors are"):
        Network.from_checkpoint(content)


def test_torch_files_are_read_in_one_place() -> None:
    """Another call of torch.load or np.load would have none of these limits."""
    own = [Path(package.__file__).parent for package in (decortex, decortex_schemas, decortex_ops)]
    calls = {
        path.name
        for folder in own
        for path in folder.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and ast.unparse(node.func) in ("torch.load", "np.load", "numpy.load")
    }
    assert calls == {"bounded.py", "cache.py"}  # the cache is a folder that only its owner can write
