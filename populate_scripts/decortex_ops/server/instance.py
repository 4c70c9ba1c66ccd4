"""The life of the private MySQL: initialise, start, stop, status. Where its program comes from is binaries.py."""

from __future__ import annotations

import os
import shutil
import socket as sockets
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from decortex.errors import DatabaseError
from filelock import FileLock, Timeout

from decortex_ops.server import client, diagnosis, process
from decortex_ops.server.binaries import Mysqld, find_mysqld
from decortex_ops.server.credentials import Credentials, credentials_from_environment
from decortex_ops.server.home import USER, ServerHome, ServerRecord, default_home, write_private
from decortex_ops.server.progress import Progress, ProgressCallback, silent
from decortex_ops.server.settings import LOOPBACK, common_options, server_options

_MARKER = "being-initialised-by-decortex"
_INITIALISE_S = 600.0
_START_S = 600.0  # recovery after a crash may read much redo log
_STOP_S = 300.0
_LOCK_S = 900.0
_NEEDED_BYTES = 400 * 2**20
_LONGEST_LOG = 8 * 2**20
_PORT_ATTEMPTS = 3


@dataclass(frozen=True)
class ServerStatus:
    """What is known of a private server without touching it.

    Attributes
    ----------
    state : {'running', 'stopped', 'not_initialised'}
        ``not_initialised`` means that there is no data folder yet.
    version : str or None
        The running server's version, else that of the last start.
    host : str
        Always the loopback address.
    port, pid : int or None
        Of the running server; of a stopped one only the port that it will try to have again.
    data, log : Path
        The data folder and the log file.
    binary : str or None
        The program of the last start.
    """

    state: Literal["running", "stopped", "not_initialised"]
    version: str | None
    host: str
    port: int | None
    pid: int | None
    data: Path
    log: Path
    binary: str | None


