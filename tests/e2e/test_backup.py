"""Keeping and parting: a backup brings everything back, and a deletion says what it takes, who did it and why."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from fault_lab import await_file, ended
from forked_commands import ForkedLab
from tiny_chain import dump, fill_tiny, jobs


@pytest.fixture(scope="module")
def saved(tiny: ForkedLab) -> Iterator[Path]:
    """A backup of the tiny lab."""
    folder = tiny.folder / "backup"
    tiny.run("db", "backup", str(folder))
    yield folder
    shutil.rmtree(folder)


def verify(lab: ForkedLab) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Exit status and answer of `decortex verify`."""
    done = lab.run("verify", "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def seal(path: Path, manifest: dict[str, Any]) -> None:
    """Write a manifest and its digest, as somebody who forges one would."""
    path.write_text(json.dumps(manifest))
    path.with_name("manifest.sha256").write_text(hashlib.sha256(path.read_bytes()).hexdigest())


def changed(folder: Path, name: str, change: Callable[[Path], None], to: Path) -> Path:
    """A copy of the backup with one file changed."""
    copy = to / "copy"
    shutil.copytree(folder, copy)
    change(copy / name)
    return copy


def test_after_a_disaster_everything_is_brought_back(make_tiny_lab: Callable[[str], ForkedLab]) -> None:
    lab = make_tiny_lab("disaster")
    database, store = lab.environment["DECORTEX_DATABASE"], Path(lab.environment["DECORTEX_STORE"])
    with lab.link() as link, link.cursor() as cursor:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("SHOW TABLES LIKE '\\_\\_cluster\\_confound%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM `{table}`")
    lab.python("from decortex_ops.workers.scheduler import sweep; sweep()")
    lab.query("UPDATE `~~cluster_confound` SET status = 'reserved', host = 'gone', pid = 1 LIMIT 1")
    before = dump(lab)
    folder = lab.folder / "backup"
    lab.run("db", "backup", str(folder))
    assert lab.run("db", "backup", str(folder), check=False).returncode == 1  # never over another one
    assert "holds tables" in lab.run("db", "restore", str(folder), check=False).stderr

    lab.query(f"DROP DATABASE `{database}`")
    shutil.rmtree(store)
    with lab.link_without_database() as link, link.cursor() as cursor:
        cursor.execute("SHOW DATABASES LIKE %s", (database,))
        assert cursor.fetchall() == ()
    lab.run("db", "restore", str(folder))
    assert dump(lab) == before
    assert json.loads(lab.run("verify", "--json").stdout)["faults"] == []
    assert jobs(lab) == {"pending": 8}  # the key in work is in nobody's hands
    fill_tiny(lab)
    assert lab.query("SELECT COUNT(*) FROM `__cluster_confound`") == [(8,)]


def test_a_damaged_file_is_named_and_the_rest_saved(tiny: ForkedLab, tmp_path: Path) -> None:
    (path,) = list(Path(tiny.environment["DECORTEX_STORE"]).rglob("embedding_spec_id=1/array_*.npy"))
    content = path.read_bytes()
    path.write_bytes(content[:-1])
    try:
        done = tiny.run("db", "backup", str(tmp_path / "damaged"), "--json", check=False)
    finally:
        path.write_bytes(content)
    assert done.returncode == 1
    said = json.loads(done.stdout)
    assert said["files"] == 3
    assert said["damaged"][0].endswith(path.name)


# Stops a backup when its rows are written, before its files.
STOPPED = """
import time
from pathlib import Path
from decortex_ops.admin import backup
def stop(*_):
    Path({here!r}).touch()
    time.sleep(600)
backup.copy_files = stop
"""


def test_a_backup_that_fails_leaves_nothing_and_one_that_was_killed_is_named(
    tiny: ForkedLab, tmp_path: Path
) -> None:
    folder, here = tmp_path / "backups", tmp_path / "here"
    folder.mkdir()
    with tiny.link() as link, link.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT version FROM `#schema_version` FOR UPDATE")  # as `gc --delete` holds it
        done = tiny.run("db", "backup", str(folder / "first"), check=False)
    assert (done.returncode, "is under way" in done.stderr) == (1, True), done.stderr
    assert list(folder.iterdir()) == []

    for number in (signal.SIGTERM, signal.SIGKILL):
        backup = tiny.start("db", "backup", str(folder / "second"), code=STOPPED.format(here=str(here)))
        with ended(backup):
            await_file(here, backup)
            backup.send_signal(number)
            assert backup.wait() in (128 + number, -number)
        here.unlink()
        left = [folder / "second.unfinished"] if number == signal.SIGKILL else []
        assert list(folder.iterdir()) == left
    said = tiny.run("db", "backup", str(folder / "third"))
    told = f"{folder / 'second.unfinished'} is of a backup that is under way, or was killed"
    assert told in said.stderr.replace("\n", " ")
    assert "unfinished" not in tiny.run("db", "backup", str(folder / "second")).stderr  # its own name
    assert sorted(path.name for path in folder.iterdir()) == ["second", "third"]


def test_what_is_not_this_backup_is_refused(tiny: ForkedLab, saved: Path, tmp_path: Path) -> None:
    def restore(folder: Path, **environment: str) -> str:
        done = tiny.run("db", "restore", str(folder), check=False, **environment)
        assert done.returncode == 1
        return done.stderr.replace("\n", " ")

    assert "is no backup" in restore(tmp_path)
    inside = Path(tiny.environment["DECORTEX_STORE"]) / "_schema" / "backups" / "monday"
    kept = tiny.run("db", "backup", str(inside), check=False)
    assert (kept.returncode, "among files that `decortex gc` deletes" in kept.stderr.replace("\n", " ")) == (
        1,
        True,
    )
    assert not inside.parent.exists()
    assert "is of database" in restore(saved, DECORTEX_DATABASE="another")

    def older(path: Path) -> None:
        seal(path, {**json.loads(path.read_text()), "schema_version": 1})

    copy = changed(saved, "manifest.json", older, tmp_path)
    assert "schema version 1 (format 2), this decortex takes versions 2 to 3" in restore(copy)
    shutil.rmtree(copy)
    copy = changed(
        saved,
        "manifest.json",
        lambda path: path.write_text(path.read_text().replace("rows", "rowz", 1)),
        tmp_path,
    )
    assert "manifest.json is not the file that was saved" in restore(copy)
    shutil.rmtree(copy)
    copy = changed(saved, "dump.sql.gz", lambda path: path.write_bytes(path.read_bytes()[:-9]), tmp_path)
    assert "sha256 differs" in restore(copy)


def test_a_deletion_is_shown_then_done_and_recorded(tiny: ForkedLab) -> None:
    before = dump(tiny)
    key = json.dumps({"embedding_spec_id": 2})
    shown = json.loads(tiny.run("delete", "Embedding", key, "--json").stdout)
    counts = {row["table"]: row["rows"] for row in shown["rows"]}
    assert shown["deleted"] is False
    assert (counts["Embedding"], counts["Clustering"], counts["DECFinetune"]) == (1, 4, 4)
    assert "nothing is deleted without --yes" in tiny.run("delete", "Embedding", key).stdout
    assert dump(tiny) == before
    no_reason = tiny.run("delete", "Embedding", key, "--yes", check=False)
    assert no_reason.returncode == 1
    assert "needs a reason" in no_reason.stderr
    assert tiny.run("delete", "Embedding", "colour=red", check=False).returncode == 1
    assert tiny.run("delete", "Nothing", key, check=False).returncode == 1

    tiny.run("delete", "Embedding", key, "--yes", "--why", "made with the 'wrong'; lens")
    assert tiny.query("SELECT COUNT(*) FROM `__clustering`") == [(4,)]
    ((table, meant, why, user, kept),) = tiny.query(
        "SELECT table_name, restriction, why, db_user, counts FROM deletion"
    )
    assert (table, json.loads(meant), why) == (
        "Embedding",
        {"embedding_spec_id": 2},
        "made with the 'wrong'; lens",
    )
    assert user.partition("@")[0] == tiny.environment["DJ_USER"]
    assert json.loads(kept) == counts
    fill_tiny(tiny)
    assert dump(tiny) == before  # computed again, the same
    tiny.query("DELETE FROM deletion")


@pytest.fixture
def insert_embedding(tiny: ForkedLab) -> Iterator[Callable[[object], dict[str, object]]]:
    """Insert a row of `Embedding` that refers to what is given, as any account with the role worker may."""
    columns = [row[0] for row in tiny.query("SHOW COLUMNS FROM __embedding")]
    made = itertools.count(70)

    def insert(stored: object) -> dict[str, object]:
        number = next(made)
        tiny.query(
            "INSERT INTO `#embedding_spec` SELECT %s, REPEAT(%s, 64), 'hostile', kind, params "
            "FROM `#embedding_spec` LIMIT 1",
            number,
            chr(number),
        )
        chosen = ", ".join(
            {"embedding_spec_id": str(number), "array": "CAST(%s AS JSON)"}.get(name, f"`{name}`")
            for name in columns
        )
        tiny.query(
            f"INSERT INTO __embedding SELECT {chosen} FROM __embedding WHERE embedding_spec_id = 1",
            json.dumps(stored),
        )
        return {"embedding_spec_id": number}

    yield insert
    tiny.query("DELETE FROM __embedding WHERE embedding_spec_id >= 70")
    tiny.query("DELETE FROM `#embedding_spec` WHERE embedding_spec_id >= 70")


def record(path: str, data: bytes) -> dict[str, object]:
    """What a row keeps of a file with this content."""
    return {
        "path": path,
        "store": "main",
        "size": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
        "dtype": "float64",
        "shape": [1],
    }


def test_a_row_that_names_a_file_elsewhere_harms_nothing(
    tiny: ForkedLab, insert_embedding: Callable[[object], dict[str, object]], tmp_path: Path
) -> None:
    store = Path(tiny.environment["DECORTEX_STORE"])
    database = tiny.environment["DECORTEX_DATABASE"]
    (real,) = list(store.rglob("__trained_model/**/checkpoint_*.bin"))
    victim = tiny.folder / "victim.txt"
    victim.write_bytes(b"precious")
    link, circle, pipe, grown = (
        store / "_schema" / database / f"{name}.npy" for name in ("link", "circle", "pipe", "grown")
    )
    link.symlink_to(victim)
    circle.symlink_to(circle)
    os.mkfifo(pipe)
    with grown.open("wb") as file:
        file.truncate(2**36)  # sparse: 64 GiB would fill the disk of the backup
    kept = {path: path.read_bytes() for path in (victim, real)}
    orphaned = verify(tiny)[1]["orphaned"]
    rows = [
        insert_embedding(stored)
        for stored in (
            record(str(victim), b"precious"),
            record(f"_schema/{database}/../../../victim.txt", b"precious"),
            record(f"_schema/{database}/link.npy", b"precious"),
            record(str(real), kept[real]),
            "no record",
            {"path": 7},
            record(f"_schema/{database}/circle.npy", b"precious"),
            record(f"_schema/{database}/pipe.npy", b"precious"),
            record(f"_schema/{database}/{'x' * 300}.npy", b"precious"),
        )
    ]
    longer = insert_embedding(record(f"_schema/{database}/grown.npy", b"precious"))
    # A file of another row, by a digest of its own: that row's file must be saved all the same.
    rows.append(insert_embedding(record(real.relative_to(store).as_posix(), b"precious")))
    try:
        done = tiny.run("db", "backup", str(tmp_path / "hostile"), "--json", check=False)
        assert done.returncode == 1
        told = json.loads(done.stdout)
        assert (told["files"], told["damaged"]) == (4, [f"_schema/{database}/grown.npy"])
        assert len(told["refused"]) == len(rows)
        for row in rows:
            assert (
                sum(f'"embedding_spec_id": "{row["embedding_spec_id"]}"' in line for line in told["refused"])
                == 1
            )

        status, found = verify(tiny)
        assert status == 1
        problems = {fault["key"]["embedding_spec_id"]: fault["problem"] for fault in found["faults"]}
        assert problems == {row["embedding_spec_id"]: "refused" for row in rows[:-1]} | {
            row["embedding_spec_id"]: "altered" for row in (rows[-1], longer)
        }
        paths = [row["path"] for row in found["orphaned"]]
        assert paths == [row["path"] for row in orphaned if row["path"] != f"_schema/{database}/grown.npy"]
        assert json.loads(tiny.run("gc", "--delete", "--json").stdout)["orphaned"] == []
        for row in (*rows, longer):
            read = tiny.python(
                "from decortex.errors import InputError\n"
                "try:\n"
                f"    (schemas.Embedding & {row}).fetch1('array').load()\n"
                "except InputError as error:\n"
                "    print('refused', error)\n"
            )
            assert read.startswith("refused")
    finally:
        for one in (link, circle, pipe, grown):
            one.unlink()
        assert {path: path.read_bytes() for path in kept} == kept
        victim.unlink()
    # What was saved is whole, and holds nothing that is not of the store.
    files = json.loads((tmp_path / "hostile" / "manifest.json").read_text())["files"]
    saved_files = [path for path in (tmp_path / "hostile" / "store").rglob("*") if path.is_file()]
    assert sorted(
        path.relative_to(tmp_path / "hostile" / "store").as_posix() for path in saved_files
    ) == sorted(files)
    assert all(hashlib.sha256(path.read_bytes()).hexdigest() in files.values() for path in saved_files)


@pytest.mark.parametrize("name", ["../../escaped.txt", "/escaped.txt", "_schema/x/../../../../escaped.txt"])
def test_a_manifest_that_names_a_file_elsewhere_is_refused(
    tiny: ForkedLab, saved: Path, tmp_path: Path, name: str
) -> None:
    """Nothing is written: neither there, nor in the store, nor in the database."""
    target = str(tmp_path / "escaped.txt") if name.startswith("/") else name

    def escaping(path: Path) -> None:
        manifest = json.loads(path.read_text())
        manifest["files"] = {target: hashlib.sha256(b"planted").hexdigest()}
        seal(path, manifest)

    copy = changed(saved, "manifest.json", escaping, tmp_path)
    (tmp_path / "planted.txt").write_bytes(b"planted")
    shutil.copy(tmp_path / "planted.txt", tmp_path / "copy" / "escaped.txt")
    store = tmp_path / "elsewhere" / "store"
    with tiny.link_without_database() as link, link.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        before = cursor.fetchall()
        done = tiny.run("db", "restore", str(copy), check=False, DECORTEX_STORE=str(store))
        cursor.execute("SHOW DATABASES")
        assert cursor.fetchall() == before
    assert done.returncode == 1
    assert "does not list the files of a store" in done.stderr.replace("\n", " ")
    assert not store.exists()
    assert [path.name for path in tmp_path.rglob("escaped.txt")] == ["escaped.txt"]
