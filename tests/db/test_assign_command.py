"""`decortex assign`: new neurons against a partition of a study; the space is checked, the file says what was found."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import decortex_schemas as schemas
from decortex.errors import ConfigError, InputError
from decortex.evaluation.assignment import assign
from decortex_ops.cli import main
from decortex_schemas import queries
from decortex_schemas.tables import load_network, raw_embedding
from decortex_schemas.tables.evaluation.scored import animals_of

WHERE = {"dataset": "small", "method": "kmeans", "k": 3, "finetune": "none", "model_seed": 0, "seed": 0}


def partition(study: str, **changed: Any) -> dict[str, Any]:
    """Row of one partition of the lab."""
    wanted = {**WHERE, **changed}
    rows = [
        row for row in queries.partitions(study) if all(row[name] == value for name, value in wanted.items())
    ]
    return rows[0]


def raw_of(row: dict[str, Any]) -> np.ndarray[Any, Any]:
    return raw_embedding(
        schemas.TrainedModel & {name: row["key"][name] for name in schemas.TrainedModel().primary_key}
    )


def run(arguments: list[str], monkeypatch: Any) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", "assign", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_the_query_is_the_function_on_mapped_features(lab: str) -> None:
    row = partition(lab)
    raw = raw_of(row)
    # A power of two leaves the mapped neurons equal to the last bit to those of the study that they tie with.
    found = queries.assign_new(row["key"], queries.NewNeurons(raw[:5] * 4.0), alpha=0.3)
    points, labels = queries.network_points(row["key"]), queries.labels(row["key"])
    from decortex.evaluation.assignment import AssignmentConfig

    inside = labels >= 0
    again = assign(
        points.x[:5],
        points.x[inside],
        labels[inside],
        groups=animals_of("small")[inside],
        config=AssignmentConfig(alpha=0.3),
    )
    assert found.groups == "animals"
    assert found.same_core is None
    assert np.array_equal(found.assignment.labels, again.labels)
    assert np.allclose(found.assignment.p, again.p)


def test_the_command_writes_a_row_per_neuron_and_knows_the_core(
    lab: str, tmp_path: Path, monkeypatch: Any, capsys: Any
) -> None:
    row = partition(lab)
    network = load_network(
        schemas.TrainedModel & {name: row["key"][name] for name in schemas.TrainedModel().primary_key}
    )
    torch.save(network.checkpoint(), tmp_path / "same.pt")
    options = [word for name, value in WHERE.items() for word in ("--where", f"{name}={value}")]
    assert run([lab, str(tmp_path / "same.pt"), str(tmp_path / "new.json"), *options], monkeypatch) == 0
    said = " ".join(capsys.readouterr().out.split())
    content = json.loads((tmp_path / "new.json").read_text())
    assert content["sentence"] in said
    assert content["same_core"] is True
    assert len(content["neurons"]) == 36
    np.save(tmp_path / "raw.npy", raw_of(row))
    assert run([lab, str(tmp_path / "raw.npy"), str(tmp_path / "new.csv"), *options], monkeypatch) == 0
    assert "for you to know" in " ".join(capsys.readouterr().out.split())
    with (tmp_path / "new.csv").open() as lines:
        rows = list(csv.DictReader(lines))
    assert [int(one["label"]) for one in rows] == [one["label"] for one in content["neurons"]]
    assert run([lab, str(tmp_path / "raw.npy"), str(tmp_path / "new.csv"), *options], monkeypatch) != 0
    assert "exists" in capsys.readouterr().err


def test_another_core_another_width_and_a_fine_tuned_partition_are_refused(lab: str) -> None:
    row = partition(lab)
    raw = raw_of(row)
    with pytest.raises(InputError, match="another core"):
        queries.assign_new(row["key"], queries.NewNeurons(raw, "0" * 64))
    with pytest.raises(InputError, match="not in one space"):
        queries.assign_new(row["key"], queries.NewNeurons(raw[:, :-1]))
    with pytest.raises(InputError, match="not finite or all zero; the first are 1"):
        queries.assign_new(
            row["key"], queries.NewNeurons(np.where(np.arange(len(raw))[:, None] == 1, 0.0, raw))
        )
    with pytest.raises(ConfigError, match="after fine-tuning 'dec'"):
        queries.assign_new(partition(lab, finetune="dec")["key"], queries.NewNeurons(raw))


@pytest.mark.parametrize(
    ("name", "extra", "words"),
    [
        ("new.txt", [], "should end in .csv or .json"),
        ("new.csv", ["--where", "colour=red"], "does not choose by"),
    ],
)
def test_bad_arguments_are_told(
    lab: str, tmp_path: Path, monkeypatch: Any, capsys: Any, *, name: str, extra: list[str], words: str
) -> None:
    np.save(tmp_path / "raw.npy", np.ones((3, 6)))
    assert run([lab, str(tmp_path / "raw.npy"), str(tmp_path / name), *extra], monkeypatch) != 0
    assert words in " ".join(capsys.readouterr().err.split())
