"""The private server's folder: what lies where, and the records kept there. Starts and stops nothing."""

from __future__ import annotations

import hashlib
import json
import os
import re
import secrets
import stat
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

import platformdirs

from decortex.errors import DatabaseError

# sockaddr_un holds 108 bytes with the closing zero on Linux, 104 on macOS.
LONGEST_SOCKET = 100
USER = "decortex"
_PASSWORD_BYTES = 24


@dataclass(frozen=True)
class ServerRecord:
    """What the last start has noted; never a secret.

    Attributes
    ----------
    port : int
        The loopback port, kept from one start to the next.
    pid : int
        Process of the server; 0 once it was stopped cleanly. A hint only: pids are reused.
    host_name : str
        The machine that ran it: a home folder may be shared by several.
    version, binary : str
        The server program that last came up on the data.
    """

    port: int
    pid: int
    host_name: str
    version: str
    binary: str


@dataclass(frozen=True)
class ServerHome:
    """Paths of one private server.

    Attributes
    ----------
    folder : Path
        The home, readable by its owner alone.
    """

    folder: Path

    @property
    def data(self) -> Path:
        """MySQL's data folder; it exists only once it is complete."""
        return self.folder / "data"

    @property
    def log(self) -> Path:
        """What the server reports."""
        return self.folder / "server.log"

    @property
    def lock(self) -> Path:
        """Held while a command starts or stops the server, not while it runs."""
        return self.folder / "start.lock"

    @property
    def password_file(self) -> Path:
        """The generated password, readable by its owner alone."""
        return self.folder / "password"

    @property
    def record_file(self) -> Path:
        """The last start's :class:`ServerRecord`."""
        return self.folder / "server.json"

    @property
    def temporary(self) -> Path:
        """The server's temporary tables."""
        return self.folder / "tmp"

    @property
    def pid_file(self) -> Path:
        """The server's own note of its process."""
        return self.folder / "mysqld.pid"

    @property
    def socket(self) -> Path:
        """The unix socket: in the home, or in a short private folder where its path would be too long."""
        inside = self.folder / "mysql.sock"
        if len(os.fsencode(inside)) <= LONGEST_SOCKET:
            return inside
        digest = hashlib.sha256(os.fsencode(self.folder)).hexdigest()[:12]
        # Not $TMPDIR: a batch system gives each job another, and all of them must find the same socket.
        return Path("/tmp") / f"decortex-{os.geteuid()}-{digest}" / "mysql.sock"

    @property
    def accounts_file(self) -> Path:
        """Statements that the server runs before it accepts anybody; there only while it starts."""
        return self.folder / "accounts.sql"

    def log_size(self) -> int:
        """Return the log's size in bytes, 0 where there is none."""
        try:
            return self.log.stat().st_size
        except FileNotFoundError:
            return 0

    def server_pid(self) -> int | None:
        """Read the server's own note of its process, written once it is ready; None where there is none."""
        try:
            return int(self.pid_file.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def prepare(self) -> None:
        """Create the folders, private to their owner.

        Raises
        ------
        DatabaseError
            They cannot be created, or the short folder for the socket belongs to somebody else.
        """
        try:
            for folder in (self.folder, self.temporary):
                folder.mkdir(parents=True, exist_ok=True, mode=0o700)
                folder.chmod(0o700)  # also where somebody made it beforehand
            self.log.touch(mode=0o600)
            if self.socket.parent != self.folder:
                private_folder(self.socket.parent)
        except OSError as error:
            msg = (
                f"The embedded MySQL's folder {self.folder} cannot be prepared: {error}. "
                "Set DECORTEX_HOME to a folder that you own, with 1 GB free."
            )
            raise DatabaseError(msg) from error

    def remove_socket_folder(self) -> None:
        """Remove the short folder for the socket, where there is one and it is empty."""
        if self.socket.parent != self.folder:
            with suppress(OSError):  # gone already, or something lies in it
                self.socket.parent.rmdir()

    def password(self) -> str:
        """Read the password, or generate it where the file is missing or does not hold one of ours."""
        known = self.known_password()
        if known is not None:
            return known
        password = secrets.token_hex(_PASSWORD_BYTES)
        write_private(self.password_file, password)
        return password

    def known_password(self) -> str | None:
        """Read the password; None where there is none of ours: hexadecimal, safe between quotes in SQL."""
        try:
            text = self.password_file.read_bytes().strip()
        except FileNotFoundError:
            return None
        return text.decode("ascii") if re.fullmatch(rb"[0-9a-f]{48}", text) else None

    def record(self) -> ServerRecord | None:
        """Read the last start's record, or None where it is missing or damaged."""
        try:
            return ServerRecord(**json.loads(self.record_file.read_text(encoding="utf-8")))
        except (OSError, ValueError, TypeError):
            return None

    def write_record(self, record: ServerRecord) -> None:
        """Replace the record."""
        write_private(self.record_file, json.dumps(asdict(record), indent=1))


def default_home(environ: Mapping[str, str] = os.environ) -> Path:
    """Return the user's own server's home: ``DECORTEX_HOME/mysql``, else in the user's data folder."""
    named = environ.get("DECORTEX_HOME", "").strip()
    base = Path(named).expanduser() if named else Path(platformdirs.user_data_dir("decortex"))
    return base / "mysql"


def private_folder(folder: Path) -> None:
    """Create a folder in a place that others can write to, and make sure that it is ours alone.

    Raises
    ------
    DatabaseError
        It exists and is a link, belongs to somebody else, or others may enter it.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    found = folder.lstat()
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
        msg = f"{folder} is to hold the server's socket, but it is not a folder of yours alone; remove it."
        raise DatabaseError(msg)


def write_private(file: Path, text: str) -> None:
    """Write a file that only its owner can read, whole or not at all."""
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)  # created with mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
