"""Which database is meant: the configured one, or the private one where none is configured."""

from __future__ import annotations

import pytest

from decortex.errors import DatabaseError
from decortex_ops.server import Credentials, EmbeddedServer, credentials_from_environment, resolve_credentials

LAB = {"DJ_HOST": "db.example", "DJ_USER": "ada", "DJ_PASS": "geheim"}


@pytest.fixture(autouse=True)
def untouchable(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Record which private servers are started, and start none."""
    started: list[str] = []

    def start(server: EmbeddedServer) -> Credentials:
        started.append(str(server.home))
        return Credentials("127.0.0.1", 4000, "decortex", "own")

    monkeypatch.setattr(EmbeddedServer, "start", start)
    return started


def test_a_configured_server_is_used_and_the_private_one_is_not_touched(tmp_path, untouchable):
    found = resolve_credentials({**LAB, "DECORTEX_HOME": str(tmp_path / "home")})
    assert found == Credentials(host="db.example", port=3306, user="ada", password="geheim")
    assert not untouchable
    assert not (tmp_path / "home").exists()


@pytest.mark.parametrize("configured", [{}, {"DJ_HOST": ""}, {"DJ_HOST": "  "}, {"DJ_USER": "ada"}])
def test_without_a_host_the_private_server_of_the_named_home_is_started(tmp_path, untouchable, configured):
    found = resolve_credentials({**configured, "DECORTEX_HOME": str(tmp_path)})
    assert found.user == "decortex"
    assert untouchable == [str(tmp_path / "mysql")]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"DJ_PORT": "3307"}, ("db.example", 3307)),
        ({"DJ_HOST": "db.example:3308"}, ("db.example", 3308)),
        ({"DJ_HOST": "::1"}, ("::1", 3306)),
    ],
)
def test_the_port_may_stand_alone_or_behind_the_host(given, expected):
    found = credentials_from_environment({**LAB, **given})
    assert found is not None
    assert (found.host, found.port) == expected


@pytest.mark.parametrize("port", ["0", "65536", "mysql", "-1", "33 06"])
def test_a_port_that_is_none_is_refused(port):
    with pytest.raises(DatabaseError, match=r"DJ_PORT must be a port number from 1 to 65535, got"):
        credentials_from_environment({**LAB, "DJ_PORT": port})


def test_the_password_may_come_from_a_file(tmp_path):
    (tmp_path / "secret").write_text(" gehe im \n")
    environ = {"DJ_HOST": "db", "DJ_USER": "ada", "DJ_PASS_FILE": str(tmp_path / "secret")}
    found = credentials_from_environment(environ)
    assert found is not None
    assert found.password == " gehe im "


def test_an_empty_password_is_a_password():
    found = credentials_from_environment({**LAB, "DJ_PASS": ""})
    assert found is not None
    assert found.password == ""


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"DJ_HOST": "db"}, r"DJ_HOST is set to 'db', but DJ_USER is not; set DJ_USER and DJ_PASS"),
        ({"DJ_HOST": "db", "DJ_USER": "ada"}, r"no password: set DJ_PASS, or DJ_PASS_FILE"),
        (
            {"DJ_HOST": "db", "DJ_USER": "ada", "DJ_PASS_FILE": "/nowhere/secret"},
            r"DJ_PASS_FILE cannot be read: .*/nowhere/secret.*or set DJ_PASS",
        ),
    ],
)
def test_half_a_configuration_is_refused(environ, expected):
    with pytest.raises(DatabaseError, match=expected):
        resolve_credentials(environ)


def test_the_password_is_not_shown():
    assert "geheim" not in repr(credentials_from_environment(LAB))
