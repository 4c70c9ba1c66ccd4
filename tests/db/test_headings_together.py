"""Columns of all tables are read together, and are to DataJoint what it reads of each."""

from __future__ import annotations

from typing import Any

import pytest
from datajoint.heading import Heading

import decortex_schemas as schemas
from decortex_schemas.database import computed_tables, queue_of
from decortex_schemas.database.schema import table_classes
from decortex_schemas.database.server import headings


def heading_of(connection: Any, name: str) -> Heading:
    return Heading(
        table_info={
            "conn": connection,
            "database": schemas.schema.database,
            "table_name": name,
            "context": None,
        }
    )


def content(heading: Heading) -> dict[str, Any]:
    attributes = {
        name: {**attribute._asdict(), "codec": type(attribute.codec)}
        for name, attribute in heading.attributes.items()
    }
    hidden = list(heading._attributes)
    return {
        "attributes": attributes,
        "hidden": hidden,
        "indexes": heading.indexes,
        "comment": heading.table_status["comment"],
        "lineage": heading._lineage_available,
    }


@pytest.fixture
def asked(database: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Statements that the connection sends from here on."""
    connection = schemas.schema.connection
    sent: list[str] = []
    send = connection.query  # of this very connection: another test may have left one of its own on it

    def counted(query: str, *rest: Any, **options: Any) -> Any:
        sent.append(query)
        return send(query, *rest, **options)

    monkeypatch.setattr(connection, "query", counted)
    connection.catalogue.clear()
    return sent


def test_every_table_is_what_datajoint_reads_of_it(asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    connection = schemas.schema.connection
    names = [str(table.table_name) for table in table_classes()]
    names += [queue_of(table).table_name for table in computed_tables()]
    assert len(names) > 150
    monkeypatch.setattr(headings, "ALONE", 0)
    connection.catalogue.clear()
    asked.clear()
    together = {name: content(heading_of(connection, name)) for name in names}
    assert len(asked) == 8  # four of tables, four of queues
    alone = {}
    for name in names:  # told once: what is asked again is the server's word
        alone[name] = content(heading_of(connection, name))
    assert len(asked) > 5 * len(names)
    assert {name: found for name, found in together.items() if found != alone[name]} == {}


def test_few_tables_are_read_alone_and_many_together(asked: list[str]) -> None:
    connection, names = schemas.schema.connection, [str(table.table_name) for table in table_classes()]
    for name in names[: headings.ALONE]:
        assert heading_of(connection, name).names
    assert len(asked) > 4 * headings.ALONE
    asked.clear()
    for name in names[headings.ALONE : headings.ALONE + 20]:
        assert heading_of(connection, name).names
    assert len(asked) == 4


def test_a_table_that_this_process_defines_is_read_anew(asked: list[str]) -> None:
    connection, database = schemas.schema.connection, schemas.schema.database
    for table in table_classes()[:5]:
        assert heading_of(connection, str(table.table_name)).names
    connection.query(f"CREATE TABLE `{database}`.scratch (a INT PRIMARY KEY COMMENT ':int32:a number')")
    try:
        assert heading_of(connection, "scratch").names == ["a"]
        for table in table_classes()[:5]:
            assert heading_of(connection, str(table.table_name)).names
        connection.query(f"ALTER TABLE `{database}`.scratch ADD COLUMN b INT")
        assert heading_of(connection, "scratch").names == ["a", "b"]
    finally:
        connection.query(f"DROP TABLE `{database}`.scratch")


def test_a_queue_is_known_to_be_there_or_looked_for(asked: list[str]) -> None:
    queues = [queue_of(table) for table in computed_tables()[:6]]
    asked.clear()
    schemas.schema.connection.catalogue.clear()
    for queue in queues:
        assert queue.is_declared
    assert len(asked) == headings.ALONE + 4
    name, queues[0]._table_name = queues[0].table_name, "~~no_such_queue"
    try:
        assert not queues[0].is_declared  # for another process may have declared it meanwhile
    finally:
        queues[0]._table_name = name


def test_a_database_without_lineage_has_none(database: dict[str, str]) -> None:
    """Where DataJoint keeps no lineage, joins are by name."""
    connection, name = schemas.schema.connection, f"{schemas.schema.database}_bare"
    connection.query(f"CREATE DATABASE `{name}`")
    try:
        for letter in "abcd":
            connection.query(f"CREATE TABLE `{name}`.`{letter}` (k INT PRIMARY KEY, v INT, INDEX (v))")
        for letter in "abcd":
            info = {"conn": connection, "database": name, "table_name": letter, "context": None}
            heading = Heading(table_info=info)
            assert heading.names == ["k", "v"]
            assert not heading._lineage_available
            assert heading.indexes == {("v",): {"unique": False, "nullable": False}}
    finally:
        connection.query(f"DROP DATABASE `{name}`")
