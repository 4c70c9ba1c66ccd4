"""What DataJoint below 2.3.6 would run, expand or read, and does not here."""

from __future__ import annotations

import os
import re
import struct
import zlib
from pathlib import Path
from typing import Any

import datajoint as dj
import numpy as np
import pyparsing
import pytest
from datajoint import declare, lineage
from datajoint.blob import pack, unpack
from datajoint.heading import Heading
from datajoint.jobs import Job
from datajoint.settings import config as datajoint_config
from datajoint.table import FreeTable
from programs import run_program

import decortex_schemas as schemas
from decortex.errors import ConfigError, DatabaseError
from decortex_schemas.database import refuse_foreign_settings
from decortex_schemas.database.server import datajoint_guards

ATTACK = "__import__('pathlib').Path({path!r}).touch()"


def test_a_comment_of_a_column_is_not_run_when_a_queue_is_declared(
    database: dict[str, str], tmp_path: Path
) -> None:
    """The comment of a key's column holds its type, and a new line in it began a foreign key, which was evaluated."""
    mark = tmp_path / "ran"
    table = schemas.Embedding()
    name = f"`{database['DECORTEX_DATABASE']}`.`{table.table_name}`"
    connection = schemas.schema.connection
    before = connection.query(
        "SELECT column_comment FROM information_schema.columns WHERE table_schema = %s AND table_name = %s AND "
        "column_name = 'model_seed'",
        args=(database["DECORTEX_DATABASE"], table.table_name),
    ).fetchone()[0]
    kind = connection.query(f"SHOW COLUMNS FROM {name} LIKE 'model_seed'").fetchone()[1]
    altered = "ALTER TABLE " + name + " MODIFY model_seed " + kind + " NOT NULL COMMENT %s"
    connection.query("SET FOREIGN_KEY_CHECKS = 0")
    try:
        connection.query(altered, args=(f":int32\n    -> {ATTACK.format(path=str(mark))}:",))
        with pytest.raises(DatabaseError, match=r"column 'model_seed' .* somebody altered it"):
            Job(dj.FreeTable(connection, name))
        # Without the guard of queues that of foreign keys would still hold.
        with pytest.raises(DatabaseError, match="which is no name of a table"):
            declare.prepare_declare(f"-> {ATTACK.format(path=str(mark))}", {}, connection.adapter)
    finally:
        connection.query(altered, args=(before,))
        connection.query("SET FOREIGN_KEY_CHECKS = 1")
    assert not mark.exists()
    assert "model_seed : int" in Job(dj.FreeTable(connection, name)).definition


def test_names_of_tables_are_taken() -> None:
    """A class, one of a module, and options before it."""
    for line in (
        "-> Environment",
        "-> [nullable] Environment  # a comment",
        "->Study.Model",
        "-> Seed.proj(a='seed')",
    ):
        with pytest.raises(dj.errors.DataJointError, match="could not be resolved"):
            declare.prepare_declare(line, {}, None)


def test_a_blob_expands_to_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(5000.0)
    stored = pack(values)
    assert stored.startswith(b"ZL123\0")
    np.testing.assert_array_equal(unpack(stored), values)
    monkeypatch.setattr(datajoint_guards, "LARGEST_BLOB", 10_000)
    with pytest.raises(DatabaseError, match="expands to more than 10000 bytes"):
        unpack(stored)


def test_a_blob_that_would_fill_the_memory_is_refused_early() -> None:
    """2 GiB of zeros, whatever size it says it has."""
    engine = zlib.compressobj(9)
    first, again = (engine.compress(bytes(2**24)) + engine.flush(zlib.Z_FULL_FLUSH) for _ in range(2))
    # What stands between two full flushes rests on nothing before; the checksum of n zeros is n modulo 65521, and 1.
    body = first + 127 * again + engine.flush()[:-4] + struct.pack(">HH", 2**31 % 65521, 1)
    stored = b"ZL123\0" + (2**31).to_bytes(8, "little") + body
    done = run_program("expand_a_blob", given=stored)
    assert done.stdout.startswith(b"DatabaseError a stored value of")


