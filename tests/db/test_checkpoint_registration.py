"""Registering checkpoints as they come: one network of several, second seeds, embeddings that say nothing."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import decortex_schemas as schemas
from decortex.errors import CheckpointError
from decortex_ops.cli import main
from decortex_schemas.register import register_checkpoint
from decortex_schemas.tables import raw_embedding


def state(seed: int, n: int = 6) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(seed)
    return {
        "readout.one._mu": torch.zeros(1, n, 1, 2),
        "readout.one._features": torch.randn(1, 3, 1, n, generator=draw),
    }


def saved(path: Path, content: object) -> Path:
    torch.save(content, path)
    return path


def test_the_chosen_state_dict_is_what_the_worker_reads(database: dict[str, str], tmp_path: Path) -> None:
    path = saved(tmp_path / "several.pt", {"state_dict": state(1), "best_state_dict": state(2)})
    with pytest.raises(CheckpointError, match=r"session 'one' occurs twice.*'best_state_dict'"):
        register_checkpoint(path)
    assert not len(schemas.Dataset & {"dataset": "several"})
    key = register_checkpoint(path, state_dict="best_state_dict")
    schemas.TrainedModel.populate(key)
    found = raw_embedding(schemas.TrainedModel & key)
    np.testing.assert_array_equal(found, state(2)["readout.one._features"][0, :, 0].T)
    with pytest.raises(CheckpointError, match="differs in state_dict"):
        register_checkpoint(path, state_dict="state_dict")


def test_a_second_seed_is_led_to_the_dataset_of_the_first(
    database: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    first, second = (saved(tmp_path / f"s{seed}.pt", state(seed)) for seed in (1, 2))
    register_checkpoint(first, name="family")
    with pytest.raises(CheckpointError, match="--dataset family --name family --seed 1"):
        register_checkpoint(second, name="family", seed=1)
    monkeypatch.setattr(
        "sys.argv",
        [
            "decortex",
            "register",
            "model",
            str(second),
            *["--dataset", "family", "--name", "family", "--seed", "1"],
        ],
    )
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    tasks = (schemas.ModelTask & {"dataset": "family"}).to_dicts()
    assert len(tasks) == 2
    assert len({task["model_spec_id"] for task in tasks}) == 1


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (torch.zeros(1, 3, 1, 6), "all features of the 6 neurons of .* are zero"),
        (torch.full((1, 3, 1, 6), 1 / 3), "all have the same features: the readout is as it was initialised"),
    ],
)
def test_an_embedding_that_says_nothing_is_refused(
    database: dict[str, str], tmp_path: Path, values: Tensor, message: str
) -> None:
    path = saved(tmp_path / "nothing.pt", {**state(0), "readout.one._features": values})
    with pytest.raises(CheckpointError, match=message):
        register_checkpoint(path)
    assert not len(schemas.Dataset & {"dataset": "nothing"})


def test_neurons_with_one_number_for_all_features_are_named(
    database: dict[str, str],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    tensors = state(5)
    tensors["readout.one._features"][..., 2] = 0.0
    tensors["readout.one._features"][..., 4] = 0.3
    path = saved(tmp_path / "silent.pt", tensors)
    monkeypatch.setattr("sys.argv", ["decortex", "register", "model", str(path)])
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 0
    said = capsys.readouterr()
    assert "registered 6 neurons" in said.out
    assert "warning: 2 of the 6 neurons" in said.err
    assert "(1 of them zero): 2 of 'one'; the first is neuron 2" in said.err
