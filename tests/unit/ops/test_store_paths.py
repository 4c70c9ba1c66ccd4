"""What a row may name as its file: a path below the store's own folder in its shortest form, and nothing else."""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path

import pytest
from datajoint.storage import StorageBackend

from decortex.errors import InputError
from decortex_schemas.database import LONGEST, check_store_path, stored_file, write_object
from decortex_schemas.database.codecs import read_object
from decortex_schemas.database.server import store_folder
from decortex_schemas.database.store import digest_of

GOOD = "_schema/decortex/__embedding/dataset=v4/k=3/array_x.npy"
BAD = {
    "absolute": "/etc/passwd",
    "climbing": "../secret",
    "climbing below": "_schema/decortex/../../../secret",
    "climbing at the end": "_schema/decortex/..",
    "dot": "_schema/./decortex/x.npy",
    "empty segment": "_schema//decortex/x.npy",
    "folder": "_schema/decortex/",
    "area": "_schema/x",
    "another area": ".state-1000/run/x",
    "home": "~/x/y",
    "address": "s3://bucket/_schema/decortex/x.npy",
    "backslash": "_schema\\decortex\\x.npy",
    "null byte": "_schema/decortex/x\0.npy",
    "newline": "_schema/decortex/x\n.npy",
    "long": f"_schema/decortex/{'x' * LONGEST}",
    "long part": f"_schema/decortex/{'x' * 256}.npy",
    "long in bytes": "/".join(["_schema/decortex", *["\u8996" * 80] * 5]),
    "long part in bytes": "_schema/decortex/" + "\u8996" * 86,
    "half a surrogate pair": "_schema/decortex/\ud800.npy",
    "right to left": "_schema/decortex/\u202e.npy",
    "empty": "",
    "none": None,
    "number": 7,
    "bytes": b"_schema/decortex/x.npy",
    "list": ["_schema", "decortex", "x.npy"],
}


def test_a_path_of_the_store_is_kept_as_it_is(tmp_path: Path) -> None:
    assert check_store_path(GOOD) == GOOD
    assert check_store_path(GOOD, tmp_path / "not made yet") == GOOD


@pytest.mark.parametrize("path", BAD.values(), ids=BAD)
def test_another_path_is_refused_and_says_what_was_expected(path: object) -> None:
    with pytest.raises(InputError, match="expected a relative path below _schema/"):
        check_store_path(path)


def test_no_link_leads_out_of_the_store(tmp_path: Path) -> None:
    store, outside = tmp_path / "store", tmp_path / "outside"
    (store / "_schema" / "decortex").mkdir(parents=True)
    outside.mkdir()
    (store / "_schema" / "decortex" / "within").symlink_to(store / "_schema")
    (store / "_schema" / "decortex" / "out").symlink_to(outside)
    (store / "_schema" / "decortex" / "file.npy").symlink_to(outside / "file.npy")
    check_store_path("_schema/decortex/within/x.npy", store)
    for path in ("_schema/decortex/out/x.npy", "_schema/decortex/file.npy"):
        check_store_path(path)
        with pytest.raises(InputError, match="through a link"):
            check_store_path(path, store)


def test_a_circle_of_links_and_what_never_ends_are_refused(tmp_path: Path) -> None:
    """A circle was a traceback of Python, and verify, backup and workers waited for a pipe for ever."""
    folder = tmp_path / "_schema" / "decortex"
    folder.mkdir(parents=True)
    (folder / "a").symlink_to(folder / "b")
    (folder / "b").symlink_to(folder / "a")
    for path in ("_schema/decortex/a", "_schema/decortex/a/x.npy"):
        with pytest.raises(InputError, match="circle of links"):
            check_store_path(path, tmp_path)
    os.mkfifo(folder / "pipe")
    with pytest.raises(InputError, match="is no file but a pipe"):
        check_store_path("_schema/decortex/pipe", tmp_path)
    (folder / "file").touch()
    check_store_path("_schema/decortex/file", tmp_path)
    check_store_path("_schema/decortex/file/below", tmp_path)  # who opens it says that there is none


