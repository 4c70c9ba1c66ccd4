"""One byte changed anywhere: of 1,000 changes to each kind of file whose digest is kept, every one is detected."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from datajoint.storage import StorageBackend

from decortex.errors import DecortexError, InputError
from decortex_ops.admin import backup
from decortex_ops.reports import check_bundle
from decortex_ops.reports.export import FORMAT, MANIFEST, MANIFEST_DIGEST
from decortex_schemas.database import SCHEMA_VERSION, write_object
from decortex_schemas.database.codecs import ArrayReference, SealedArray, read_object
from decortex_schemas.database.store import digest_of
from decortex_schemas.tables import array_sha256

N_CHANGES = 1000


def count_detected(files: list[Path], is_whole: Callable[[], bool]) -> int:
    """Change one byte in one of the files, a thousand times; returns how often that was detected."""
    rng = np.random.default_rng(0)
    detected = 0
    assert is_whole()
    for _ in range(N_CHANGES):
        path = files[rng.integers(len(files))]
        content = path.read_bytes()
        changed = bytearray(content)
        changed[rng.integers(len(changed))] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(changed))
        detected += not is_whole()
        path.write_bytes(content)
    assert is_whole()
    return detected


@pytest.fixture
def stored(tmp_path: Path) -> tuple[Path, dict[str, object], StorageBackend]:
    """An array in a store: its file, what the row keeps of it, and the store."""
    values = np.random.default_rng(1).normal(size=(40, 5))
    backend = StorageBackend({"protocol": "file", "location": str(tmp_path)})
    path, data = "_schema/lab/__embedding/k=1/array_x.npy", SealedArray().to_bytes(values)
    write_object(backend, path, data)
    row = {"path": path, "size": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return tmp_path / path, {**row, "dtype": "float64", "shape": [40, 5]}, backend


def refuses(read: Callable[[], object]) -> bool:
    try:
        read()
    except InputError:
        return True
    return False


def test_a_file_of_the_store_by_reading(stored: tuple[Path, dict[str, object], StorageBackend]) -> None:
    path, row, backend = stored
    assert count_detected([path], lambda: not refuses(lambda: read_object(row, backend))) == N_CHANGES


def test_a_stored_array_by_loading(stored: tuple[Path, dict[str, object], StorageBackend]) -> None:
    path, row, backend = stored
    reference = ArrayReference(row, backend)
    assert count_detected([path], lambda: not refuses(reference.load)) == N_CHANGES


def test_a_file_of_the_store_by_verify(stored: tuple[Path, dict[str, object], StorageBackend]) -> None:
    path, row, backend = stored
    known = (row["size"], row["sha256"])
    assert count_detected([path], lambda: digest_of(backend, str(row["path"])) == known) == N_CHANGES


def test_a_backup_by_the_digests_of_its_manifest(tmp_path: Path) -> None:
    """Dump, files of the store, manifest and its digest, as a restore reads them before it writes anything."""
    rng = np.random.default_rng(0)
    stored = "_schema/lab/__embedding/array.npy"
    files = [tmp_path / "dump.sql.gz", tmp_path / "store" / stored]
    for path in files:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(rng.bytes(3000))
    manifest = {
        "format": backup.FORMAT,
        "schema_version": SCHEMA_VERSION,
        "decortex_version": "1.0",
        "database": "lab",
        "rows": {"__embedding": 1},
        "files": {stored: hashlib.sha256(files[1].read_bytes()).hexdigest()},
        "damaged": [],
        "refused": [],
        "dump_sha256": hashlib.sha256(files[0].read_bytes()).hexdigest(),
    }
    files += [tmp_path / backup.MANIFEST, tmp_path / backup.MANIFEST_DIGEST]
    files[2].write_text(json.dumps(manifest, indent=1))
    files[3].write_text(hashlib.sha256(files[2].read_bytes()).hexdigest())

    def restored() -> bool:
        try:
            known = backup.read_manifest(tmp_path, "lab")
            data = (tmp_path / "store" / stored).read_bytes()
            return hashlib.sha256(data).hexdigest() == known["files"][stored]
        except DecortexError:
            return False

    assert count_detected(files, restored) == N_CHANGES


def test_labels_by_the_digest_of_their_row() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 8, size=300).astype(np.int16)
    digest, detected = array_sha256(labels), 0
    for _ in range(N_CHANGES):
        changed = labels.copy()
        changed.view(np.uint8)[rng.integers(changed.nbytes)] ^= np.uint8(rng.integers(1, 256))
        detected += array_sha256(changed) != digest
    assert detected == N_CHANGES


def test_an_export_by_its_manifest(tmp_path: Path) -> None:
    """Every file, the manifest and its digest too."""
    labels = np.random.default_rng(0).integers(0, 5, size=80).astype(np.int16)
    np.savez_compressed(tmp_path / "labels.npz", p000000=labels)
    with (tmp_path / "members.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=["array", "labels_sha256"])
        writer.writeheader()
        writer.writerow({"array": "p000000", "labels_sha256": array_sha256(labels)})
    (tmp_path / "plan.json").write_text(json.dumps({"study": {"study": "small"}}))
    files = sorted(tmp_path.iterdir())
    manifest = {
        "format": FORMAT,
        "files": {path.name: {"sha256": hashlib.sha256(path.read_bytes()).hexdigest()} for path in files},
    }
    (tmp_path / MANIFEST).write_text(json.dumps(manifest))
    (tmp_path / MANIFEST_DIGEST).write_text(hashlib.sha256((tmp_path / MANIFEST).read_bytes()).hexdigest())
    files += [tmp_path / MANIFEST, tmp_path / MANIFEST_DIGEST]
    assert count_detected(files, lambda: not refuses(lambda: check_bundle(tmp_path))) == N_CHANGES
