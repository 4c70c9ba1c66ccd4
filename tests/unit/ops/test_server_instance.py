"""The private server's folder, processes and messages, with a mysqld that only pretends."""

from __future__ import annotations

import os
import signal
import socket
import stat
import subprocess
import time
from pathlib import Path

import pytest
import server_fakes as fakes
from programs import program

from decortex.errors import DatabaseError
from decortex_ops.server import (
    LONGEST_SOCKET,
    EmbeddedServer,
    ServerHome,
    ServerRecord,
    accounts_sql,
    default_home,
    diagnosis,
    initialise,
    instance,
    private_folder,
    process,
    server_options,
)

RECORD = ServerRecord(port=4000, pid=1, host_name="here", version="8.4.3", binary="/usr/sbin/mysqld")


@pytest.fixture
def home(tmp_path: Path) -> ServerHome:
    found = ServerHome(tmp_path / "mysql")
    found.prepare()
    return found


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Set DECORTEX_MYSQLD to a program that runs the given shell code."""

    def set_program(**code: str) -> None:
        monkeypatch.setenv("DECORTEX_MYSQLD", str(fakes.mysqld(tmp_path / "fake/mysqld", **code)))

    return set_program


def _mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


# --- the folder


def test_folder_and_password_are_their_owners_alone(home):
    password = home.password()
    assert (_mode(home.folder), _mode(home.password_file)) == (0o700, 0o600)
    assert home.password() == password == home.known_password()
    assert len(password) == 48


@pytest.mark.parametrize("content", [b"", b"'; DROP USER root; --", b"\xff\xfe"])
def test_a_password_file_that_is_not_ours_is_replaced(home, content):
    home.password_file.write_bytes(content)
    assert home.known_password() is None
    assert home.password() == home.known_password()


def test_a_record_is_read_back_and_a_damaged_one_is_none(home):
    assert home.record() is None
    home.write_record(RECORD)
    assert home.record() == RECORD
    for damage in ("", "{", "[]", '{"port": 1}'):
        home.record_file.write_text(damage)
        assert home.record() is None


def test_the_socket_fits_into_its_address_however_deep_the_home_lies(tmp_path):
    near, deep = ServerHome(Path("/h")), ServerHome(tmp_path / ("d" * 90) / ("e" * 90))
    assert near.socket == Path("/h/mysql.sock")
    assert len(os.fsencode(deep.socket)) <= LONGEST_SOCKET
    assert deep.socket != ServerHome(deep.folder / "other").socket
    deep.prepare()
    try:
        assert _mode(deep.socket.parent) == 0o700
    finally:
        deep.socket.parent.rmdir()


def test_a_socket_folder_that_others_can_enter_is_refused(tmp_path):
    open_to_all = tmp_path / "open"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    (tmp_path / "link").symlink_to(tmp_path)
    for folder in (open_to_all, tmp_path / "link"):
        with pytest.raises(DatabaseError, match=r"is not a folder of yours alone; remove it"):
            private_folder(folder)


def test_the_home_comes_from_the_environment(tmp_path, monkeypatch):
    assert default_home({"DECORTEX_HOME": str(tmp_path)}) == tmp_path / "mysql"
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert default_home({}).is_relative_to(Path.home()) or default_home({}).is_relative_to(tmp_path)


def test_a_home_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(DatabaseError, match=r"cannot be prepared: .*Set DECORTEX_HOME"):
        EmbeddedServer(tmp_path / "file" / "mysql").start()


def test_nothing_is_made_by_asking_or_stopping(tmp_path):
    server = EmbeddedServer(tmp_path / "mysql")
    assert server.status().state == "not_initialised"
    server.stop()
    assert not (tmp_path / "mysql").exists()


def test_two_spellings_of_a_folder_are_one_home(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path)
    assert EmbeddedServer(tmp_path / "link" / "mysql").home == EmbeddedServer(tmp_path / "mysql").home


# --- settings


def test_the_server_is_private_and_case_sensitive():
    options = server_options(
        data=Path("/h/data"), socket=Path("/h/s"), pid_file=Path("/h/p"), temporary=Path("/h/t"), port=4000
    )
    assert {
        "--datadir=/h/data", "--socket=/h/s", "--port=4000", "--bind-address=127.0.0.1", "--skip-name-resolve",
        "--secure-file-priv=NULL", "--mysqlx=OFF", "--character-set-server=utf8mb4",
        "--collation-server=utf8mb4_bin", "--innodb-flush-log-at-trx-commit=1",
    } <= set(options)  # fmt: skip


def test_account_statements_stand_on_lines_of_their_own():
    lines = accounts_sql("decortex", "abc").splitlines()
    assert all(line.endswith(";") for line in lines)
    assert lines[0] == "ALTER USER 'root'@'localhost' IDENTIFIED BY 'abc';"


# --- processes


@pytest.fixture
def sleeper(tmp_path: Path):
    """A process whose command line names a data folder as a server's does, and one that names none."""
    script = fakes.program(tmp_path / "sleeper", "exec 3>&1; sleep 60 & wait")
    ours = subprocess.Popen([script, f"--datadir={tmp_path}/data"], start_new_session=True)
    alien = subprocess.Popen(["sleep", "60"])
    # The system shows a command line a moment after the process has begun.
    deadline = time.monotonic() + 20
    while str(tmp_path) not in Path(f"/proc/{ours.pid}/cmdline").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)
    yield ours, alien
    os.killpg(ours.pid, signal.SIGKILL)
    alien.kill()
    ours.wait()
    alien.wait()


