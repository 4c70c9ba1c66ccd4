"""What registration says of the numbers of a checkpoint, without a database."""

from __future__ import annotations

import warnings
from pathlib import Path

import pytest
import torch

from decortex.models.checkpoints import read_checkpoint
from decortex_schemas.register.checkpoint_checks import check_embedding


def named(path: Path, n_neurons: int, n_features: int) -> None:
    torch.manual_seed(0)
    torch.save({"embedding": torch.rand(n_neurons, n_features)}, path)
    check_embedding(path, read_checkpoint(path, embedding_key="embedding"))


def test_a_matrix_on_its_side_is_named(tmp_path: Path) -> None:
    with pytest.warns(UserWarning, match=r"4 neurons x 600 features: one row per neuron.*tensor\.T"):
        named(tmp_path / "turned.pt", 4, 600)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        named(tmp_path / "upright.pt", 600, 4)
        named(tmp_path / "square.pt", 10, 50)
