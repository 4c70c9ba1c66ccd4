"""From the tail of MySQL's error log to a message that says what to do. Reads files, changes none."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

_TAIL_BYTES = 200_000
_TAIL_LINES = 12
_LINE_CHARACTERS = 300
_FULL_BYTES = 16 * 2**20
_FULL = "the disk is full; free some space, or set DECORTEX_HOME to a folder elsewhere"

# The first that matches explains: the most telling come first.
_CAUSES: tuple[tuple[str, str], ...] = (
    (
        r"No space left on device|Disk is full|Disk quota exceeded|(errno|OS error|error number):? 28\b",
        _FULL,
    ),
    (
        r"Bind on TCP/IP port|Address already in use|another mysqld server running on port",
        "its TCP port was taken by another program; start again and another port is chosen",
    ),
    (
        r"Unable to lock \./ibdata1|is using unix socket|using the same InnoDB data",
        "another server uses the same data folder; stop that one first",
    ),
    (
        r"Cannot (up|down)grade from|Invalid MySQL server (up|down)grade",
        "its data folder was written by a MySQL version that this one cannot open; name a fitting server "
        "program by DECORTEX_MYSQLD",
    ),
    (
        r"Permission denied|(errcode|errno|OS error):? 13\b",
        "a file may not be read or written; the folder must be yours, and a distribution's AppArmor profile "
        "may keep its mysqld out of home folders (then name another by DECORTEX_MYSQLD)",
    ),
    (
        r"Cannot allocate memory|Out of memory|(errno|OS error):? 12\b",
        "the machine has too little free memory",
    ),
    (
        r"corrupt",
        "its data folder is damaged; restore it from a backup",
    ),
    (
        r"error while loading shared libraries|cannot open shared object file|version `[^']+' not found",
        "the server program lacks a library; name a working one by DECORTEX_MYSQLD",
    ),
)


def tail(log: Path, *, start: int = 0) -> str:
    """Return the last lines written to a log after an offset in bytes, errors preferred to notes."""
    try:
        with log.open("rb") as stream:
            size = stream.seek(0, 2)
            stream.seek(max(start if start <= size else 0, size - _TAIL_BYTES))
            lines = stream.read().decode(errors="replace").splitlines()
    except OSError:
        return ""
    telling = [line for line in lines if not re.search(r"\[(Warning|System|Note)\]", line)]
    return "\n".join(line[:_LINE_CHARACTERS] for line in (telling or lines)[-_TAIL_LINES:])


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
        The password, removed should any line hold it.
    """
    said = tail(log, start=start)
    if secret:
        said = said.replace(secret, "***")
    cause = next((advice for pattern, advice in _CAUSES if re.search(pattern, said, re.IGNORECASE)), None)
    if cause is None and shutil.disk_usage(log.parent).free < _FULL_BYTES:
        cause = _FULL  # and so the log stayed empty
    reason = f": {cause}" if cause else ""
    shown = f" Its log says:\n{said}" if said else " It wrote nothing to its log."
    return f"The embedded MySQL did not {doing}{reason}.{shown}\n(log: {log})"
