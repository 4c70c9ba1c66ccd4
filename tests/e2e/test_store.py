"""The store against its rows: what is missing, altered or orphaned is found, and nothing damaged is ever read."""

from __future__ import annotations

import json
import os
import shutil
import stat
import time
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
from datajoint.storage import StorageBackend
from forked_commands import ForkedLab
from tiny_chain import ROWS, dump

from decortex_schemas.database import write_object


@pytest.fixture
def array(tiny: ForkedLab) -> Iterator[Path]:
    """File of an embedding; put back afterwards."""
    (path,) = list(Path(tiny.environment["DECORTEX_STORE"]).rglob("embedding_spec_id=1/array_*.npy"))
    content = path.read_bytes()
    yield path
    path.write_bytes(content)


def verify(lab: ForkedLab) -> tuple[int, dict[str, list[dict[str, object]]]]:
    done = lab.run("verify", "--json", check=False)
    return done.returncode, json.loads(done.stdout)


def test_the_chain_is_what_the_fault_tests_count_on(tiny: ForkedLab) -> None:
    found = dump(tiny)
    assert {name: len(rows) for name, rows in found.items() if rows and "." not in name} == ROWS


ASKED = """
def asked():
    return int(schemas.schema.connection.query("SHOW SESSION STATUS LIKE 'Questions'").fetchone()[1])
"""


def test_tables_are_looked_at_at_once(tiny: ForkedLab) -> None:
    """A statement a table, a hundred and more of them, is a third of a second of every command."""
    ((n_tables,),) = tiny.query(
        "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = DATABASE()"
    )
    assert int(tiny.python(ASKED + "print(asked())")) < n_tables / 2
    columns = "from decortex_schemas.database import sealed_columns\nbefore = asked()\nprint(len(sealed_columns()))\n"
    found, statements = tiny.python(ASKED + columns + "print(asked() - before)").split()
    assert int(found) > 10
    assert int(statements) < 2 * n_tables  # eight a table that has such a column


def test_a_whole_store_has_no_fault(tiny: ForkedLab) -> None:
    status, found = verify(tiny)
    assert (status, found["checked"], found["faults"], found["orphaned"]) == (0, 4, [], [])
    assert "4 files read: 0 missing, 0 altered; 0 orphaned" in tiny.run("verify").stdout


@pytest.mark.parametrize(
    ("problem", "said"),
    [("missing", "holds no file"), ("altered", "is not the one that was written")],
)
def test_a_damaged_file_is_found_and_never_read(
    tiny: ForkedLab, array: Path, problem: str, said: str
) -> None:
    if problem == "missing":
        array.unlink()
    else:
        content = bytearray(array.read_bytes())
        content[-1] ^= 1  # one bit: still an array of this shape
        array.write_bytes(bytes(content))
    status, found = verify(tiny)
    assert status == 1
    (fault,) = found["faults"]
    assert (fault["problem"], fault["table"], fault["column"]) == (problem, "Embedding", "array")
    assert fault["key"]["embedding_spec_id"] == 1
    read = tiny.python(
        "from decortex.errors import DecortexError\n"
        "try:\n"
        "    (schemas.Embedding & {'embedding_spec_id': 1}).fetch1('array').load()\n"
        "except DecortexError as error:\n"
        "    print(error)\n"
    )
    assert said in read
    assert "restore it from a backup" in read


def test_a_damaged_checkpoint_is_never_read(tiny: ForkedLab) -> None:
    (path,) = list(Path(tiny.environment["DECORTEX_STORE"]).rglob("__trained_model/**/checkpoint_*.bin"))
    content = path.read_bytes()
    path.write_bytes(content[:-7])  # truncated, as by a full disk
    try:
        status, found = verify(tiny)
        assert status == 1
        assert found["faults"][0]["table"] == "TrainedModel"
        assert f"{len(content) - 7} bytes of {len(content)}" in str(found["faults"][0]["found"])
        read = tiny.python(
            "from decortex.errors import DecortexError\n"
            "try:\n"
            "    schemas.TrainedModel().fetch1('checkpoint')\n"
            "except DecortexError as error:\n"
            "    print(error)\n"
        )
        assert "is not the one that was written" in read
    finally:
        path.write_bytes(content)


