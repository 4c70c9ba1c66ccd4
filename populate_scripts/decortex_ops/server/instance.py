"""The life of the private MySQL: start, stop, status. Where its program comes from is binaries.py."""

from __future__ import annotations

import os
import signal
import socket as sockets
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from filelock import FileLock, Timeout

from decortex.errors import DatabaseError
from decortex_ops.server import client, diagnosis, process
from decortex_ops.server.binaries import find_mysqld
from decortex_ops.server.credentials import Credentials, credentials_from_environment
from decortex_ops.server.home import USER, ServerHome, ServerRecord, default_home, write_private
from decortex_ops.server.initialise import initialise, remove_unfinished
from decortex_ops.server.program import Mysqld
from decortex_ops.server.progress import Progress, ProgressCallback, silent
from decortex_ops.server.settings import LOOPBACK, accounts_sql, server_options

_START_S = 600.0  # recovery after a crash may have much redo log to read
_STOP_S = 300.0
_SOCKET_S = 20.0  # so long a server may go on shutting down after it has removed its own socket
_LOCK_S = 1200.0
_LAST_WORDS = 20_000  # bytes of the log that may tell why a server ended
_LONGEST_LOG = 8 * 2**20
_PORT_ATTEMPTS = 3

State = Literal["running", "stopped", "not_initialised"]


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

    state: State
    version: str | None
    host: str
    port: int | None
    pid: int | None
    data: Path
    log: Path
    binary: str | None