def test_a_server_is_known_by_its_data_folder_not_by_its_pid(tmp_path, sleeper):
    ours, alien = sleeper
    data = tmp_path / "data"
    assert process.server_process(data, hint=ours.pid) == ours.pid
    assert process.server_process(data, hint=alien.pid) == ours.pid
    assert process.server_process(data) == ours.pid
    assert process.server_process(tmp_path / "dat", hint=alien.pid) is None
    assert process.server_process(tmp_path / "data2", hint=ours.pid) is None


def test_a_zombie_is_gone(tmp_path):
    child = subprocess.Popen(["true", f"--datadir={tmp_path}"])
    try:
        assert process.wait_until_gone(tmp_path, hint=child.pid, seconds=20)
        assert Path(f"/proc/{child.pid}").exists(), "not waited for yet"
    finally:
        child.wait()


def test_a_started_process_is_nobodys_child_and_writes_to_the_log(tmp_path):
    log = tmp_path / "log"
    script = fakes.program(tmp_path / "program", "echo said; echo failed >&2; exec sleep 60")
    pid = process.start_detached([str(script)], log=log, environment=dict(os.environ), folder=tmp_path)
    try:
        with pytest.raises(ChildProcessError):
            os.waitpid(pid, os.WNOHANG)
        assert os.getsid(pid) != os.getsid(0)
        deadline = time.monotonic() + 20
        while log.read_text() != "said\nfailed\n" and time.monotonic() < deadline:
            time.sleep(0.01)
        assert log.read_text() == "said\nfailed\n"
        assert _mode(log) == 0o600
    finally:
        os.kill(pid, signal.SIGKILL)


def test_a_port_in_use_is_not_free():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen(1)
        assert not process.port_is_free(taken.getsockname()[1])
    assert process.port_is_free(process.free_port())


# --- what goes wrong


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("[ERROR] [MY-012640] [InnoDB] Error number 28 means 'No space left on device'", "the disk is full"),
        ("mysqld: Disk quota exceeded", "the disk is full"),
        ("[ERROR] Can't start server: Bind on TCP/IP port: Address already in use", "TCP port was taken"),
        ("[ERROR] [InnoDB] Unable to lock ./ibdata1 error: 11", "another server uses the same data folder"),
        ("[ERROR] Invalid MySQL server downgrade: Cannot downgrade from 90704 to 80046", "MySQL version"),
        ("mysqld: Can't change dir to '/x/' (OS errno 13 - Permission denied)", "AppArmor"),
        ("[ERROR] [InnoDB] Cannot allocate memory for the buffer pool", "too little free memory"),
        ("[ERROR] [InnoDB] Database page corruption on disk", "its data folder is damaged"),
        ("mysqld: error while loading shared libraries: libaio.so.1", "lacks a library"),
        ("[ERROR] something else", "did not start. Its log says"),
    ],
)
def test_the_log_is_explained(tmp_path, line, expected):
    log = tmp_path / "server.log"
    log.write_text(f"an older attempt: No space left on device\n{line}\n")
    start = log.read_bytes().index(b"\n") + 1
    message = diagnosis.explain(log, start=start, doing="start", secret="")
    assert expected in message
    assert line in message
    assert "older attempt" not in message


def test_errors_are_shown_rather_than_notes_and_never_the_password(tmp_path):
    log = tmp_path / "server.log"
    log.write_text("[ERROR] near 'geheim'\n" + "[Note] idle\n" * 100 + "[ERROR] " + "x" * 5000 + "\n")
    message = diagnosis.explain(log, start=0, doing="start", secret="geheim")
    assert "near '***'" in message
    assert "idle" not in message
    assert len(message) < 1000