def test_only_old_orphans_are_collected(tiny: ForkedLab, array: Path) -> None:
    """What a killed worker leaves: a whole file without a row, and the beginning of one."""
    # The lab is a copy, its files lie where the first one's did; what its own workers leave has this database's name.
    environment = tiny.environment
    folder = (
        Path(environment["DECORTEX_STORE"]) / "_schema" / environment["DECORTEX_DATABASE"] / "__embedding"
    )
    folder.mkdir(parents=True, exist_ok=True)
    old, begun, young = (folder / name for name in ("array_old.npy", "a.npy.0.writing", "array_new.npy"))
    for path in (old, begun, young):
        path.write_bytes(b"left behind")
    for path in (old, begun):
        os.utime(path, (time.time() - 30 * 3600,) * 2)
    _, found = verify(tiny)
    assert sorted(Path(row["path"]).name for row in found["orphaned"]) == sorted(
        path.name for path in (old, begun, young)
    )
    listed = json.loads(tiny.run("gc", "--json").stdout)
    assert sorted(Path(row["path"]).name for row in listed["orphaned"]) == sorted([old.name, begun.name])
    assert old.exists()
    assert begun.exists()
    tiny.run("gc", "--delete", "--older-than", "40")
    assert old.exists()
    assert "2 files, 0.0 MB deleted" in tiny.run("gc", "--delete").stdout
    assert (old.exists(), begun.exists(), young.exists(), array.exists()) == (False, False, True, True)
    young.unlink()
    assert verify(tiny)[0] == 0


def test_gc_deletes_nothing_of_a_store_to_which_other_servers_write(tiny: ForkedLab) -> None:
    """To the database of one server, the files of another's of the same name are orphans."""
    environment = tiny.environment
    # What a process does after its first file (tests/e2e/test_s3.py computes a chain and finds it).
    tiny.python("from decortex_schemas.database.store import claim\nschemas.connect()\nclaim()")
    notes = Path(environment["DECORTEX_STORE"]) / "_owners" / environment["DECORTEX_DATABASE"]
    ((own,),) = tiny.query("SELECT @@server_uuid")
    assert [path.name for path in notes.iterdir()] == [own]
    assert verify(tiny)[0] == 0
    other = notes / str(uuid.uuid4())
    other.write_bytes(b"")
    old = (
        Path(environment["DECORTEX_STORE"])
        / "_schema"
        / environment["DECORTEX_DATABASE"]
        / "__embedding/array_b.npy"
    )
    old.parent.mkdir(parents=True, exist_ok=True)
    old.write_bytes(b"another database's")
    os.utime(old, (time.time() - 30 * 3600,) * 2)
    assert "1 file, 0.0 MB to delete" in tiny.run("gc").stdout
    refused = tiny.run("gc", "--delete", check=False)
    assert refused.returncode == 1
    assert "of 2 servers write to this store" in refused.stderr
    assert other.name in refused.stderr.replace("\n", "")
    assert old.exists()
    other.unlink()
    tiny.run("gc", "--delete")
    assert not old.exists()


def test_gc_leaves_what_may_be_on_its_way(tiny: ForkedLab) -> None:
    assert tiny.run("gc", "--older-than", "0.5", "--delete", check=False).returncode == 2


def test_gc_waits_for_a_backup(tiny: ForkedLab) -> None:
    """Both hold one row of the schema's version, which takes a right to change it."""
    name = tiny.environment["DECORTEX_DATABASE"]
    with tiny.link() as link, link.cursor() as cursor:
        cursor.execute("START TRANSACTION")
        cursor.execute("SELECT version FROM `#schema_version` FOR UPDATE")
        done = tiny.run("gc", "--delete", check=False)
        assert tiny.run("gc").returncode == 0  # what only lists waits for nobody
    assert done.returncode == 1
    assert "is under way" in done.stderr
    with tiny.link() as link, link.cursor() as cursor:  # a name that every account may hold locks nobody out
        cursor.execute("SELECT GET_LOCK(%s, 0)", (f"decortex_store_{name}",))
        assert tiny.run("gc", "--delete").returncode == 0


