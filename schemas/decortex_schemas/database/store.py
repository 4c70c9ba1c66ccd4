"""What lies in the store against what the rows refer to: missing, altered and orphaned files. Changes only orphans."""

from __future__ import annotations

import hashlib
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import datajoint as dj
from datajoint.hash_registry import get_store_backend
from datajoint.storage import StorageBackend

from decortex.errors import ConfigError, InputError, OperationError
from decortex_schemas.database.codecs import SealedCodec, store_access, write_file
from decortex_schemas.database.schema import schema
from decortex_schemas.database.server import database_name, hold_store
from decortex_schemas.database.store_paths import AREA, STORE, check_store_path, folder_of, stored_file
from decortex_schemas.database.work import connection_info

# A file is written before its row is committed: what is younger may be on its way.
GRACE_HOURS = 24.0
LEAST_HOURS = 1.0
_BLOCK = 2**22
# Folder of the store with one file per server whose database wrote to it: _owners/<database>/<server_uuid>.
_OWNERS = "_owners"

OnFile = Callable[[int, int], None]


@dataclass(frozen=True)
class Reference:
    """A file that a row refers to.

    Attributes
    ----------
    table, column : str
        Where.
    key : dict
        The row's primary key.
    path, size, sha256
        Of the file.
    refused : str
        Why the row names no file of the store; its path, size and sha256 are then of no use. Empty otherwise.
    """

    table: str
    column: str
    key: dict[str, Any]
    path: str
    size: int
    sha256: str
    refused: str = ""


@dataclass(frozen=True)
class Fault:
    """A row whose file is not what it should be.

    Attributes
    ----------
    reference : Reference
        The row and its file.
    problem : {'missing', 'altered', 'unreadable', 'refused'}
        Unreadable: the file system refuses it; refused: the row names no file of the store.
    found : str
        What is there instead, in words.
    """

    reference: Reference
    problem: str
    found: str


@dataclass(frozen=True)
class Orphan:
    """A file that no row refers to.

    Attributes
    ----------
    path : str
        Within the store.
    size : int
        Bytes.
    age_hours : float
        Since it was written.
    """

    path: str
    size: int
    age_hours: float


def references() -> list[Reference]:
    """Every file that a row of this database refers to."""
    found, root = [], folder_of(backend())
    for table, column in sealed_columns():
        for row in table.proj(column).cursor(as_dict=True):
            stored = row.pop(column)
            if stored is not None:
                found.append(reference_of(class_name(table), column, dict(row), stored=stored, root=root))
    return found


def reference_of(
    table: str, column: str, key: dict[str, Any], *, stored: object, root: Path | None
) -> Reference:
    """What one row refers to; a row that names no file of the store is marked as refused.

    Parameters
    ----------
    table : str
        Class of the row's table.
    column : str
        Which refers to a file.
    key : dict
        The row's primary key.
    stored : object
        What the column holds, as JSON or parsed.
    root : Path or None
        Folder of the store, if it is one (`decortex_schemas.database.store_paths.folder_of`).
    """
    try:
        known = stored_file(stored, root)
    except InputError as error:
        return Reference(table, column, key, "", 0, "", refused=str(error))
    return Reference(table, column, key, known.path, known.size, known.sha256)


def sealed_columns() -> list[tuple[Any, str]]:
    """Tables, as instances, and their columns that refer to files of the store."""
    # DataJoint keeps a column's codec in its comment. Asked for at once: it reads a table by eight statements.
    rows = schema.connection.query(
        "SELECT DISTINCT table_name FROM information_schema.columns WHERE table_schema = %s "
        "AND column_comment LIKE %s",
        args=(schema.database, ":<sealed%"),
    ).fetchall()
    names = {row[0] for row in rows}
    return [
        (table, name)
        for table in _tables()
        if table.table_name in names
        for name in table.heading.names
        if isinstance(table.heading.attributes[name].codec, SealedCodec)
    ]


def check_files(on_file: OnFile = lambda done, of: None) -> tuple[list[Fault], int]:
    """Read every file that a row refers to, and compare it with the row; returns the faults and how many were read.

    Parameters
    ----------
    on_file : callable
        Takes how many files are done, and of how many.
    """
    store = backend()
    every = references()
    faults = []
    for i, reference in enumerate(every):
        fault = _check(store, reference)
        if fault is not None:
            faults.append(fault)
        on_file(i + 1, len(every))
    return faults, len(every)


def orphans(now: float | None = None) -> list[Orphan]:
    """Files of this database in the store that no row refers to, young ones included, by path.

    Parameters
    ----------
    now : float, optional
        Seconds since 1970 from which their age is counted; by default this machine's clock.
    """
    store = backend()
    now = time.time() if now is None else now
    # Files first: one whose row is committed meanwhile is then known to be referred to.
    stored = dict(_listing(store))
    referred = {reference.path for reference in references() if not reference.refused}
    return [
        Orphan(path, size, (now - written) / 3600)
        for path, (size, written) in sorted(stored.items())
        if path not in referred
    ]


def collect(*, older_than_hours: float = GRACE_HOURS, delete: bool = False) -> list[Orphan]:
    """Return the orphans that are old enough to be nobody's, and delete them if asked.

    Parameters
    ----------
    older_than_hours : float
        A worker writes a file before it commits the row; what is younger than this is left alone.
    delete : bool
        Whether to delete them; otherwise they are only looked for.

    Raises
    ------
    ConfigError
        If the age is less than an hour.
    OperationError
        If a backup, or another collection, is under way; or, where files are to be deleted, databases of other servers
        write to the same store, whose files would all be orphans here.
    """
    if not older_than_hours >= LEAST_HOURS:
        raise ConfigError(
            f"files younger than {LEAST_HOURS:g} h may belong to a worker that has not committed yet; "
            f"got an age of {older_than_hours:g} h."
        )
    others = other_owners()
    if delete and others:
        raise OperationError(
            f"databases {database_name()!r} of {len(others) + 1} servers write to this store, and a file that no row"
            " here refers to may be another's: nothing was deleted. Give each server a store of its own"
            f" (DECORTEX_STORE); if the others are gone, remove {', '.join(others)} from the store, then run this"
            " again."
        )
    with store_lock(to_read=False) if delete else nullcontext():
        found = [orphan for orphan in orphans(_clock_of(backend())) if orphan.age_hours > older_than_hours]
        if delete:
            store = backend()
            for orphan in found:
                store.remove(check_store_path(orphan.path, folder_of(store)))
        return found


