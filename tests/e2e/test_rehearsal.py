"""Backups are rehearsed and brought back beside the live database, which stays as it is."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from forked_commands import ForkedLab
from tiny_chain import dump


def untouchable(lab: ForkedLab) -> tuple[object, ...]:
    """The live tables, the live store, and what stands beside them."""
    with lab.link() as link, link.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        names = ", ".join(f"`{name}`" for (name,) in cursor.fetchall())
        cursor.execute(f"CHECKSUM TABLE {names}")
        tables = cursor.fetchall()
        cursor.execute("SHOW DATABASES LIKE %s", (f"{lab.environment['DECORTEX_DATABASE']}%",))
        databases = cursor.fetchall()
    store = Path(lab.environment["DECORTEX_STORE"])
    files = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(store.rglob("*"))]
    return tables, databases, files, sorted(store.parent.iterdir())


def test_a_rehearsal_says_equal_and_touches_nothing(
    tiny: ForkedLab, administrator: ForkedLab, backups: Path
) -> None:
    before = untouchable(tiny)
    found = json.loads(administrator.run("db", "rehearse", "--json", DECORTEX_BACKUPS=str(backups)).stdout)
    assert untouchable(tiny) == before
    assert (found["equal"], found["differing"], found["files"]) == (True, [], 4)
    assert found["rows"] > 100
    tiny.query("INSERT INTO `#seed` VALUES (4711)")
    said = administrator.run("db", "rehearse", str(backups / "first")).stdout
    assert said.startswith("equal: ")
    assert re.search(r"changed since: .*#seed: 1 added", said)
    tiny.query("DELETE FROM `#seed` WHERE seed = 4711")


def test_who_may_not_rehearse_hears_it(tiny: ForkedLab, backups: Path) -> None:
    name = f"viewer_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "viewer", DECORTEX_NEW_PASSWORD="look")
    before = untouchable(tiny)
    done = tiny.run("db", "rehearse", str(backups / "first"), check=False, DJ_USER=name, DJ_PASS="look")
    tiny.query("DROP USER %s@%s", name, "%")
    assert done.returncode == 1
    assert "It takes the role admin" in done.stderr
    assert untouchable(tiny) == before


def with_dump(folder: Path, change: Callable[[str], str], to: Path) -> Path:
    """A copy of a backup whose dump somebody changed, digest and all."""
    shutil.copytree(folder, to)
    text = gzip.decompress((to / "dump.sql.gz").read_bytes()).decode()
    assert change(text) != text
    (to / "dump.sql.gz").write_bytes(gzip.compress(change(text).encode()))
    manifest = json.loads((to / "manifest.json").read_text())
    manifest["dump_sha256"] = hashlib.sha256((to / "dump.sql.gz").read_bytes()).hexdigest()
    (to / "manifest.json").write_text(json.dumps(manifest))
    (to / "manifest.sha256").write_text(hashlib.sha256((to / "manifest.json").read_bytes()).hexdigest())
    return to


def test_a_backup_that_differs_is_told_and_touches_nothing(
    tiny: ForkedLab, backups: Path, tmp_path: Path
) -> None:
    before = untouchable(tiny)
    first, database = backups / "first", tiny.environment["DECORTEX_DATABASE"]

    def rehearsed(folder: Path) -> str:
        done = tiny.run("db", "rehearse", str(folder), check=False)
        assert done.returncode == 1
        assert untouchable(tiny) == before
        return done.stdout + done.stderr

    def other(text: str) -> str:
        return text.replace("('tiny','','", "('tiny','x','")

    said = rehearsed(with_dump(first, other, tmp_path / "altered"))
    assert "NOT EQUAL" in said
    assert "study: the content of its 1 rows differs" in said

    def fewer(text: str) -> str:
        return re.sub(r"INSERT INTO `#seed` .*\n", "", text)

    assert "#seed: " in rehearsed(with_dump(first, fewer, tmp_path / "fewer"))

    def hostile(text: str) -> str:
        return f"{text}DELETE FROM `{database}`.`study`;\n"

    assert "holds a statement that no backup" in rehearsed(with_dump(first, hostile, tmp_path / "hostile"))
    shutil.copytree(first, tmp_path / "torn")
    (path,) = list((tmp_path / "torn").rglob("embedding_spec_id=1/array_*.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not the file that was saved" in rehearsed(tmp_path / "torn")
    path.unlink()
    assert "array_" in rehearsed(tmp_path / "torn")


def test_a_backup_comes_back_beside_the_live_database(
    tiny: ForkedLab, administrator: ForkedLab, backups: Path
) -> None:
    before, name = untouchable(tiny), f"{tiny.environment['DECORTEX_DATABASE']}__tried"
    first = str(backups / "first")
    store = Path(tiny.environment["DECORTEX_STORE"])
    for words, reason in (
        (("--as", tiny.environment["DECORTEX_DATABASE"]), "exists"),
        (("--as", "mysql"), "It takes more than a role of this database gives"),
        (("--as", "no; name"), "letters, digits and underscores"),
        (("--as", name, "--store", str(store / "inside")), "live store"),
        (("--as", name, "--store", str(store.parent)), "live store"),
        (("--as", name, "--store", str(backups)), "not empty"),
    ):
        done = administrator.run("db", "restore", first, *words, check=False)
        assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert untouchable(tiny) == before
    administrator.run("db", "restore", first, "--as", name)
    copy = replace(
        tiny,
        environment={
            **tiny.environment,
            "DECORTEX_DATABASE": name,
            "DECORTEX_STORE": str(store.with_name(f"store-{name}")),
        },
    )
    try:
        assert dump(copy) == dump(tiny)  # declares the tables again: nothing in the copy names the live one
        assert json.loads(copy.run("verify", "--json").stdout)["faults"] == []
    finally:
        tiny.query(f"DROP DATABASE `{name}`")
        shutil.rmtree(copy.environment["DECORTEX_STORE"])
    assert untouchable(tiny)[1:] == before[1:]
