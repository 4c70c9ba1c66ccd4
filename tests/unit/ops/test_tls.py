"""When connections are encrypted: always to another machine, unless it is switched off by name."""

from __future__ import annotations

import logging
from typing import Any

import pymysql
import pytest

from decortex.errors import DatabaseError
from decortex_schemas.database import Settings, check_server
from decortex_schemas.database.server import connection
from decortex_schemas.database.server.tls import driver_arguments, read_tls

REQUIRED = {"verify_mode": "none", "check_hostname": False}


@pytest.mark.parametrize(
    "host", ["db.lab", "mysql", "192.168.1.7", "10.0.0.1", "2001:db8::1", "localhost.evil"]
)
def test_to_another_machine_it_is_required(host: str) -> None:
    assert read_tls(host, {}) == REQUIRED
    assert driver_arguments(read_tls(host, {})) == {"ssl": REQUIRED}
    assert read_tls(host, {"DJ_USE_TLS": "false"}) is False


@pytest.mark.parametrize(
    "host", ["", "localhost", "127.0.0.1", "127.0.1.1", "::1", "[::1]", "/run/mysql.sock"]
)
def test_on_this_machine_it_is_taken_where_offered(host: str) -> None:
    assert read_tls(host, {}) is None
    assert read_tls(host, {"DJ_USE_TLS": "true"}) == REQUIRED


def test_a_server_without_it_is_refused_by_name_of_the_switch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    def plain_server(**options: Any) -> None:
        assert options["ssl"] == REQUIRED
        raise pymysql.OperationalError(
            2026, "SSL connection error: SSL is required but the server doesn't support it"
        )

    monkeypatch.setattr(pymysql, "connect", plain_server)
    settings = Settings("db.lab", 3306, "ada", "secret", "decortex", tmp_path, read_tls("db.lab", {}))
    with pytest.raises(DatabaseError, match=r"no encrypted connection to db\.lab:3306 .*DJ_USE_TLS=false"):
        check_server(settings)


@pytest.mark.parametrize("tls", [None, False, REQUIRED])
def test_nothing_falls_back(
    tls: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[Any] = []

    def full_server(**options: Any) -> None:
        tried.append(options)
        raise pymysql.OperationalError(1040, "Too many connections")

    monkeypatch.setattr(pymysql, "connect", full_server)
    with caplog.at_level(logging.DEBUG), pytest.raises(Exception, match="Too many connections"):
        connection.open_lab_connection("127.0.0.1", 3306, "ada", "secret", tls)
    assert len(tried) == 1
    assert "Falling back" not in caplog.text
