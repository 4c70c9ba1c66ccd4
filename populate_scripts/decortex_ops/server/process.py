"""Which process is the server of a data folder, whether it lives, and how one is started. Speaks no SQL."""

from __future__ import annotations

import fcntl
import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path

from decortex.errors import DatabaseError
from decortex_ops.server.settings import LOOPBACK

_PROC = Path("/proc")
# The shell backgrounds the server and leaves: the server belongs to init, no command keeps a zombie of it.
_DETACH = 'umask 077; log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'


def server_process(data: Path, *, hint: int = 0) -> int | None:
    """Find the process of this account that runs a server on a data folder.

    A pid alone proves nothing, since pids are used again; the data folder in the command line does.

    Parameters
    ----------
    data : Path
        The data folder, as it stands in the server's command line.
    hint : int
        The pid that was recorded, looked at first; 0 for none.

    Returns
    -------
    int or None
        The pid, None where no such process lives.
    """
    if hint > 0 and _runs_on(hint, data):
        return hint
    if not _PROC.is_dir():
        return None
    others = (int(entry.name) for entry in _PROC.iterdir() if entry.name.isdigit())
    return next((pid for pid in others if pid != os.getpid() and _runs_on(pid, data)), None)


def _runs_on(pid: int, data: Path) -> bool:
    wanted = f"--datadir={data}"
    if not _PROC.is_dir():  # macOS
        shown = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False
        )
        return wanted in shown.stdout
    try:
        if (_PROC / str(pid)).stat().st_uid != os.geteuid():
            return False
        # A zombie's command line is empty: it counts as gone.
        return os.fsencode(wanted) in (_PROC / str(pid) / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return False


def wait_until_gone(data: Path, *, hint: int, seconds: float) -> bool:
    """Wait until no server runs on a data folder; return whether that came true in time."""
    deadline = time.monotonic() + seconds
    while server_process(data, hint=hint) is not None:
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def folder_was_deleted(pid: int) -> bool:
    """Return whether the folder that a process works in (a server's is its data folder) exists no more."""
    try:
        return (_PROC / str(pid) / "cwd").readlink().name.endswith(" (deleted)")
    except OSError:
        return False


def send(pid: int, sent: signal.Signals) -> None:
    """Send a signal to a process that may have ended meanwhile."""
    try:
        os.kill(pid, sent)
    except ProcessLookupError:
        return


def start_detached(command: Sequence[str], *, log: Path, environment: dict[str, str], folder: Path) -> int:
    """Start a process that outlives this one, in a session of its own, and return its pid.

    Parameters
    ----------
    command : sequence of str
        Program and arguments.
    log : Path
        File to which its output is appended.
    environment : dict
        Its environment.
    folder : Path
        Its working folder.

    Raises
    ------
    DatabaseError
        It cannot be started.
    """
    try:
        shell = subprocess.run(
            ["/bin/sh", "-c", _DETACH, "sh", str(log), *command],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL, env=environment,
            cwd=folder, start_new_session=True, text=True, check=True, timeout=60,
        )  # fmt: skip
        return int(shell.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        msg = f"The server program {command[-1]} cannot be started: {error}."
        raise DatabaseError(msg) from error


def data_folder_is_in_use(data: Path) -> bool:
    """Return whether a server holds InnoDB's lock on a data folder, on whatever machine it runs."""
    try:
        with (data / "ibdata1").open("r+b") as tablespace:
            fcntl.lockf(tablespace, fcntl.LOCK_EX | fcntl.LOCK_NB)  # released when the file is closed
    except BlockingIOError:
        return True
    except OSError:  # not there, not writable, or a file system without locks: the server will say so
        return False
    return False


def port_is_free(port: int) -> bool:
    """Return whether nothing listens on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As mysqld does: a port that only waits out its last connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
            probe.listen(1)
        except (OSError, OverflowError):
            return False
    return True


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