class EmbeddedServer:
    """A MySQL server private to one user, in a folder of its own.

    Parameters
    ----------
    home : Path, optional
        The server's folder. By default ``DECORTEX_HOME/mysql``, else ``mysql`` under the user's data folder.
    progress : callable
        Called with a :class:`Progress` while something takes long.
    """

    def __init__(self, home: Path | None = None, *, progress: ProgressCallback = silent) -> None:
        # Resolved: two spellings of one folder must mean one server.
        self._home = ServerHome((default_home() if home is None else Path(home)).expanduser().resolve())
        self._progress = progress

    @property
    def home(self) -> Path:
        """The server's folder."""
        return self._home.folder

    def start(self) -> Credentials:
        """Start the server where it does not run yet, and return how to connect to it.

        Callers at once end with one server. A server that was killed is recovered with its data.

        Raises
        ------
        DatabaseError
            No server program can be had, or the server does not come up; the message says why.
        """
        try:
            running = self._running()
            if running is not None:
                return running
            self._home.prepare()
            with self._locked():
                return self._running() or self._await_present() or self._start()
        except OSError as error:
            msg = (
                f"The embedded MySQL in {self._home.folder} cannot be started: {error}. "
                "The folder must be yours, with 1 GB free; DECORTEX_HOME names another."
            )
            raise DatabaseError(msg) from error

    def stop(self) -> None:
        """Shut the server down cleanly and wait for its end; nothing happens where it does not run.

        Raises
        ------
        DatabaseError
            It runs and does not end in time. It is never killed while its data exist.
        """
        if not self._home.folder.is_dir():  # perhaps removed under a running server
            orphan = self._pid()
            if orphan is not None:
                self._end(orphan, ordered=False)
            return
        with self._locked():
            pid = self._pid()
            if pid is None:
                return
            password = self._home.known_password()
            ordered = password is not None and client.shut_down(self._home.socket, password)
            self._end(pid, ordered=ordered)
            self._home.remove_socket_folder()
            record = self._home.record()
            if record is not None:
                with suppress(OSError):  # the pid is a hint only; on a full disk the old one may stay
                    self._home.write_record(replace(record, pid=0))

    def status(self) -> ServerStatus:
        """Say whether the server runs, where and which; starts nothing."""
        record = self._home.record()
        try:
            answer = self._ask()
            runs = answer is not None
        except client.RefusalError:
            answer, runs = None, True
        state: State = "running" if runs else "stopped" if self._home.data.is_dir() else "not_initialised"
        version, port, binary = (record.version, record.port, record.binary) if record else (None, None, None)
        return ServerStatus(
            state=state,
            version=answer.version if answer else version,
            host=LOOPBACK,
            port=answer.port if answer else port,
            pid=self._pid() if runs else None,
            data=self._home.data,
            log=self._home.log,
            binary=binary,
        )

    def why_down(self) -> str:
        """Why a server that has run runs no longer, by its log, and how it comes back; empty where it runs."""
        if self.status().state != "stopped":
            return ""
        said = diagnosis.explain(
            self._home.log,
            start=max(0, self._home.log_size() - _LAST_WORDS),
            doing="stay up",
            secret=self._home.known_password() or "",
        )
        return (
            f"{said}\n`decortex db start` starts it again with its data, once what ended it is mended; what waits for "
            "it goes on by itself."
        )

    def _ask(self) -> client.Answer | None:
        """Ask the server behind our socket; None where none of ours answers."""
        if not self._home.socket.exists():
            return None
        # Without a password file any word will do: a living server's refusal is what is to be learnt.
        answer = client.ask(self._home.socket, self._home.known_password() or "unknown")
        if answer is None or not _same_folder(answer.data, self._home.data):
            return None
        return answer

    def _running(self) -> Credentials | None:
        answer = self._ask()
        if answer is None:
            return None
        return Credentials(host=LOOPBACK, port=answer.port, user=USER, password=self._home.password())

    def _pid(self) -> int | None:
        record = self._home.record()
        return process.server_process(self._home.data, hint=record.pid if record is not None else 0)

    @contextmanager
    def _locked(self) -> Iterator[None]:
        lock = FileLock(self._home.lock, timeout=_LOCK_S, mode=0o600)
        try:
            lock.acquire()
        except NotImplementedError as error:
            msg = f"The file system of {self._home.folder} has no locks; set DECORTEX_HOME to a local disk."
            raise DatabaseError(msg) from error
        except Timeout as error:
            msg = f"Another command has held {self._home.lock} for {_LOCK_S:.0f} s; end it and try again."
            raise DatabaseError(msg) from error
        try:
            yield
        finally:
            lock.release()

    def _await_present(self) -> Credentials | None:
        """Deal with a server process that is there but does not answer; return None once there is none."""
        pid = self._pid()
        if pid is None:
            return None
        if not self._home.data.is_dir():  # removed under it: it serves what nobody can reach any more
            self._end(pid, ordered=False)
            return None
        self._progress(Progress("waiting for MySQL"))
        return self._await_ready()  # it is coming up, or going down

    def _await_ready(self) -> Credentials | None:
        """Wait until the server answers; return None where its process ends instead."""
        now = time.monotonic()
        deadline, seen = now + _START_S, now
        while now < deadline:
            running = self._running()
            if running is not None:
                return running
            pid = self._pid()
            if pid is None:
                return None
            if self._home.socket.exists() or self._home.server_pid() != pid:
                seen = now  # it has not said yet that it is ready
            elif now > seen + _SOCKET_S:
                msg = (
                    f"The embedded MySQL runs, but its socket {self._home.socket} was removed. `decortex db "
                    "stop` and `decortex db start` bring it back; the data are kept."
                )
                raise DatabaseError(msg)
            time.sleep(0.05)
            now = time.monotonic()
        said = diagnosis.tail(self._home.log)
        msg = (
            f"The embedded MySQL runs, but accepts no connection for {_START_S:.0f} s. Its log says:\n{said}"
        )
        raise DatabaseError(msg)

    def _end(self, pid: int, *, ordered: bool) -> None:
        if process.folder_was_deleted(pid):
            process.send(pid, signal.SIGKILL)  # there is nothing left to save, and it would never end
        elif not ordered:
            process.send(pid, signal.SIGTERM)  # the same clean shutdown, for a server that does not listen
        if not process.wait_until_gone(self._home.data, hint=pid, seconds=_STOP_S):
            msg = (
                f"The embedded MySQL (process {pid}) has not ended in {_STOP_S:.0f} s; see {self._home.log}."
            )
            raise DatabaseError(msg)

    def _start(self) -> Credentials:
        home = self._home
        if process.data_folder_is_in_use(home.data):
            record = home.record()
            host = record.host_name if record is not None else "another machine"
            msg = (
                f"The data folder {home.data} is in use by a server that is not to be seen from here (last "
                f"started on {host!r}; this is {sockets.gethostname()!r}). Stop it there with `decortex db "
                "stop`; or give this machine a folder of its own by DECORTEX_HOME; or set DJ_HOST."
            )
            raise DatabaseError(msg)
        home.prepare()  # a stop that we waited for may have removed the socket's folder
        program = find_mysqld(progress=self._progress)
        # Nobody runs and the lock is held: what lies here was left by something that was killed.
        for left in (
            home.socket,
            home.socket.with_name("mysql.sock.lock"),
            home.pid_file,
            home.accounts_file,
        ):
            left.unlink(missing_ok=True)
        remove_unfinished(home)
        if home.log_size() > _LONGEST_LOG:
            home.log.replace(home.log.with_suffix(".log.old"))
        if not home.data.is_dir():
            self._progress(Progress("initialising MySQL"))
            initialise(home, program)
        self._progress(Progress("starting MySQL"))
        record = home.record()
        port = record.port if record is not None else 0
        message = ""
        for _ in range(_PORT_ATTEMPTS):
            if not process.port_is_free(port) or port == 0:
                port = process.free_port()
            start = home.log_size()
            started = self._launch(program, port)
            if started is not None:
                return started
            message = diagnosis.explain(home.log, start=start, doing="start", secret=home.password())
            if record is not None and record.version != program.version:
                message += (
                    f"\nIt is MySQL {program.version} now; before it was {record.version} ({record.binary})."
                )
            if process.port_is_free(port):  # so that was not the reason
                break
        raise DatabaseError(message)

    def _launch(self, program: Mysqld, port: int) -> Credentials | None:
        home = self._home
        write_private(home.accounts_file, accounts_sql(USER, home.password()))
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
            f"--init-file={home.accounts_file}",
        ]
        try:
            pid = process.start_detached(
                command, log=home.log, environment=program.environment(), folder=home.folder
            )
            came_up = ServerRecord(
                port=port,
                pid=pid,
                host_name=sockets.gethostname(),
                version=program.version,
                binary=str(program.path),
            )
            # Until it has come up, the data belong to the program that ran on them before.
            before = home.record() or came_up
            home.write_record(replace(came_up, version=before.version, binary=before.binary))
            ready = self._await_ready()
            if ready is not None:
                home.write_record(came_up)
            return ready
        finally:
            home.accounts_file.unlink(missing_ok=True)


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
        The environment, by default the process's own. With ``DJ_HOST`` set the embedded server is not
        touched.
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
