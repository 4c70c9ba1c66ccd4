"""What a row may name as its file: a path below the store's own folder in its shortest form, and nothing else."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decortex.errors import InputError
from decortex_schemas.database import LONGEST, check_store_path, stored_file

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
