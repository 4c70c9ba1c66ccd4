"""Which process is the server of a data folder, whether it lives, and how it is started. Speaks no SQL."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Sequence
from pathlib import Path

from decortex.errors import DatabaseError

from decortex_ops.server.settings import LOOPBACK

_PROC = Path("/proc")
# The shell backgrounds the server and leaves: the server belongs to init, no command keeps a zombie of it.
_DETACH = 'log=$1; shift; "$@" </dev/null >>"$log" 2>&1 & echo $!'


def server_process(data: Path, hint: int) -> int | None:
    """Find the process of this account that runs a server on a data folder.

    A pid alone proves nothing, since pids are reused; the data folder in the command line does.

    Parameters
    ----------
    data : Path
        The data folder, as it is written in the server's command line.
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
    return next((pid for pid in others if _runs_on(pid, data)), None)


def _runs_on(pid: int, data: Path) -> bool:
    return f"--datadir={data}" in _arguments(pid)


def _arguments(pid: int) -> list[str]:
    if not _PROC.is_dir():
        shown = subprocess.run(
            ["ps", "-ww", "-p", str(pid), "-o", "args="], capture_output=True, text=True, check=False
        )
        return shown.stdout.split()
    try:
        if (_PROC / str(pid)).stat().st_uid != os.geteuid():
            return []
        # A zombie's command line is empty: it counts as gone.
        return (_PROC / str(pid) / "cmdline").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError:
        return []


def terminate(pid: int) -> None:
    """Ask a server process to shut down cleanly (SIGTERM)."""
    try:
        os.kill(pid, signal.SIGTERM)
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
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL,
            env=environment,
            cwd=folder,
            start_new_session=True,
            text=True,
            check=True,
            timeout=60,
        )
        return int(shell.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        msg = f"The server program {command[0]} cannot be started: {error}."
        raise DatabaseError(msg) from error


def port_is_free(port: int) -> bool:
    """Return whether nothing listens on a loopback port."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        # As mysqld does: a port that is only waiting out its last connections is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a loopback port that is free now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.bind((LOOPBACK, 0))
        return int(probe.getsockname()[1])
