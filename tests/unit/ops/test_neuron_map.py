"""The table that says which neuron of a checkpoint was recorded as which: read in any order, or refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from decortex.errors import ConfigError, InputError
from decortex_ops.cli.registering.register_model import read_map


def test_neurons_in_any_order_and_some_that_were_not_recorded(tmp_path: Path) -> None:
    path = tmp_path / "map.csv"
    path.write_text(
        "\ufeffneuron,dataset_neuron,remark\n2,7,\n0,NA,\n1,,not found\n3,5.0,\n", encoding="utf-8"
    )
    assert read_map(path).tolist() == [-1, -1, 7, 5]


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("neuron,dataset_neuron\n0,4,\n1,5,\n", InputError, "line 2 has 3 fields, its header 2"),
        ("neuron;dataset_neuron\n0;4\n", InputError, "separated by semicolons"),
        ("neuron,dataset\n0,4\n", ConfigError, r"lacks the columns \['dataset_neuron'\]"),
        ("neuron,dataset_neuron\n1,4\n2,5\n", ConfigError, "should name 0 to 1, each once"),
        ("neuron,dataset_neuron\n0,x\n1,5\n", ConfigError, "holds whole numbers, or nothing"),
        ("neuron,dataset_neuron\n0,1.5\n1,5\n", ConfigError, "holds whole numbers, or nothing"),
        ("neuron,dataset_neuron\n0,inf\n1,5\n", ConfigError, "holds whole numbers, or nothing"),
    ],
)
def test_what_is_no_map_is_refused(tmp_path: Path, text: str, error: type[Exception], says: str) -> None:
    (tmp_path / "map.csv").write_text(text)
    with pytest.raises(error, match=says):
        read_map(tmp_path / "map.csv")


def test_no_file_is_no_map(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read: No such file"):
        read_map(tmp_path / "map.csv")