def test_a_second_deletion_reads_no_columns_again(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing = schemas.Study & {"study": "nobody's"}
    assert nothing.delete(prompt=False) == 0
    read: list[str] = []
    original = Heading._init_from_database

    def counted(heading: Any) -> None:
        read.append(heading.table_info["table_name"])
        original(heading)

    monkeypatch.setattr(Heading, "_init_from_database", counted)
    assert nothing.delete(prompt=False) == 0
    assert read == []
    connection, name = schemas.schema.connection, f"`{schemas.schema.database}`.`scratch`"
    connection.query(f"CREATE TABLE {name} (a INT PRIMARY KEY)")
    try:
        assert FreeTable(connection, name).heading.names == ["a"]
        connection.query(f"ALTER TABLE {name} ADD COLUMN b INT")
        assert FreeTable(connection, name).heading.names == ["a", "b"]
    finally:
        connection.query(f"DROP TABLE {name}")


def test_columns_are_those_that_were_read_last_without_hidden_ones(database: dict[str, str]) -> None:
    connection, name = schemas.schema.connection, f"`{schemas.schema.database}`.`scratch`"
    connection.query(f"CREATE TABLE {name} (a INT PRIMARY KEY, _hidden INT)")
    try:
        heading = FreeTable(connection, name).heading
        assert list(heading.attributes) == heading.names == heading.primary_key == ["a"]
        assert heading.attributes is heading.attributes
        connection.query(f"ALTER TABLE {name} ADD COLUMN b INT")
        heading._init_from_database()
        assert heading.names == ["a", "b"]
        assert heading.select(["a"]).names == ["a"]
    finally:
        connection.query(f"DROP TABLE {name}")


def test_a_blob_that_is_cut_off_is_refused() -> None:
    with pytest.raises(DatabaseError, match="is cut off"):
        unpack(pack(np.arange(5000.0))[:-8])


def test_settings_in_folders_above_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "datajoint.json").write_text('{"database.host": "elsewhere.example", "safemode": false}')
    environment = {k: v for k, v in os.environ.items() if not k.startswith("DJ_")}
    said = run_program("settings_of_datajoint", environment=environment, folder=tmp_path).stdout.decode()
    assert "elsewhere.example" not in said
    assert said.split()[-1] == "None"


