"""Damaged tables, exported rows and folders of networks, for `fuzzing.py`: read, then put back as they were."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from support.damage import HDF5, Target, check_embedding, damaged, one_file_changed, other_array, other_tensor
from support.foreign_folders import write_fnn
from support.fuzzed_recordings import archives, images, movies, neutral_folder

from decortex.data import TableColumns, read_table, write_anndata
from decortex.evaluation.labels import read_label_rows
from decortex.models.checkpoints import config_md5, read_fnn, read_row
from decortex_ops.cli.registering.register_model import read_map

Mutation = Callable[[Any, random.Random], Any]

FIELDS = (
    "",
    " ",
    "nan",
    "1e999",
    "-",
    "1,5",
    '"',
    "\t",
    "\0",
    "\u202e",
    "cell",
    "x" * 10_000,
    "-inf",
    "0x10",
)


def file_targets(folder: Path, mutated: Mutation) -> dict[str, Target]:
    """Readers of files by name.

    Parameters
    ----------
    folder : Path
        Empty; what is damaged lies there.
    mutated : callable
        A copy of nested plain values with some of them changed.
    """
    return {
        "row": _row(mutated),
        "images": images(folder / "images"),
        "movies": movies(folder / "movies"),
        "h5": neutral_folder(folder / "retina"),
        "table": _tables(folder),
        "twin": _twin(folder / "twin"),
        "archives": archives(folder / "archives"),
        "map": _map(folder / "map.csv"),
    }


def _row(mutated: Mutation) -> Target:
    """Reads the row of a network that another pipeline trained, as exported to JSON."""
    core = {"layers": 3, "hidden_channels": 16, "input_kern": 9, "hidden_kern": 7, "gamma_input": 6.3}
    config = {**core, "elu_offset": 0, "grid_mean_predictor": {"type": "cortex", "final_tanh": True}}
    plain = {"model_fn": "lab.models.stacked_core_full_gauss_readout", "model_config": config, "seed": 1}
    hashed = {**plain, "model_hash": config_md5(config), "trainer_fn": "lab.train", "score": 0.3}

    def shapes(row: dict[str, Any]) -> list[Any]:
        rows = [row, {**row, "seed": 2}]
        return [row, rows, {name: [one[name] for one in rows] for name in row}]

    def read(exported: Any, where: dict[str, str] | None) -> None:
        found = read_row(exported, where=where)
        assert found.name
        assert found.builder
        found.rebuild_config((1, 36, 64))

    def whole() -> None:
        for row in (plain, hashed):
            one, *several = shapes(row)
            read(one, None)
            for shape in several:
                read(shape, {"seed": "1"})

    def run(chance: random.Random) -> None:
        shape = chance.choice(shapes(hashed if chance.random() < 0.5 else plain))
        try:
            exported = json.loads(json.dumps(mutated(shape, chance)))
        except (TypeError, ValueError):
            return  # JSON does not hold it
        read(exported, chance.choice([None, None, {"seed": "1"}]))

    return Target(whole, run)


def _twin(folder: Path) -> Target:
    """Reads the folder of a digital twin, fnn's, of which one file is damaged or its tensors are others."""
    tensors = write_fnn(folder, gains=True)["4-7"]
    path = folder / "params_4_7.pt"
    before = path.read_bytes()

    def read() -> None:
        found = read_fnn(folder)
        check_embedding(found.readout.embedding, found.readout.positions)
        assert len(found.units) == len(found.readout.embedding)

    def run(chance: random.Random) -> None:
        if chance.random() < 0.5:
            with one_file_changed(folder, chance):
                read()
            return
        key = chance.choice(list(tensors))
        try:
            torch.save({**tensors, key: other_tensor(tensors[key], chance)}, path)
            read()
        finally:
            path.write_bytes(before)

    return Target(read, run)


def _map(path: Path) -> Target:
    """Reads which neuron of a checkpoint is which of a dataset."""
    places = [3, 1, 2, 0, 4, -1, 6, 7]
    text = pd.DataFrame({"neuron": range(8), "dataset_neuron": places}).to_csv(index=False)

    def whole() -> None:
        path.write_text(text, encoding="utf-8")
        assert read_map(path).tolist() == places

    def run(chance: random.Random) -> None:
        if chance.random() < 0.6:
            path.write_text(_other_text(text, "csv", chance), encoding="utf-8")
        else:
            path.write_bytes(damaged(text.encode(), chance))
        found = read_map(path)
        assert found.ndim == 1
        assert found.min(initial=0) >= -1

    return Target(whole, run)


def _tables(folder: Path) -> Target:
    """Reads tables of neurons and of labels, as text, array, parquet and AnnData."""
    rng = np.random.default_rng(0)
    names = [f"n{number}" for number in range(12)]
    frame = pd.DataFrame(rng.normal(size=(12, 3)).round(3), columns=["depth", "rate", "latency"])
    table = pd.concat([pd.DataFrame({"cell": names, "animal": ["a", "b"] * 6}), frame], axis=1)
    starts = {kind: folder / f"cells.{kind}" for kind in ("csv", "tsv", "npy", "parquet", "h5ad")}
    table.to_csv(starts["csv"], index=False)
    table.to_csv(starts["tsv"], index=False, sep="\t")
    np.save(starts["npy"], frame.to_numpy())
    table.to_parquet(starts["parquet"])
    columns = table[["animal"]].set_index(pd.Index(names))
    write_anndata(starts["h5ad"], frame, columns, feature_names=list(frame))

    def read(kind: str) -> None:
        asked = TableColumns(ids=None if kind == "h5ad" else "cell", animal="animal")
        found = read_table(starts[kind], None if kind == "npy" else asked)
        assert len(found.ids) == len(found.features)
        check_embedding(found.features, None)

    def whole() -> None:
        for kind in starts:
            read(kind)
        for kind in ("csv", "tsv"):
            assert len(read_label_rows(starts[kind])) == len(table)

    def run(chance: random.Random) -> None:
        kind = chance.choice(list(starts))
        path = starts[kind]
        before = path.read_bytes()
        try:
            if kind in ("csv", "tsv") and chance.random() < 0.6:
                path.write_text(_other_text(before.decode(), kind, chance), encoding="utf-8")
            elif kind == "npy" and chance.random() < 0.6:
                np.save(path, other_array(np.load(path), chance))
            else:
                path.write_bytes(damaged(before, chance, only_cut=path.suffix in HDF5))
            if kind in ("csv", "tsv") and chance.random() < 0.4:
                read_label_rows(path)
            else:
                read(kind)
        finally:
            path.write_bytes(before)

    return Target(whole, run)


def _other_text(text: str, kind: str, chance: random.Random) -> str:
    """A table of text with one to three fields changed, or lines taken away, doubled or longer."""
    separator = "," if kind == "csv" else "\t"
    lines = text.splitlines()
    for _ in range(chance.randint(1, 3)):
        number = chance.randrange(len(lines))
        fields = lines[number].split(separator)
        way = chance.random()
        if way < 0.1:
            lines = lines[:number] + lines[number + 1 :] or [""]
        elif way < 0.2:
            lines.insert(number, lines[number])
        elif way < 0.3:
            lines[number] += separator + chance.choice(FIELDS)
        else:
            fields[chance.randrange(len(fields))] = chance.choice(FIELDS)
            lines[number] = separator.join(fields)
    return "\n".join(lines) + "\n"