def test_a_full_disk_is_named_even_where_the_log_stayed_empty(tmp_path, monkeypatch):
    monkeypatch.setattr(diagnosis, "_FULL_BYTES", 2**60)
    assert "the disk is full" in diagnosis.explain(tmp_path / "log", start=0, doing="start", secret="")


FULL = "echo 'mysqld: Error writing file (OS errno 28 - No space left on device)' >&2; exit 1"


def test_a_server_that_ended_says_why_and_how_it_comes_back(home):
    server = EmbeddedServer(home.folder)
    assert server.why_down() == ""  # it never ran
    home.data.mkdir()
    home.log.write_text("2026 [ERROR] [InnoDB] Error number 28 means 'No space left on device'\n")
    said = server.why_down()
    assert said.startswith("The embedded MySQL did not stay up: the disk is full")
    assert "No space left on device" in said
    assert "`decortex db start` starts it again" in said


def test_an_initialisation_on_a_full_disk_leaves_no_data_folder(tmp_path, pretended):
    pretended(initialise=f'touch "$data/ibdata1"; {FULL}')
    server = EmbeddedServer(tmp_path / "mysql")
    with pytest.raises(DatabaseError, match=r"did not initialise: the disk is full; .*DECORTEX_HOME"):
        server.start()
    assert server.status().state == "not_initialised"
    assert not list((tmp_path / "mysql").glob("initialising-*"))


def test_too_little_room_is_named_before_anything_is_written(tmp_path, pretended, monkeypatch):
    pretended()
    monkeypatch.setattr(initialise, "_NEEDED_BYTES", 2**60)
    with pytest.raises(DatabaseError, match=r"No space left on device: .* MB free, the embedded MySQL needs"):
        EmbeddedServer(tmp_path / "mysql").start()


def test_a_server_that_ends_at_once_is_reported_with_its_log_and_not_its_password(tmp_path, pretended):
    pretended(serve=f"cat accounts.sql; {FULL}")
    server = EmbeddedServer(tmp_path / "mysql")
    with pytest.raises(DatabaseError, match=r"did not start: the disk is full") as caught:
        server.start()
    password = (tmp_path / "mysql/password").read_text()
    assert password not in str(caught.value)
    assert "IDENTIFIED BY '***'" in str(caught.value)
    assert not (tmp_path / "mysql/accounts.sql").exists()
    assert server.status().state == "stopped"


def test_another_program_than_the_last_one_is_named(home, pretended):
    home.data.mkdir()
    home.write_record(RECORD)
    pretended(says=fakes.MYSQL_8.replace("8.4.3", "9.9.9"), serve="echo 'Cannot upgrade from 80403'; exit 1")
    with pytest.raises(
        DatabaseError, match=r"It is MySQL 9\.9\.9 now; before it was 8\.4\.3 \(/usr/sbin/mysqld\)"
    ):
        EmbeddedServer(home.folder).start()
    record = home.record()
    assert record is not None
    assert record.version == "8.4.3", "the data still belong to the old program"


def test_only_folders_that_carry_our_mark_are_removed(home):
    unfinished, foreign = home.folder / "initialising-killed", home.folder / "initialising-my-thesis"
    for folder in (unfinished, foreign):
        (folder / "data").mkdir(parents=True)
    (unfinished / initialise.MARKER).touch()
    initialise.remove_unfinished(home)
    assert foreign.is_dir()
    assert not unfinished.exists()


def test_a_data_folder_locked_from_elsewhere_is_not_started_upon(home, pretended):
    pretended()
    home.data.mkdir()
    (home.data / "ibdata1").write_bytes(b"tablespace")
    home.write_record(RECORD)
    holder = subprocess.Popen(
        program("lock_a_file", home.data / "ibdata1"), stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    try:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(
            DatabaseError, match=r"not to be seen from here \(last started on 'here'.*DECORTEX_HOME"
        ):
            EmbeddedServer(home.folder).start()
    finally:
        holder.communicate()
    assert not process.data_folder_is_in_use(home.data)


def test_a_file_system_without_locks_is_named(tmp_path, pretended, monkeypatch):
    pretended()

    def acquire(lock):
        raise NotImplementedError("FileSystem does not appear to support flock")

    monkeypatch.setattr(instance.FileLock, "acquire", acquire)
    with pytest.raises(DatabaseError, match=r"has no locks; set DECORTEX_HOME to a local disk"):
        EmbeddedServer(tmp_path / "mysql").start()
