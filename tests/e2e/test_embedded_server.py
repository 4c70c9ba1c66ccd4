"""The private MySQL, for real: its whole life, and everything that kills, fills, takes or removes what it needs.

The server program is the machine's own, or is fetched once into the user's cache; the homes are temporary.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pymysql
import pytest
from programs import program

from decortex.errors import DatabaseError
from decortex_ops.server import (
    MARKER,
    Credentials,
    EmbeddedServer,
    client,
    instance,
    process,
    resolve_credentials,
    settings,
)

T = TypeVar("T")


@pytest.fixture(autouse=True)
def nothing_configured(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS", "DECORTEX_HOME"):
        monkeypatch.delenv(name, raising=False)


@contextmanager
def life_of(home: Path) -> Iterator[EmbeddedServer]:
    """Make a server that is stopped in the end, and its 130 MB removed."""
    server = EmbeddedServer(home)
    try:
        yield server
    finally:
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def pattern(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A stopped server's home with one committed row, to be copied: initialising takes seconds."""
    with life_of(tmp_path_factory.mktemp("pattern") / "mysql") as server:
        rows(server.start(), "CREATE DATABASE lab", "CREATE TABLE lab.kept (word VARCHAR(20) PRIMARY KEY)")
        rows(server.start(), "INSERT INTO lab.kept VALUES ('kmeans')")
        server.stop()
        yield server.home


@pytest.fixture
def new() -> Iterator[Callable[[Path], EmbeddedServer]]:
    """Make servers that are gone when the test ends."""
    with ExitStack() as lives:
        yield lambda home: lives.enter_context(life_of(home))


@pytest.fixture
def server(tmp_path: Path, pattern: Path, new: Callable[[Path], EmbeddedServer]) -> EmbeddedServer:
    """An initialised server that does not run."""
    shutil.copytree(pattern, tmp_path / "mysql")
    return new(tmp_path / "mysql")


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory, pattern: Path) -> Iterator[EmbeddedServer]:
    """A running server for what only looks at it."""
    home = tmp_path_factory.mktemp("running") / "mysql"
    shutil.copytree(pattern, home)
    with life_of(home) as server:
        server.start()
        yield server


def connected(found: Credentials) -> pymysql.connections.Connection:
    return pymysql.connect(
        host=found.host, port=found.port, user=found.user, password=found.password, autocommit=True
    )


def rows(found: Credentials, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as a client of the server, by TCP, and return the last one's rows."""
    with connected(found) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)
        return list(cursor.fetchall())


def kept(found: Credentials) -> list[tuple[object, ...]]:
    return rows(found, "SELECT word FROM lab.kept ORDER BY word")


def pid_of(server: EmbeddedServer) -> int:
    pid = server.status().pid
    assert pid is not None
    return pid


def kill(server: EmbeddedServer) -> None:
    pid = pid_of(server)
    os.kill(pid, signal.SIGKILL)
    assert process.wait_until_gone(server.status().data, hint=pid, seconds=120)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, "it never came true"
        time.sleep(0.01)


