"""A server that answers and refuses is told in its own words, and with what to do; against a real server."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pymysql
import pytest

from decortex.errors import DatabaseError
from decortex_ops.admin import folder_store
from decortex_ops.cli import main
from decortex_ops.workers import trouble_of
from decortex_schemas.database import (
    Settings,
    check_server,
    connection_refusal,
    read_settings,
    server_disk_is_full,
    server_refusal,
    write_object,
)

ACCOUNTS = {
    "locked": ("ACCOUNT LOCK", r"Account is locked \(error 3118\)\. The account is locked.*ACCOUNT UNLOCK"),
    "expired": (
        "PASSWORD EXPIRE",
        r"Your password has expired.*\(error 1862\)\. The password has expired.*DJ_PASS",
    ),
    "one": (
        "WITH MAX_USER_CONNECTIONS 1",
        r"'max_user_connections' resource.*\(error 1226\).*limit of its account",
    ),
}


@pytest.fixture
def accounts(database: dict[str, str]) -> Iterator[Settings]:
    """Users of this test alone, who cannot do anything."""
    settings = read_settings()
    with pymysql.connect(**settings.driver(), autocommit=True) as link, link.cursor() as cursor:
        for name, (option, _) in ACCOUNTS.items():
            cursor.execute(f"CREATE USER IF NOT EXISTS 'refused_{name}'@'%' IDENTIFIED BY 'pw' {option}")
        yield settings
        for name in ACCOUNTS:
            cursor.execute(f"DROP USER IF EXISTS 'refused_{name}'@'%'")


@pytest.mark.parametrize("name", ACCOUNTS)
def test_an_account_that_is_refused_hears_why(accounts: Settings, name: str) -> None:
    user = replace(accounts, user=f"refused_{name}", password="pw")
    held = pymysql.connect(**user.driver()) if name == "one" else None
    try:
        with pytest.raises(DatabaseError, match=ACCOUNTS[name][1]) as caught:
            check_server(user)
    finally:
        if held is not None:
            held.close()
    assert "answers and refuses user" in str(caught.value)
    assert "no MySQL server answers" not in str(caught.value)


def test_a_row_that_another_session_holds_is_said_so(
    lab: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = read_settings()
    with (
        pymysql.connect(**settings.driver(), database=settings.database) as holder,
        pymysql.connect(**settings.driver(), database=settings.database) as other,
    ):
        with holder.cursor() as cursor:
            cursor.execute("SELECT * FROM study FOR UPDATE")

        def waits_in_vain() -> None:
            with other.cursor() as cursor:
                cursor.execute("SET SESSION innodb_lock_wait_timeout = 1")
                cursor.execute("SELECT * FROM study FOR UPDATE")

        monkeypatch.setattr("decortex_ops.cli.narrowed", lambda *_: waits_in_vain)
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 1
        holder.rollback()
        other.rollback()
    said = capsys.readouterr().err
    assert "the server refused: Lock wait timeout exceeded" in said
    assert "(error 1205). Another session holds a row that this needs: try again" in said


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ((1040, "Too many connections"), r"Too many connections \(error 1040\)\. It has no connection left"),
        ((1203, "User me already has more than 'max_user_connections'"), "This user has no connection left"),
        ((1045, "Access denied for user 'me'@'x' (using password: YES)"), "refused user 'me': check DJ_USER"),
        ((3955, "Access denied. Account is blocked"), "blocked after failed logins"),
        (
            (3159, "Connections using insecure transport are prohibited"),
            "unset DJ_USE_TLS, or set it to true",
        ),
        (
            (1234, "Something that nobody foresaw"),
            r"nobody foresaw \(error 1234\)\. Ask the server's administrator",
        ),
    ],
)
def test_every_answer_of_a_server_is_told_in_its_words(error: tuple[int, str], message: str) -> None:
    told = connection_refusal(pymysql.OperationalError(*error), "there:3306", "me")
    assert told is not None
    assert re.search(message, told)
    assert error[1].split("(")[0].strip() in told


@pytest.mark.parametrize(
    "args", [(2003, "Can't connect to MySQL server"), (2013, "Lost connection"), (0, ""), ()]
)
def test_silence_is_no_refusal(args: tuple[Any, ...]) -> None:
    error = pymysql.OperationalError(*args)
    assert connection_refusal(error, "there", "me") is None
    assert server_refusal(error) is None


def test_a_full_disk_of_the_server_is_told_as_that(
    accounts: Settings, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """By the error of a table that takes no more, which the server raises for a full disk too."""

    def fill() -> None:
        with (
            pymysql.connect(**accounts.driver(), database=accounts.database, autocommit=True) as link,
            link.cursor() as cursor,
        ):
            cursor.execute("SET SESSION max_heap_table_size = 16384")
            cursor.execute("CREATE TEMPORARY TABLE filled (a CHAR(255)) ENGINE=MEMORY")
            for _ in range(1000):
                cursor.execute("INSERT INTO filled VALUES (REPEAT('x', 255))")

    monkeypatch.setattr("decortex_ops.cli.narrowed", lambda *_: fill)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 1
    said = capsys.readouterr().err
    assert said.startswith("the disk of the server is full: The table 'filled' is full (error 1114). ")
    assert "decortex study remove" in said
    assert said.count("\n") == 1


@pytest.mark.parametrize(
    ("error", "full"),
    [
        ((1021, "Disk full (/tmp/x); waiting"), True),
        ((1026, "Error writing file '/tmp/x' (OS errno 28 - No space left on device)"), True),
        ((1030, "Got error 28 - 'No space left on device' from storage engine"), True),
        ((1030, "Got error 168 from storage engine"), False),
        ((1026, "Error writing file '/tmp/x' (OS errno 5 - Input/output error)"), False),
    ],
)
def test_only_a_full_disk_is_told_as_full(error: tuple[int, str], full: bool) -> None:
    raised = pymysql.OperationalError(*error)
    assert server_disk_is_full(raised) is full
    assert str(server_refusal(raised)).startswith("the disk of the server is full") is full
    assert (trouble_of(raised) == "server full") is full


def test_a_full_disk_here_is_told_as_that(
    database: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")

    def write() -> None:
        with open("/dev/full", "w") as file:
            file.write("x")

    def write_to_the_store() -> None:
        store = folder_store(tmp_path)
        monkeypatch.setattr("decortex_schemas.database.codecs.os.fsync", lambda handle: write())
        write_object(store, "_schema/x/y/z.bin", b"x")

    for command, told in (
        (write, "error: the disk of the output is full ([Errno 28] No space left on device): make room"),
        (write_to_the_store, f"error: the disk of the store {tmp_path} is full ([Errno 28]"),
    ):
        monkeypatch.setattr("decortex_ops.cli.narrowed", lambda *_, run=command: run)
        with pytest.raises(SystemExit) as caught:
            main()
        assert caught.value.code == 1
        said = capsys.readouterr().err
        assert said.startswith(told)
        assert said.count("\n") == 1