def test_a_reader_holds_no_lock_of_backup_and_gc(tiny: ForkedLab) -> None:
    user, password = f"reader_{uuid.uuid4().hex[:8]}", "reader-password-7"
    tiny.run("db", "grant", user, "--role", "viewer", DECORTEX_NEW_PASSWORD=password)
    reader = replace(tiny, environment={**tiny.environment, "DJ_USER": user, "DJ_PASS": password})
    try:
        with pytest.raises(pymysql.MySQLError, match="command denied"):
            reader.query("SELECT version FROM `#schema_version` FOR UPDATE")
        refused = reader.run("gc", "--delete", check=False)
        assert refused.returncode == 1
        assert f"{user!r}" in refused.stderr
        assert "takes the role admin: ask an administrator" in refused.stderr
        with reader.link() as link, link.cursor() as cursor:  # what a reader may hold keeps no backup waiting
            cursor.execute("START TRANSACTION")
            cursor.execute("SELECT version, CONNECTION_ID() FROM `#schema_version` FOR SHARE")
            number = cursor.fetchone()[1]
            tiny.run("db", "backup", str(tiny.folder / "while held"))
            shutil.rmtree(tiny.folder / "while held")
            waiting = tiny.run("gc", "--delete", check=False)
        assert waiting.returncode == 1
        assert f"connection {number} of {user}@" in waiting.stderr
    finally:
        tiny.query("DROP USER %s@%s", user, "%")


def test_who_holds_the_lock_of_init_is_named(tiny: ForkedLab) -> None:
    name = tiny.environment["DECORTEX_DATABASE"]

    assert tiny.program("declare_within_a_second").stdout.strip() == "held"
    with tiny.link() as link, link.cursor() as cursor:
        cursor.execute("SELECT GET_LOCK(%s, 0), CONNECTION_ID()", (f"decortex_init_{name}",))
        number = cursor.fetchone()[1]
        said = tiny.program("declare_within_a_second").stdout
    assert f"connection {number} of {tiny.environment['DJ_USER']}@" in said
    assert f"KILL {number}" in said


def test_the_codecs_are_known_without_importing_decortex(tiny: ForkedLab) -> None:
    """A notebook with plain DataJoint reads checked arrays: the codecs are an entry point of the installation."""
    text = (Path(__file__).resolve().parents[2] / "pyproject.toml").read_text()
    assert 'sealed_array = "decortex_schemas.database.codecs:SealedArray"' in text


@pytest.mark.parametrize(
    ("store_mode", "file_mode", "folder_mode"), [(0o2770, 0o660, 0o2770), (0o700, 0o600, 0o700)]
)
def test_a_store_that_a_group_shares_stays_so_whatever_the_umask(
    tmp_path: Path, store_mode: int, file_mode: int, folder_mode: int
) -> None:
    store = tmp_path / "store"
    store.mkdir()
    store.chmod(store_mode)
    backend = StorageBackend({"protocol": "file", "location": str(store)})
    before = os.umask(0o077)
    try:
        write_object(backend, "_schema/lab/__embedding/k=1/a.npy", b"content")
    finally:
        os.umask(before)

    def mode(path: str) -> int:
        return stat.S_IMODE((store / path).stat().st_mode)

    assert mode("_schema/lab/__embedding/k=1/a.npy") == file_mode
    folders = ("_schema", "_schema/lab", "_schema/lab/__embedding", "_schema/lab/__embedding/k=1")
    assert {mode(path) for path in folders} == {folder_mode}


def test_a_file_that_cannot_be_read_is_reported(tiny: ForkedLab) -> None:
    """By its row, and the others are read; root reads everything, and so the error is put in its place."""
    done = tiny.yard.start(
        ("verify", "--json"),
        tiny.environment,
        code=(
            "from decortex_schemas.database import store\n"
            "right = store.digest_of\n"
            "def refused(backend, path, **options):\n"
            "    if 'embedding_spec_id=1' in path:\n"
            "        raise PermissionError(13, 'Permission denied', path)\n"
            "    return right(backend, path, **options)\n"
            "store.digest_of = refused\n"
        ),
    )
    assert done.wait(120) == 1
    found = json.loads(done.stdout)
    assert [(fault["problem"], fault["table"]) for fault in found["faults"]] == [("unreadable", "Embedding")]
    assert "Permission denied" in found["faults"][0]["found"]
    assert found["checked"] == 4