def claim() -> None:
    """Note in the store that the database of this server writes to it (`other_owners` reads it)."""
    store, path = backend(), f"{_OWNERS}/{database_name()}/{_server_uuid()}"
    with store_access(store, path):
        if not store.exists(path):
            write_file(
                store, path, b"This server's database writes to the store; `decortex gc` looks at it.\n"
            )


def other_owners() -> list[str]:
    """Paths within the store of the notes of other servers whose databases of this name wrote to it, sorted.

    A database that was restored on another server has two notes, its own and that of the server before.
    """
    store = backend()
    folder = f"{_OWNERS}/{database_name()}"
    if not store.fs.isdir(store._full_path(folder)):
        return []
    names = {path.rsplit("/", 1)[-1] for path in store.fs.find(store._full_path(folder))}
    return [f"{folder}/{name}" for name in sorted(names - {_server_uuid()})]


def _server_uuid() -> str:
    ((found,),) = schema.connection.query("SELECT @@server_uuid").fetchall()
    return str(found)


@contextmanager
def store_lock(*, to_read: bool) -> Iterator[None]:
    """Keep collections and backups of one database from running at once.

    Parameters
    ----------
    to_read : bool
        Whether files are read, as a backup does; several may at once.

    Raises
    ------
    OperationError
        If another one runs.
    DatabaseError
        If this account is to delete and has not the role admin.
    """
    with hold_store(connection_info(), database_name(), to_read=to_read):
        yield


def backend() -> StorageBackend:
    """The store, by DataJoint's abstraction of file systems and object stores."""
    try:
        return get_store_backend(STORE, config=dj.config)
    except FileNotFoundError as error:
        raise OperationError(f"the store cannot be read ({error}); set DECORTEX_STORE.") from None


def digest_of(store: StorageBackend, path: str, at_most: int | None = None) -> tuple[int, str] | None:
    """Size and sha256 of one file of the store, read in blocks; None where there is none.

    Parameters
    ----------
    store : StorageBackend
    path : str
        Within it.
    at_most : int, optional
        Bytes after which a longer file is left: what is returned is then of its beginning, and longer than this.
    """
    digest, size = hashlib.sha256(), 0
    try:
        with store.open(path) as file:
            while block := file.read(_BLOCK):
                digest.update(block)
                size += len(block)
                if at_most is not None and size > at_most:
                    break
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return None
    return size, digest.hexdigest()


def _check(store: StorageBackend, reference: Reference) -> Fault | None:
    if reference.refused:
        return Fault(reference, "refused", reference.refused)
    try:
        found = digest_of(store, reference.path, at_most=reference.size)
    except OSError as error:
        return Fault(reference, "unreadable", str(error))
    if found is None:
        return Fault(reference, "missing", "no file")
    size, sha256 = found
    if (size, sha256) != (reference.size, reference.sha256):
        return Fault(
            reference,
            "altered",
            f"more than its {reference.size} bytes"
            if size > reference.size
            else f"{size} bytes of {reference.size}, sha256 {sha256[:12]} for {reference.sha256[:12]}",
        )
    return None


def _tables() -> list[Any]:
    """All tables and parts that are declared, as instances."""
    found: list[Any] = []
    for cls, _ in schema.declare_list:
        parts = [
            value for value in vars(cls).values() if isinstance(value, type) and issubclass(value, dj.Part)
        ]
        found += [table() for table in (cls, *parts)]
    return found


def class_name(table: Any) -> str:
    """Name of a table, or of a part as Master.Part."""
    master = getattr(type(table), "_master", None)
    return type(table).__name__ if master is None else f"{master.__name__}.{type(table).__name__}"


def class_named(table_name: str) -> str:
    """Name of a table's class, by its name in MySQL; parts as Master.Part.

    Examples
    --------
    >>> class_named("__d_e_c_finetune__epoch")
    'DECFinetune.Epoch'
    """
    parts = table_name.lstrip("#_").split("__")
    return ".".join("".join(word.capitalize() for word in part.split("_")) for part in parts)


def _listing(store: StorageBackend) -> Iterator[tuple[str, tuple[int, float]]]:
    """Files of this database in the store: path within it, size and when it was written (seconds since 1970)."""
    base, root = store._full_path("").rstrip("/"), folder_of(store)
    for path, entry in store.fs.find(store._full_path(f"{AREA}/{database_name()}"), detail=True).items():
        within = path[len(base) :].lstrip("/")
        try:
            check_store_path(within, root)
        except InputError:
            continue  # not written by us, or behind a link: left alone
        yield within, (int(entry["size"]), store.fs.modified(path).timestamp())


def _clock_of(store: StorageBackend) -> float:
    """Time by the clock that stamps the store's files, which may be another machine's."""
    path = f".clock-{uuid.uuid4().hex}"
    try:
        store.put_buffer(b"", path)
        return float(store.fs.modified(store._full_path(path)).timestamp())
    except OSError as error:
        raise OperationError(f"the store cannot be written ({error}), and so not be told the time.") from None
    finally:
        store.remove(path)