def command(home: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        program("start_a_server", home), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_start_stop_and_status_may_be_repeated(server):
    assert server.status().state == "stopped"
    first = server.start()
    running = server.status()
    assert (running.state, running.port, running.host) == ("running", first.port, "127.0.0.1")
    assert server.start() == first
    assert pid_of(server) == running.pid
    server.stop()
    server.stop()
    stopped = server.status()
    assert (stopped.state, stopped.pid, stopped.port) == ("stopped", None, first.port)
    assert process.server_process(stopped.data) is None
    assert server.start() == first, "port and password are kept from one start to the next"
    assert kept(first) == [("kmeans",)]


def test_names_that_differ_in_case_are_two_keys_and_every_character_is_kept(running):
    found = running.start()
    rows(
        found,
        "CREATE TABLE lab.words LIKE lab.kept",
        "INSERT INTO lab.words VALUES ('KMEANS'), ('kmeans'), ('🧠')",
    )
    assert {word for (word,) in rows(found, "SELECT word FROM lab.words")} == {"kmeans", "KMEANS", "🧠"}


def test_the_server_is_private(running):
    found = running.start()
    names = ("bind_address", "skip_name_resolve", "secure_file_priv", "local_infile", "collation_server")
    settings = rows(found, f"SELECT {', '.join(f'@@{name}' for name in names)}")[0]
    assert settings == ("127.0.0.1", 1, "NULL", 0, "utf8mb4_bin")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        rows(Credentials(found.host, found.port, found.user, "wrong"), "SELECT 1")
    with pytest.raises(pymysql.err.OperationalError, match="Access denied"):
        rows(Credentials(found.host, found.port, "root", found.password), "SELECT 1")
    for name in ("password", "server.json", "server.log"):
        assert (running.home / name).stat().st_mode & 0o777 == 0o600
    assert running.home.stat().st_mode & 0o777 == 0o700


def test_the_password_is_on_no_command_line_and_in_no_log(running):
    password = running.start().password
    shown = Path(f"/proc/{pid_of(running)}/cmdline").read_text() + running.status().log.read_text()
    assert "mysqld" in shown
    assert password not in shown
    assert password not in (running.home / "server.json").read_text()
    assert password not in repr(running.start())
    assert not (running.home / "accounts.sql").exists()


def test_commands_at_once_after_one_was_killed_end_with_one_server_that_outlives_them(tmp_path, new):
    home = tmp_path / "mysql"
    server = new(home)
    killed = command(home)
    wait_for(lambda: list(home.glob("initialising-*/data/ibdata1")))
    killed.kill()
    killed.communicate()
    (orphan,) = home.glob("initialising-*")
    assert (orphan / MARKER).is_file()
    assert server.status().state == "not_initialised"
    commands = [command(home) for _ in range(3)]
    answers = [started.communicate(timeout=120) for started in commands]
    assert [started.returncode for started in commands] == [0, 0, 0], answers
    assert {answer[0] for answer in answers} == {f"{server.start().port}\n"}
    servers = [
        path for path in Path("/proc").glob("[0-9]*/cmdline") if _names(path, f"--datadir={home}/data")
    ]
    assert len(servers) == 1
    assert not list(home.glob("initialising-*"))


def _names(cmdline: Path, argument: str) -> bool:
    try:
        return argument.encode() in cmdline.read_bytes().split(b"\0")
    except OSError:
        return False


def test_a_killed_server_comes_back_with_its_data(server):
    rows(server.start(), "INSERT INTO lab.kept VALUES ('gmm')")
    kill(server)
    assert server.status().state == "stopped"
    assert (server.home / "mysql.sock").exists(), "the kill has left a stale socket"
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as alien:
        # Its pid was given to another process meanwhile.
        record = json.loads((server.home / "server.json").read_text())
        (server.home / "server.json").write_text(json.dumps({**record, "pid": alien.pid}))
        (server.home / "mysqld.pid").write_text(f"{alien.pid}\n")
        server.stop()
        assert kept(server.start()) == [("gmm",), ("kmeans",)]
        assert pid_of(server) != alien.pid
        server.stop()
        assert alien.poll() is None, "a process that is not our server was ended"
        alien.communicate(b"\n")


def test_a_command_killed_while_the_server_comes_up_hands_it_to_the_next(server):
    starting = command(server.home)
    wait_for(lambda: process.server_process(server.status().data) is not None)
    starting.kill()
    starting.communicate()
    coming = process.server_process(server.status().data)
    assert kept(server.start()) == [("kmeans",)]
    assert pid_of(server) == coming


def test_a_port_taken_meanwhile_is_replaced(server):
    before = server.start()
    server.stop()
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind((before.host, before.port))
        taken.listen(1)
        after = server.start()
        assert after.port != before.port
        assert kept(after) == [("kmeans",)]


def test_a_port_taken_at_the_last_moment_is_replaced(server, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        offered = iter([taken.getsockname()[1], process.free_port()])
        (server.home / "server.json").unlink()
        monkeypatch.setattr(process, "free_port", lambda: next(offered))
        assert kept(server.start()) == [("kmeans",)]


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 320 MB."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=320m", "tmpfs", str(folder)], capture_output=True, check=False
    ) if shutil.which("mount") else None  # fmt: skip
    if mounted is None or mounted.returncode != 0:
        pytest.skip("mounting a small disk needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(disk: Path) -> Path:
    with (disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(b"0" * 2**16)
    return disk / "filler"


def test_a_full_disk_is_named_and_nothing_is_lost(small_disk, pattern, new):
    shutil.copytree(pattern, small_disk / "mysql")
    server = new(small_disk / "mysql")
    filler = _fill(small_disk)
    with pytest.raises(DatabaseError, match=r"(No space left on device|the disk is full).*DECORTEX_HOME"):
        server.start()
    filler.unlink()
    found = server.start()
    _fill(small_disk)
    with pytest.raises(pymysql.err.OperationalError, match="is full"):
        rows(
            found,
            "CREATE TABLE lab.big (bytes LONGBLOB)",
            *["INSERT INTO lab.big VALUES (REPEAT('x', 4e6))"] * 9,
        )
    server.stop()
    filler.unlink()
    assert kept(server.start()) == [("kmeans",)]


def test_a_new_server_on_a_full_disk_leaves_no_data_folder(small_disk, new):
    server = new(small_disk / "mysql")
    with pytest.raises(
        DatabaseError, match=r"No space left on device: .* MB free, the embedded MySQL needs 400 MB"
    ):
        server.start()
    assert server.status().state == "not_initialised"


def test_a_lost_password_is_set_anew_and_the_data_are_kept(server):
    before = server.start()
    (server.home / "password").unlink()
    with pytest.raises(DatabaseError, match=r"refuses the password .*`decortex db stop`.*the data are kept"):
        server.start()
    assert server.status().state == "running"
    server.stop()
    after = server.start()
    assert after.password != before.password
    assert kept(after) == [("kmeans",)]


def test_a_removed_socket_is_named_and_a_stop_and_start_bring_it_back(server, monkeypatch):
    monkeypatch.setattr(instance, "_SOCKET_S", 0.1)
    found = server.start()
    (server.home / "mysql.sock").unlink()
    with pytest.raises(DatabaseError, match=r"its socket .*mysql\.sock was removed"):
        server.start()
    assert kept(found) == [("kmeans",)], "who is connected is not disturbed"
    server.stop()
    assert kept(server.start()) == [("kmeans",)]


def once_free(act: Callable[[], T]) -> T:
    """Do what needs a connection once there is one: the server frees a client's after the client has gone."""
    done: list[T] = []

    def did() -> bool:
        with suppress(pymysql.err.OperationalError, client.RefusalError):
            done.append(act())
        return bool(done)

    wait_for(did)
    return done[0]


def test_a_server_without_a_connection_left_says_so(server, monkeypatch):
    monkeypatch.setattr(settings, "MAX_CONNECTIONS", 1)
    found = server.start()
    with ExitStack() as held:
        for _ in range(2):  # one more than allowed: the owner's last resort
            held.enter_context(once_free(lambda: connected(found)))
        with pytest.raises(DatabaseError, match=r"all of its connections are in use.*DJ_HOST"):
            server.start()
        assert server.status().state == "running"
    assert once_free(server.start) == found


def test_a_data_folder_removed_under_a_running_server_is_made_anew(server):
    server.start()
    before = pid_of(server)
    data = server.status().data
    while data.exists():  # the running server makes files meanwhile
        shutil.rmtree(data, ignore_errors=True)
    found = server.start()
    assert pid_of(server) != before
    assert before not in [process.server_process(server.status().data, hint=before)]
    assert ("lab",) not in rows(found, "SHOW DATABASES")


def test_a_home_too_deep_for_a_socket_works(tmp_path, pattern, new):
    home = tmp_path / ("deep " * 20) / ("größer" * 10) / "mysql"
    shutil.copytree(pattern, home)
    server = new(home)
    assert kept(server.start()) == [("kmeans",)]
    server.stop()
    assert server.status().state == "stopped"


def test_with_a_host_configured_the_private_server_is_never_touched(tmp_path):
    environ = {
        "DJ_HOST": "db.example",
        "DJ_USER": "ada",
        "DJ_PASS": "x",
        "DECORTEX_HOME": str(tmp_path / "home"),
    }
    assert resolve_credentials(environ).host == "db.example"
    assert not (tmp_path / "home").exists()
