"""From the tail of MySQL's error log to a message that says what to do. Reads files, changes none."""

from __future__ import annotations

import re
from pathlib import Path

_TAIL_BYTES = 200_000
_TAIL_LINES = 12

# The first that matches explains; the order is from the most telling to the most general.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|Disk is full|errno:? 28\b|OS error: 28|Error number 28|disk quota|Disk quota exceeded",
        "the disk is full; free some space, or set DECORTEX_HOME to a folder elsewhere",
    ),
    (
        r"Bind on TCP/IP port|Address already in use|another mysqld server running on port",
        "its TCP port was taken by another program; start again, another port will be chosen",
    ),
    (
        r"Unable to lock \./ibdata1|Another process with pid \d+ is using unix socket|using the same InnoDB data",
        "another server uses the same data folder, perhaps on another machine that shares it; stop that one first",
    ),
    (
        r"Cannot upgrade from|downgrade|was created by a newer|Invalid MySQL server upgrade|Server upgrade of",
        "the data folder was written by a MySQL version that this one cannot open; run the version that wrote it",
    ),
    (
        r"Permission denied|Errcode: 13|errno:? 13\b",
        "a file cannot be read or written; the folder must be yours (and a distribution's AppArmor profile may keep "
        "its own mysqld out of home folders: name another with DECORTEX_MYSQLD)",
    ),
    (
        r"Cannot allocate memory|errno 12\b|Out of memory",
        "the machine has too little free memory for it",
    ),
    (
        r"database corruption|Corrupted page|log file .* is corrupted|Data structure corruption",
        "the data folder is damaged; restore it from a backup",
    ),
    (
        r"error while loading shared libraries|cannot open shared object file|version .* not found",
        "the server program lacks a library; name a working one with DECORTEX_MYSQLD",
    ),
)


def tail(log: Path, start: int = 0) -> str:
    """Return the last lines that were written to a log after an offset in bytes, errors preferred."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    telling = [
        line for line in lines if "[Warning]" not in line and "[System]" not in line and "[Note]" not in line
    ]
    return "\n".join((telling or lines)[-_TAIL_LINES:])


def explain(log: Path, *, start: int, doing: str, secret: str) -> str:
    """Compose the message for a server that did not come up.

    Parameters
    ----------
    log : Path
        The error log.
    start : int
        Its size in bytes before the attempt: what older attempts wrote explains nothing.
    doing : str
        What was tried, for example ``"start"``.
    secret : str
        The password; it is removed should any line hold it.
    """
    said = tail(log, start)
    if secret:
        said = said.replace(secret, "***")
    cause = next((advice for pattern, advice in _CAUSES if re.search(pattern, said, re.IGNORECASE)), None)
    reason = f": {cause}" if cause else ""
    shown = f" Its log says:\n{said}" if said else " It wrote nothing to its log."
    return f"The embedded MySQL did not {doing}{reason}.{shown}\n(log: {log})"
