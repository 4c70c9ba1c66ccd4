"""When connections are encrypted: always to another machine, unless it is switched off by name."""

from __future__ import annotations

import logging
import ssl
from typing import Any

import pymysql
import pytest

from decortex.errors import DatabaseError
from decortex_schemas.database import Settings, check_server
from decortex_schemas.database.server import connection, datajoint_guards, tls
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


@pytest.mark.parametrize("options", [{}, REQUIRED, {"ca": None, **REQUIRED}])
def test_authorities_are_read_only_where_a_certificate_is_looked_at(
    options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A connection that takes any certificate has a context like the driver's, which is made once."""
    datajoint_guards.install()
    link = pymysql.Connection(host="127.0.0.1", defer_connect=True, ssl=options or None)
    assert link.ctx is pymysql.Connection(host="127.0.0.1", defer_connect=True, ssl=dict(options)).ctx
    theirs = tls._driver_context(link, options)
    for name in ("verify_mode", "check_hostname", "options", "protocol", "minimum_version"):
        assert getattr(link.ctx, name) == getattr(theirs, name), name
    assert link.ctx.get_ciphers() == theirs.get_ciphers()
    assert link.ctx.cert_store_stats()["x509_ca"] == 0

    def asked(*where: Any, **rest: Any) -> Any:
        raise LookupError(where or rest)

    monkeypatch.setattr(ssl, "create_default_context", asked)
    for seeing in ({"ca": "/somewhere"}, {"verify_mode": "required"}, {**REQUIRED, "check_hostname": True}):
        with pytest.raises(LookupError):
            pymysql.Connection(host="127.0.0.1", defer_connect=True, ssl=seeing)