class EmbeddedServer:
    """A MySQL server private to one user, in a folder of his own.

    Parameters
    ----------
    home : Path, optional
        The server's folder. By default ``DECORTEX_HOME/mysql``, else ``mysql`` under the user's data folder.
    progress : callable
        Called with a :class:`Progress` while something takes long.
    """

    def __init__(self, home: Path | None = None, *, progress: ProgressCallback = silent) -> None:
        self._home = ServerHome((default_home() if home is None else Path(home)).expanduser().absolute())
        self._progress = progress

    def start(self) -> Credentials:
        """Start the server where it does not run yet, and return how to connect to it.

        Two callers at once end with one server. A server that was killed is recovered with its data.

        Raises
        ------
        DatabaseError
            No server program can be had, or the server does not come up; the message says why.
        """
        running = self._running()
        if running is not None:
            return running
        self._home.prepare()
        with self._locked():
            return self._running() or self._await_other() or self._start()

    def stop(self) -> None:
        """Shut the server down cleanly and wait for its end; nothing happens where it does not run.

        Raises
        ------
        DatabaseError
            It runs and does not end in time. It is never killed.
        """
        if not self._home.folder.is_dir():
            return
        with self._locked():
            pid = self._pid()
            if pid is None:
                return
            ordered = self._ask() is not None and client.shut_down(self._home.socket, self._home.password())
            if not ordered:
                process.terminate(pid)  # the same clean shutdown, for a server that is not ready to listen
            if not self._gone(_STOP_S):
                msg = f"The embedded MySQL (process {pid}) did not end within {_STOP_S:.0f} s; see {self._home.log}."
                raise DatabaseError(msg)
            self._note_stop()

    def status(self) -> ServerStatus:
        """Say whether the server runs, where and which; starts nothing."""
        record, answer = self._home.record(), self._ask()
        pid = self._pid() if answer is not None else None
        state: Literal["running", "stopped", "not_initialised"] = "stopped"
        if answer is not None:
            state = "running"
        elif not self._home.data.is_dir():
            state = "not_initialised"
        return ServerStatus(
            state=state,
            version=answer.version if answer is not None else record and record.version,
            host=LOOPBACK,
            port=answer.port if answer is not None else record and record.port,
            pid=pid,
            data=self._home.data,
            log=self._home.log,
            binary=record and record.binary,
        )

    def _ask(self) -> client.Answer | None:
        if not self._home.socket.exists() or not self._home.password_file.exists():
            return None
        answer = client.ask(self._home.socket, self._home.password())
        if answer is None or not _same_folder(answer.data, self._home.data):
            return None
        return answer

    def _running(self) -> Credentials | None:
        answer = self._ask()
        return None if answer is None else self._credentials(answer.port)

    def _credentials(self, port: int) -> Credentials:
        return Credentials(host=LOOPBACK, port=port, user=USER, password=self._home.password())

    def _pid(self) -> int | None:
        record = self._home.record()
        return process.server_process(self._home.data, record.pid if record is not None else 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            with FileLock(self._home.lock, timeout=_LOCK_S, mode=0o600):
                yield
        except Timeout as error:
            msg = f"Another command has held {self._home.lock} for {_LOCK_S:.0f} s; end it and try again."
            raise DatabaseError(msg) from error

    def _await_other(self) -> Credentials | None:
        """Wait for a server process that is there but does not answer: it is coming up or going down."""
        if self._pid() is None:
            return None
        self._progress(Progress("waiting for MySQL"))
        return self._await_ready(doing="answer", start=0)

    def _await_ready(self, *, doing: str, start: int) -> Credentials | None:
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            running = self._running()
            if running is not None:
                return running
            if self._pid() is None:
                return None
            time.sleep(0.05)
        msg = f"The embedded MySQL runs but does not accept connections after {_START_S:.0f} s"
        raise DatabaseError(
            f"{msg} ({doing}).\n{diagnosis.tail(self._home.log, start)}\n(log: {self._home.log})"
        )

    def _gone(self, seconds: float) -> bool:
        deadline = time.monotonic() + seconds
        while self._pid() is not None:
            if time.monotonic() > deadline:
                return False
            time.sleep(0.05)
        return True

    def _start(self) -> Credentials:
        program = find_mysqld(progress=self._progress)
        self._remove_leftovers()
        if not self._home.data.is_dir():
            self._initialise(program)
        self._shorten_log()
        self._progress(Progress("starting MySQL"))
        for attempt in range(_PORT_ATTEMPTS):
            port = self._choose_port(sticky=attempt == 0)
            start = self._log_size()
            started = self._launch(program, port)
            if started is not None:
                return started
            message = diagnosis.explain(
                self._home.log, start=start, doing="start", secret=self._home.password()
            )
            if process.port_is_free(port):
                break
        raise DatabaseError(message)

    def _launch(self, program: Mysqld, port: int) -> Credentials | None:
        home, start = self._home, self._log_size()
        # Also where the password file was lost: whoever may write into this folder may set the password anew.
        init_file = home.folder / "accounts.sql"
        write_private(init_file, _accounts(home.password()))
        command = [
            *program.command,
            "--no-defaults",
            *program.options(),
            *server_options(
                data=home.data,
                socket=home.socket,
                pid_file=home.pid_file,
                temporary=home.temporary,
                port=port,
            ),
            f"--init-file={init_file}",
        ]
        try:
            pid = process.start_detached(
                command, log=home.log, environment=program.environment(), folder=home.folder
            )
            home.write_record(
                ServerRecord(
                    port=port,
                    pid=pid,
                    host_name=sockets.gethostname(),
                    version=program.version,
                    binary=str(program.path),
                )
            )
            return self._await_ready(doing="start", start=start)
        finally:
            init_file.unlink(missing_ok=True)

    def _choose_port(self, *, sticky: bool) -> int:
        record = self._home.record()
        if sticky and record is not None and process.port_is_free(record.port):
            return record.port
        return process.free_port()

    def _note_stop(self) -> None:
        record = self._home.record()
        if record is not None:
            self._home.write_record(ServerRecord(**{**vars(record), "pid": 0}))
        # A clean end removes them; what a killed server left is ours to remove, now that nobody runs.
        for left in (self._home.socket, self._home.pid_file):
            left.unlink(missing_ok=True)

    def _remove_leftovers(self) -> None:
        """Remove what a start or an initialisation that was killed has left; nobody else runs, the lock is held."""
        for left in (
            self._home.socket,
            self._home.socket.with_name("mysql.sock.lock"),
            self._home.pid_file,
            self._home.folder / "accounts.sql",
        ):
            left.unlink(missing_ok=True)
        for folder in self._home.folder.glob("initialising-*"):
            if (folder / _MARKER).is_file():
                shutil.rmtree(folder)

    def _initialise(self, program: Mysqld) -> None:
        """Create the data folder under a temporary name and rename it once it is complete."""
        home = self._home
        free = shutil.disk_usage(home.folder).free
        if free < _NEEDED_BYTES:
            msg = (
                f"The embedded MySQL needs {_NEEDED_BYTES / 2**20:.0f} MB to begin with, but {home.folder} has "
                f"{free / 2**20:.0f} MB free: no space left on device. Free some, or set DECORTEX_HOME to a folder elsewhere."
            )
            raise DatabaseError(msg)
        self._progress(Progress("initialising MySQL"))
        fresh = Path(tempfile.mkdtemp(prefix="initialising-", dir=home.folder))
        (fresh / _MARKER).touch()
        start = self._log_size()
        try:
            with home.log.open("ab") as log:
                done = subprocess.run(
                    [*program.command, "--no-defaults", *program.options(), *common_options(fresh / "data"),
                     "--initialize-insecure", f"--tmpdir={home.temporary}"],
                    stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=program.environment(), check=False,
                    timeout=_INITIALISE_S,
                )  # fmt: skip
            if done.returncode != 0:
                raise DatabaseError(diagnosis.explain(home.log, start=start, doing="initialise", secret=""))
            (fresh / "data").rename(home.data)
        except (OSError, subprocess.TimeoutExpired) as error:
            msg = f"The embedded MySQL could not be initialised in {home.folder}: {error}."
            raise DatabaseError(msg) from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)

    def _log_size(self) -> int:
        try:
            return self._home.log.stat().st_size
        except FileNotFoundError:
            return 0

    def _shorten_log(self) -> None:
        if self._log_size() > _LONGEST_LOG:
            self._home.log.replace(self._home.log.with_suffix(".log.old"))


def _accounts(password: str) -> str:
    """Return the statements that set both accounts' password; the server runs them before it accepts anybody."""
    user = f"'{USER}'@'{LOOPBACK}'"
    return (
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
        f"CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '{password}';\n"
        f"ALTER USER {user} IDENTIFIED BY '{password}';\n"
        f"GRANT ALL PRIVILEGES ON *.* TO {user} WITH GRANT OPTION;\n"
    )


def _same_folder(first: Path, second: Path) -> bool:
    try:
        return first.samefile(second)
    except OSError:
        return False


def resolve_credentials(
    environ: Mapping[str, str] | None = None, *, progress: ProgressCallback = silent
) -> Credentials:
    """Return the credentials of the database to use, starting the embedded one where none is configured.

    Parameters
    ----------
    environ : mapping, optional
        The environment, by default the process's own. With ``DJ_HOST`` set the embedded server is not touched.
    progress : callable
        Called with a :class:`Progress` while the embedded server takes long.

    Raises
    ------
    DatabaseError
        The settings are incomplete, or the embedded server cannot be started.
    """
    environ = os.environ if environ is None else environ
    configured = credentials_from_environment(environ)
    if configured is not None:
        return configured
    return EmbeddedServer(default_home(environ), progress=progress).start()
