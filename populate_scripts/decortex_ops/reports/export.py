"""A frozen study as a folder of its own: tables, arrays, provenance and checksums, readable without decortex.

MANIFEST.json      what is where, with the sha256 of every file; the study's digest; the format's version
MANIFEST.sha256    of the manifest itself
plan.json          the study's specifications, resolved
members.csv        one row per partition: key, statuses, environment, and where its labels lie
labels.npz         int16 labels, one array per partition, in the order of neurons.csv
neurons.csv        one row per neuron of a dataset
environments.json  software and machines behind the rows
tables/*.csv       every other table that hangs on the study's members, one line per row, arrays left out
answers/*.json     what `decortex results`, `agreement`, `stats` and `price` say
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from pathlib import Path
from typing import Any

import numpy as np

from decortex.data import read_npz
from decortex.errors import ConfigError, InputError, OperationError
from decortex_schemas import queries
from decortex_schemas.database import Environment, computed_tables
from decortex_schemas.tables import (
    ClusteringMethod,
    Dataset,
    DECFinetune,
    EmbeddingSpec,
    FinetuneSpec,
    FrozenStudy,
    ModelSpec,
    Study,
    array_sha256,
    asked_members,
    check_frozen,
    partition_labels,
    rows_of_study,
)

# Format 1 kept no digest of the manifest.
FORMAT = 2
MANIFEST = "MANIFEST.json"
MANIFEST_DIGEST = "MANIFEST.sha256"


def export_study(study: str, folder: Path) -> dict[str, Any]:
    """Write a frozen study into a new folder; nothing is left of it if that fails.

    Parameters
    ----------
    study : str
        A frozen study.
    folder : Path
        Must not exist.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    ConfigError
        If the folder exists, or the study is unknown, not frozen or no longer what was frozen.
    OperationError
        If the folder cannot be written.
    """
    folder = Path(folder)
    queries.require_frozen(study)
    check_frozen(study)
    if folder.exists():
        raise ConfigError(f"{folder} exists; an export goes into a new folder.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}-") as temporary:
            whole = Path(temporary) / "bundle"
            whole.mkdir()
            manifest = _write(study, whole)
            os.replace(whole, folder)
    except OSError as error:
        raise OperationError(f"the export into {folder} failed ({error}); nothing of it is left.") from error
    return manifest


def check_bundle(folder: Path) -> dict[str, Any]:
    """Check an exported folder against its manifest: every file, and the labels against the members' digests.

    Needs no database.

    Returns
    -------
    dict
        The manifest.

    Raises
    ------
    InputError
        If a file is missing, altered or not in the manifest, or the manifest is not one.
    """
    folder = Path(folder)
    manifest = _manifest(folder)
    files: dict[str, Any] = manifest["files"]
    found = {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_file() or path.is_symlink()
    } - {MANIFEST, MANIFEST_DIGEST}
    problems = [f"{name} is missing" for name in sorted(set(files) - found)]
    problems += [f"{name} is not in the manifest" for name in sorted(found - set(files))]
    problems += [
        f"{name} is altered"
        for name in sorted(set(files) & found)
        if (folder / name).is_symlink() or _sha256(folder / name) != files[name]["sha256"]
    ]
    if not problems:
        problems = _check_labels(folder)
    if problems:
        raise InputError(
            f"{folder} is not the bundle that was exported: {'; '.join(problems[:5])}"
            + (f"; and {len(problems) - 5} more" if len(problems) > 5 else "")
            + ". Export the study again."
        )
    return manifest


def _write(study: str, folder: Path) -> dict[str, Any]:
    frozen = (FrozenStudy & {"study": study}).fetch1()
    asked = asked_members(study)
    members = (DECFinetune & asked).keys(order_by="KEY")
    _json(folder / "plan.json", _plan(study))
    arrays, rows = {}, []
    for i, key in enumerate(members):
        name = f"p{i:06d}"
        labels = np.asarray(partition_labels(key), dtype=np.int16)
        arrays[name] = labels
        columns = ("labels_sha256", "finetune_status", "stop_reason", "share_changed", "env_id")
        row = (DECFinetune & key).proj(*columns).fetch1()
        if array_sha256(labels) != row["labels_sha256"]:
            raise InputError(
                f"the labels of {dict(key)} are not those of their digest; nothing was exported."
            )
        rows.append({**row, "array": name, "n_neurons": len(labels)})
    np.savez_compressed(folder / "labels.npz", allow_pickle=False, **arrays)
    _csv(folder / "members.csv", rows)
    datasets = [{"dataset": name} for name in sorted({str(key["dataset"]) for key in members})]
    _csv(folder / "neurons.csv", (Dataset.Neuron & datasets).to_dicts(order_by="KEY"))
    _json(folder / "environments.json", Environment().to_dicts(order_by="env_id"))
    (folder / "tables").mkdir()
    for table in computed_tables():
        _table(folder / "tables", study, table)
    (folder / "answers").mkdir()
    answers = {
        "results": queries.results,
        "agreement": queries.agreement,
        "predictability": queries.predictability,
        "confounds": queries.confounds,
        "price": queries.price,
        "improvement": queries.improvement,
        **({"states": queries.states} if queries.has_states(study) else {}),
    }
    for name, answer in answers.items():
        _json(folder / "answers" / f"{name}.json", answer(study))
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    manifest = {
        "format": FORMAT,
        "study": study,
        "members_sha256": frozen["members_sha256"],
        "n_members": len(members),
        "failed": frozen["failed"],
        "frozen_at": frozen["frozen_at"],
        "frozen_by": frozen["frozen_by"],
        "files": {
            path.relative_to(folder).as_posix(): {"sha256": _sha256(path), "bytes": path.stat().st_size}
            for path in files
        },
    }
    _json(folder / MANIFEST, manifest)
    (folder / MANIFEST_DIGEST).write_text(_sha256(folder / MANIFEST), encoding="ascii")
    return manifest


def _plan(study: str) -> dict[str, Any]:
    """Everything that the study names, resolved, so that another database can be asked for the same."""
    own = {"study": study}
    parts = {name: part() for name, part in vars(Study).items() if hasattr(part, "_master")}
    return {
        "study": (Study & own).fetch1(),
        **{name: (part & own).to_dicts(order_by="KEY") for name, part in sorted(parts.items())},
        "datasets": (Dataset & Study.Model.proj() & (Study.Model & own).proj()).to_dicts(order_by="KEY"),
        "networks": (ModelSpec & (Study.Model & own).proj()).to_dicts(order_by="KEY"),
        "embeddings": (EmbeddingSpec & (Study.Embedding & own).proj()).to_dicts(order_by="KEY"),
        "methods": (ClusteringMethod & (Study.Method & own).proj()).to_dicts(order_by="KEY"),
        "finetunings": (FinetuneSpec & (Study.Finetuning & own).proj()).to_dicts(order_by="KEY"),
    }


def _table(folder: Path, study: str, table: Any) -> None:
    """Rows of one table and its parts that belong to the study, without arrays and files."""
    parts = {
        name: part
        for name, part in vars(table).items()
        if isinstance(part, type) and hasattr(part, "_master")
    }
    for name, cls in {"": table, **parts}.items():
        own = rows_of_study(cls, study)
        light = [column for column in own.heading.secondary_attributes if own.heading[column].codec is None]
        found = own.proj(*light).to_dicts(order_by="KEY")
        if found:
            _csv(folder / f"{table.__name__}{'.' if name else ''}{name}.csv", found)


def _check_labels(folder: Path) -> list[str]:
    """Compare every array of labels with its member's digest."""
    try:
        with (folder / "members.csv").open(newline="", encoding="utf-8") as file:
            members = list(csv.DictReader(file))
        digests = {name: array_sha256(labels) for name, labels in read_npz(folder / "labels.npz")}
        return [
            f"labels of {row['array']} are altered"
            for row in members
            if digests[row["array"]] != row["labels_sha256"]
        ]
    except (OSError, ValueError, KeyError) as error:
        return [f"labels cannot be read ({error})"]


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        known = found["format"] in (1, FORMAT) and all(
            len(one["sha256"]) == 64 for one in found["files"].values()
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder} is not an exported study: {MANIFEST} cannot be read ({error}).") from None
    if not known:
        raise InputError(
            f"{folder} is of format {found['format']!r}; this decortex reads formats 1 to {FORMAT}."
        )
    kept = folder / MANIFEST_DIGEST
    if found["format"] == FORMAT and not kept.is_file():
        raise InputError(f"{folder} is not the bundle that was exported: {MANIFEST_DIGEST} is missing.")
    if kept.exists() and kept.read_bytes() != _sha256(folder / MANIFEST).encode("ascii"):
        raise InputError(
            f"{folder} is not the bundle that was exported: {MANIFEST} is altered (its sha256 is not that of "
            f"{MANIFEST_DIGEST}). Export the study again."
        )
    return dict(found)


def _csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]) if rows else [], lineterminator="\n")
        writer.writeheader()
        writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)


def _cell(value: Any) -> Any:
    if isinstance(value, (dict, list)):
        return json.dumps(value, sort_keys=True, default=_plain)
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    return "" if value is None else value


def _json(path: Path, value: Any) -> None:
    path.write_text(plain_json(value) + "\n", encoding="utf-8")


def plain_json(value: Any) -> str:
    """Rows as JSON: dates as text, arrays as lists, keys sorted."""
    return json.dumps(value, indent=1, sort_keys=True, default=_plain, ensure_ascii=False)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, (set, tuple, Iterable)) and not isinstance(value, (str, bytes)):
        return list(value)
    raise TypeError(f"{type(value).__name__} has no form in JSON")


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