def test_a_file_that_has_grown_is_refused_before_memory_is_taken(tmp_path: Path) -> None:
    """A sparse file of 64 GiB: reading it whole was a MemoryError, or the end of the process."""
    store = StorageBackend({"protocol": "file", "location": str(tmp_path)})
    write_object(store, GOOD, b"abc")
    row = {"path": GOOD, "size": 3, "sha256": hashlib.sha256(b"abc").hexdigest()}
    assert read_object(row, store) == b"abc"
    with (tmp_path / GOOD).open("r+b") as file:
        file.truncate(2**36)
    with pytest.raises(InputError, match="is not the one that was written"):
        read_object(row, store)
    write_object(store, GOOD, b"abc")
    with pytest.raises(InputError, match="is not the one that was written"):
        read_object({**row, "size": 2**60}, store)
    with (tmp_path / GOOD).open("r+b") as file:
        file.truncate(2**36)
    found = digest_of(store, GOOD, at_most=3)
    assert found is not None
    assert 3 < found[0] < 2**30


def test_a_store_behind_a_link_is_a_store(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "store").symlink_to(tmp_path / "disk")
    assert check_store_path(GOOD, tmp_path / "store") == GOOD


def test_what_a_row_keeps_is_read_as_json_or_parsed() -> None:
    record = {"path": GOOD, "size": 3, "sha256": "0" * 64, "dtype": "float64"}
    for stored in (record, json.dumps(record), json.dumps(record).encode()):
        known = stored_file(stored)
        assert (known.path, known.size, known.sha256) == (GOOD, 3, "0" * 64)


@pytest.mark.parametrize(
    "stored",
    [
        None,
        "not json",
        "[]",
        "3",
        {},
        {"path": GOOD},
        {"path": GOOD, "size": 3},
        {"path": GOOD, "size": -1, "sha256": "0" * 64},
        {"path": GOOD, "size": True, "sha256": "0" * 64},
        {"path": GOOD, "size": "3", "sha256": "0" * 64},
        {"path": GOOD, "size": 3, "sha256": "0" * 63},
        {"path": GOOD, "size": 3, "sha256": None},
        {"path": GOOD, "size": 3, "sha256": "0" * 64, "store": "other"},
        {"path": "/etc/passwd", "size": 3, "sha256": "0" * 64},
    ],
)
def test_a_record_that_decortex_did_not_write_is_refused(stored: object) -> None:
    with pytest.raises(InputError, match="decortex did not write this row"):
        stored_file(stored)


def test_each_home_has_a_store_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside its server, so that one folder is the whole of a database; one of before goes on where its arrays lie."""
    for name in ("DECORTEX_STORE", "DECORTEX_HOME", "DJ_HOST"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr("platformdirs.user_data_dir", lambda *_: str(tmp_path / "user"))
    assert store_folder() == tmp_path / "user" / "store"
    for name in ("a", "b"):
        monkeypatch.setenv("DECORTEX_HOME", str(tmp_path / name))
        assert store_folder() == tmp_path / name / "store"
    (tmp_path / "user" / "store").mkdir(parents=True)
    assert store_folder() == tmp_path / "b" / "store"
    (tmp_path / "b" / "mysql" / "data").mkdir(
        parents=True
    )  # initialised before stores lay beside their servers
    assert store_folder() == tmp_path / "user" / "store"
    (tmp_path / "b" / "store").mkdir()
    assert store_folder() == tmp_path / "b" / "store"
    monkeypatch.setenv("DECORTEX_STORE", str(tmp_path / "named"))
    assert store_folder() == tmp_path / "named"
    monkeypatch.delenv("DECORTEX_STORE")
    monkeypatch.setenv("DJ_HOST", "mysql.lab")  # a home says nothing about another server's arrays
    assert store_folder() == tmp_path / "user" / "store"