def test_settings_that_others_may_write_are_refused(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """DataJoint was imported first, and found a file."""
    file = tmp_path / "datajoint.json"
    file.write_text("{}")
    file.chmod(0o600)
    tmp_path.chmod(0o700)
    config: Any = datajoint_config
    monkeypatch.setattr(config, "_config_path", file)
    refuse_foreign_settings()
    file.chmod(0o666)
    with pytest.raises(ConfigError, match=r"may be written by others \(mode 666\)"):
        refuse_foreign_settings()
    file.chmod(0o600)
    tmp_path.chmod(0o777)
    with pytest.raises(ConfigError, match="may be written by others"):
        refuse_foreign_settings()
    tmp_path.chmod(0o700)
    monkeypatch.setattr(os, "getuid", lambda: os.stat(file).st_uid + 1)
    if os.stat(file).st_uid:
        with pytest.raises(ConfigError, match="belongs to another account"):
            refuse_foreign_settings()


def test_bytes_are_fetched_as_arrays_with_their_last_zeros(database: dict[str, str]) -> None:
    """numpy's byte strings end at the last byte that is not zero: a checkpoint that ended in zeros lost them."""
    rows = [{"place": 2, "file": b"ab\0\0"}, {"place": 1, "file": b"\0"}, {"place": 3, "file": b"longer"}]
    connection = schemas.schema.connection
    name = f"`{database['DECORTEX_DATABASE']}`.`guarded_bytes`"
    connection.query(f"CREATE TABLE {name} (place INT PRIMARY KEY, file LONGBLOB)")
    try:
        table = dj.FreeTable(connection, name)
        for row in rows:
            connection.query(f"INSERT INTO {name} VALUES (%s, %s)", args=(row["place"], row["file"]))
        in_order = [b"\0", b"ab\0\0", b"longer"]
        assert list(table.to_arrays("file", order_by="place")) == in_order
        keys, files = table.to_arrays("file", include_key=True, order_by="place DESC", limit=2)
        assert keys == [{"place": 3}, {"place": 2}]
        assert list(files) == [b"longer", b"ab\0\0"]
        places, files = table.to_arrays("place", "file", order_by="file")
        assert dict(zip(places.tolist(), files, strict=True)) == {row["place"]: row["file"] for row in rows}
        assert places.dtype.kind == "i"
        assert table.to_arrays("place", order_by="place").tolist() == [1, 2, 3]
        assert list(table.to_arrays()["file"]) == in_order  # a structured array
    finally:
        connection.query(f"DROP TABLE {name}")


def test_the_table_of_lineages_is_created_and_looked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    there = [False]

    def ensure(connection: object, database: str) -> None:
        asked.append(f"create {database}")
        there[0] = True

    def exists(connection: object, database: str) -> bool:
        asked.append(f"look {database}")
        return there[0]

    monkeypatch.setattr(lineage, "ensure_lineage_table", ensure)
    monkeypatch.setattr(lineage, "lineage_table_exists", exists)
    connection = object()
    with datajoint_guards.declared_by_one():
        assert not lineage.lineage_table_exists(connection, "a")  # not remembered: it may be made
        for _ in range(3):
            lineage.ensure_lineage_table(connection, "a")
            assert lineage.lineage_table_exists(connection, "a")
        lineage.ensure_lineage_table(connection, "b")
    assert asked == ["look a", "create a", "create b"]
    assert lineage.lineage_table_exists is exists  # as before


@pytest.mark.parametrize("line", ["a = 1 : int32 # how many", "b='x':enum('x','#')#", "c : <blob> # :odd:"])
def test_a_line_that_tables_share_is_parsed_once_and_as_before(line: str) -> None:
    """Whoever asked first may have changed the answer that it got."""
    parser = declare.attribute_parser
    with datajoint_guards.declared_by_one():
        first = declare.attribute_parser.parse_string(line, parse_all=True)
        first["default"] = "changed"
        again = declare.attribute_parser.parse_string(line, parse_all=True)
        with pytest.raises(pyparsing.ParseException):
            declare.attribute_parser.parse_string("no column", parse_all=True)
    assert again == parser.parse_string(line, parse_all=True).as_dict()
    assert declare.attribute_parser is parser


def test_who_declares_knows_what_is_declared_and_where_columns_come_from(
    database: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One question of all tables, and one of each parent; what is declared or inserted meanwhile is known."""
    connection, name = schemas.schema.connection, f"{schemas.schema.database}_declaring"
    asked: list[str] = []
    send = connection.query

    def counted(query: str, *rest: Any, **options: Any) -> Any:
        asked.append(query)
        return send(query, *rest, **options)

    connection.query(f"CREATE DATABASE `{name}`")
    try:
        with datajoint_guards.declared_by_one():
            made = dj.Schema(name, connection=connection, create_tables=True)

            @made
            class Parent(dj.Manual):
                definition = "a : int32\nb : int32"

            monkeypatch.setattr(connection, "query", counted)  # other tests patch the instance, too

            @made
            class Child(dj.Manual):
                definition = "-> Parent\nc : int32"

            @made
            class Other(dj.Manual):
                definition = "-> Parent\nd : int32"

            for table in (Parent, Child, Other):
                assert table().is_declared
        assert asked
        assert [query for query in asked if re.search(r"table_name = '(child|other)'", query)] == []
        origins = [query for query in asked if re.search(r"SELECT .*lineage FROM", query)]
        assert len(origins) <= 2, origins
        found = {row[:2]: row[2] for row in connection.query(f"SELECT * FROM `{name}`.`~lineage`").fetchall()}
        origin = {f"{letter}": f"{name}.parent.{letter}" for letter in "ab"}
        assert found == {
            **{
                (table, letter): where
                for table in ("parent", "child", "other")
                for letter, where in origin.items()
            },
            ("child", "c"): f"{name}.child.c",
            ("other", "d"): f"{name}.other.d",
        }
    finally:
        connection.query(f"DROP DATABASE `{name}`")
