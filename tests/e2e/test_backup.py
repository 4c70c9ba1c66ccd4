"""Keeping and parting: a backup brings everything back, and a deletion says what it takes, who did it and why."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_commands import ForkedLab
from tiny_chain import declare_tiny, dump, fill_tiny, jobs


@pytest.fixture(scope="module")
def saved(tiny: ForkedLab) -> Iterator[Path]:
    """A backup of the tiny lab."""
    folder = tiny.folder / "backup"
    tiny.run("db", "backup", str(folder))
    yield folder
    shutil.rmtree(folder)


def changed(folder: Path, name: str, change: Callable[[Path], None], to: Path) -> Path:
    """A copy of the backup with one file changed."""
    copy = to / "copy"
    shutil.copytree(folder, copy)
    change(copy / name)
    return copy


def test_after_a_disaster_everything_is_brought_back(make_forked_lab: Callable[[str], ForkedLab]) -> None:
    lab = make_forked_lab("disaster")
    database, store = lab.environment["DECORTEX_DATABASE"], Path(lab.environment["DECORTEX_STORE"])
    declare_tiny(lab)
    fill_tiny(lab)
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


def test_what_is_not_this_backup_is_refused(tiny: ForkedLab, saved: Path, tmp_path: Path) -> None:
    def restore(folder: Path, **environment: str) -> str:
        done = tiny.run("db", "restore", str(folder), check=False, **environment)
        assert done.returncode == 1
        return done.stderr.replace("\n", " ")

    assert "is no backup" in restore(tmp_path)
    assert "is of database" in restore(saved, DECORTEX_DATABASE="another")

    def older(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), "schema_version": 1}))

    copy = changed(saved, "manifest.json", older, tmp_path)
    assert "schema version 1 (format 1), this decortex needs" in restore(copy)
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
