"""A new data folder: made under a temporary name, renamed once it is complete. No server listens here."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

from decortex.errors import DatabaseError
from decortex_ops.server import diagnosis, process
from decortex_ops.server.home import ServerHome, default_home
from decortex_ops.server.program import Mysqld
from decortex_ops.server.settings import common_options

# Only a folder that holds this file is ever removed.
MARKER = "being-initialised-by-decortex"
_PREFIX = "initialising-"
_TIMEOUT_S = 600.0
_NEEDED_BYTES = 400 * 2**20


def initialise(home: ServerHome, program: Mysqld) -> None:
    """Create the data folder of a home that has none.

    Parameters
    ----------
    home : ServerHome
        Its lock must be held.
    program : Mysqld
        The server program.

    Raises
    ------
    DatabaseError
        The disk is full, or the program fails; nothing is left behind.
    """
    free = shutil.disk_usage(home.folder).free
    if free < _NEEDED_BYTES:
        msg = (
            f"No space left on device: {home.folder} has {free / 2**20:.0f} MB free, the embedded MySQL "
            f"needs {_NEEDED_BYTES / 2**20:.0f} MB to begin with. Free some, or set DECORTEX_HOME elsewhere."
        )
        raise DatabaseError(msg)
    fresh = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=home.folder))
    try:
        (fresh / MARKER).touch()
        start = home.log_size()
        command = [
            *program.command,
            "--no-defaults",
            *program.options(),
            *common_options(fresh / "data"),
            f"--tmpdir={home.temporary}",
            # The accounts get their password at every start, before the server accepts anybody.
            "--initialize-insecure",
        ]
        with home.log.open("ab") as log:
            done = subprocess.run(
                command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=program.environment(),
                check=False, timeout=_TIMEOUT_S,
            )  # fmt: skip
        if done.returncode != 0:
            raise DatabaseError(diagnosis.explain(home.log, start=start, doing="initialise", secret=""))
        # Arrays lie beside the server that refers to them: this folder says so (`store_folder`).
        if home.folder == default_home() and not os.environ.get("DECORTEX_STORE"):
            (home.folder.parent / "store").mkdir(mode=0o700, exist_ok=True)
        (fresh / "data").rename(home.data)
    except subprocess.TimeoutExpired as error:
        msg = f"The embedded MySQL was not initialised within {_TIMEOUT_S:.0f} s; see {home.log}."
        raise DatabaseError(msg) from error
    finally:
        shutil.rmtree(fresh, ignore_errors=True)


def remove_unfinished(home: ServerHome) -> None:
    """Remove what an initialisation that was killed has left, its own process included."""
    for folder in home.folder.glob(f"{_PREFIX}*"):
        if not (folder / MARKER).is_file():
            continue
        orphan = process.server_process(folder / "data")
        if orphan is not None:
            process.send(orphan, signal.SIGKILL)  # it works on what is thrown away
            process.wait_until_gone(folder / "data", hint=orphan, seconds=_TIMEOUT_S)
        shutil.rmtree(folder)
