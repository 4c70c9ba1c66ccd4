"""Backup and restore of one database and its store, as of one moment: SQL that any MySQL client reads, and files."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pymysql
from pymysql.converters import escape_string
from pymysql.cursors import SSCursor

from decortex.errors import ConfigError, DatabaseError, InputError, OperationError
from decortex_schemas.database import (
    OLDEST_VERSION,
    SCHEMA_VERSION,
    VERSION_TABLE,
    Reference,
    Settings,
    backend,
    check_store_path,
    class_named,
    configure_store,
    folder_of,
    hold_store,
    reference_of,
    write_object,
)

MANIFEST, DUMP, FILES = "manifest.json", "dump.sql.gz", "store"
MANIFEST_DIGEST = "manifest.sha256"
# Format 1 keeps no digest of the manifest.
FORMAT = 2
# Bytes of one INSERT, about; a row larger than this has one of its own.
_STATEMENT = 2**20
_LEASES = "worker_lease"
# How the comment of a column begins that refers to a file of the store.
_SEALED = ":<sealed_"


@dataclass(frozen=True)
class Backup:
    """What was saved or brought back.

    Parameters
    ----------
    rows : int
        Over all tables.
    files : int
        Of the store.
    damaged : list of str
        Files that rows refer to and that are missing, altered or unreadable; a backup holds none of them.
    refused : list of str
        Rows that name no file of the store, or a file by another digest than other rows: which, and why. They are
        saved like all rows; nothing is read or written in their name.
    schema_version : int
        Of the tables.
    """

    rows: int
    files: int
    damaged: list[str]
    refused: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION


def save(settings: Settings, folder: Path) -> Backup:
    """Save the database and the files that it refers to, both as of one moment, while workers go on.

    Needs no right but SELECT. No table is bound to its class, so that tables of any version are saved.

    Parameters
    ----------
    settings : Settings
        Of the server and the database.
    folder : Path
        Must not exist; it appears when it is whole.

    Raises
    ------
    ConfigError
        If the folder exists.
    DatabaseError
        If the database holds no tables that this account may read.
    OperationError
        If a collection of files is under way.
    """
    folder = folder.expanduser().resolve()
    if folder.exists():
        raise ConfigError(f"{folder} exists already; a backup is a folder of its own.")
    part = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(part, ignore_errors=True)  # of a backup that was killed
    part.mkdir(parents=True, mode=0o700)
    _refuse_empty(settings)
    configure_store(settings.store)
    with hold_store(settings.driver(), settings.database, to_read=True), _snapshot(settings) as link:
        schema_version = int(_execute(link, f"SELECT MAX(version) FROM `{VERSION_TABLE}`")[0][0] or 0)
        counts = _dump(link, settings.database, part / DUMP)
        files, damaged, refused = _copy_files(link, part / FILES)
    manifest = {
        "format": FORMAT,
        "schema_version": schema_version,
        "decortex_version": version("decortex"),
        "database": settings.database,
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host_name": platform.node(),
        "rows": counts,
        "files": files,
        "damaged": damaged,
        "refused": refused,
        "dump_sha256": _digest(part / DUMP),
    }
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    (part / MANIFEST_DIGEST).write_text(_digest(part / MANIFEST), encoding="ascii")
    part.rename(folder)
    return Backup(sum(counts.values()), len(files), damaged, refused, schema_version)


def restore(settings: Settings, folder: Path) -> Backup:
    """Bring a backup back, into a database that does not exist or is empty; keys in work are queued again.

    Raises
    ------
    ConfigError
        If the folder is no backup, is of another database or another version of the tables, or the database
        holds tables.
    OperationError
        If the backup is damaged. The database is then as it was.
    """
    manifest = _manifest(folder, settings.database)
    with _link(settings) as link, link.cursor() as cursor:
        cursor.execute(
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", (settings.database,)
        )
        if int(cursor.fetchone()[0]):
            raise ConfigError(
                f"database {settings.database!r} holds tables; a backup is brought back into an empty one. Drop it "
                "first if you mean to replace it, or use another server."
            )
        _restore_files(settings, folder / FILES, manifest["files"])
        try:
            _run(cursor, settings.database, folder / DUMP)
            _queue_again(cursor, settings.database)
            found = {name: _count(cursor, name) for name in manifest["rows"]}
            if found != manifest["rows"]:
                raise OperationError(f"the backup {folder} holds other rows than it says; it is damaged.")
        except BaseException:
            cursor.execute(f"DROP DATABASE IF EXISTS `{settings.database}`")
            raise
    return Backup(
        sum(manifest["rows"].values()),
        len(manifest["files"]),
        manifest["damaged"],
        manifest.get("refused", []),
        manifest["schema_version"],
    )


def _manifest(folder: Path, database: str) -> dict[str, Any]:
    _check_manifest(folder)
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{folder} is no backup of decortex: {MANIFEST} cannot be read ({error})."
        ) from None
    known = manifest.get("format") in (1, FORMAT) and isinstance(manifest.get("schema_version"), int)
    if manifest.get("format") == FORMAT and not (folder / MANIFEST_DIGEST).exists():
        raise OperationError(f"{folder} has lost its {MANIFEST_DIGEST}; take another backup.")
    if not known or not OLDEST_VERSION <= manifest["schema_version"] <= SCHEMA_VERSION:
        raise ConfigError(
            f"the backup is of schema version {manifest.get('schema_version')} (format {manifest.get('format')}), this "
            f"decortex takes versions {OLDEST_VERSION} to {SCHEMA_VERSION} (formats 1 to {FORMAT}): install decortex "
            f"{manifest.get('decortex_version')}, which made it, and restore with that; CHANGELOG.md says what changed."
        )
    if manifest["database"] != database:
        raise ConfigError(
            f"the backup is of database {manifest['database']!r}, DECORTEX_DATABASE is {database!r}: set it to that."
        )
    _check_files(folder, manifest)
    if _digest(folder / DUMP) != manifest["dump_sha256"]:
        raise OperationError(
            f"{folder / DUMP} is not the file that was saved (sha256 differs); take another backup."
        )
    return manifest


def _refuse_empty(settings: Settings) -> None:
    """Refuse a database without tables."""
    with _link(settings) as link:
        found = _execute(
            link,
            "SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
            settings.database,
            VERSION_TABLE,
        )
    if not found[0][0]:
        raise DatabaseError(
            f"database {settings.database!r} holds no decortex tables that user {settings.user!r} may read: "
            "`decortex init` declares them, `decortex db grant USER --role viewer` lets a user read them."
        )


def _check_manifest(folder: Path) -> None:
    """Refuse a manifest that is not the one that was written; backups of format 1 keep no digest of it."""
    kept = folder / MANIFEST_DIGEST
    if not kept.exists():
        return
    try:
        said = kept.read_bytes()
        same = said.decode("ascii") == _digest(folder / MANIFEST)
    except (OSError, UnicodeDecodeError):
        same = False
    if not same:
        raise OperationError(
            f"{folder / MANIFEST} is not the file that was saved (sha256 differs from {MANIFEST_DIGEST}); take another "
            "backup."
        )


def _check_files(folder: Path, manifest: dict[str, Any]) -> None:
    """Refuse a manifest that names a file outside the store, before anything is read or written."""
    try:
        for path in manifest["files"]:
            check_store_path(path, folder / FILES)
    except (KeyError, TypeError, InputError) as error:
        raise ConfigError(
            f"{folder / MANIFEST} does not list the files of a store ({error}). Nothing was restored; take another "
            "backup."
        ) from None


@contextmanager
def _link(settings: Settings, **options: Any) -> Iterator[Any]:
    with pymysql.connect(**settings.driver(), autocommit=True, charset="utf8mb4", **options) as link:
        yield link


@contextmanager
def _snapshot(settings: Settings) -> Iterator[Any]:
    """A connection that sees the database as it is now until it is closed, every value as MySQL writes it."""
    with _link(settings, cursorclass=SSCursor, conv={}, database=settings.database) as link:
        _execute(link, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        _execute(link, "SET SESSION TIME_ZONE = '+00:00'")
        _execute(link, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield link


def _execute(link: Any, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    with link.cursor() as cursor:
        cursor.execute(sql, args or None)
        return list(cursor.fetchall())


def _dump(link: Any, database: str, path: Path) -> dict[str, int]:
    """Write every table as SQL, a statement a line; returns the rows of each."""
    tables = sorted(str(row[0]) for row in _execute(link, "SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'"))
    counts = {}
    with gzip.open(path, "wt", encoding="utf-8", newline="\n", compresslevel=4) as out:
        out.write(f"-- decortex database {database}, one statement a line\n")
        for name in tables:
            created = str(_execute(link, f"SHOW CREATE TABLE `{name}`")[0][1])
            out.write(" ".join(created.split("\n")) + ";\n")
        for name in tables:
            counts[name] = 0 if name == _LEASES else _dump_rows(link, name, out)
    return counts


def _dump_rows(link: Any, name: str, out: Any) -> int:
    n_rows, size = 0, 0
    values: list[str] = []

    def write() -> None:
        if values:
            out.write(f"INSERT INTO `{name}` VALUES {','.join(values)};\n")
            values.clear()

    with link.cursor() as cursor:
        cursor.execute(f"SELECT * FROM `{name}`")
        while row := cursor.fetchone():
            text = f"({','.join(_literal(value) for value in row)})"
            if size + len(text) > _STATEMENT:
                write()
                size = 0
            values.append(text)
            size += len(text)
            n_rows += 1
    write()
    return n_rows


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"0x{value.hex()}" if value else "''"
    return f"'{escape_string(str(value))}'"


def _copy_files(link: Any, folder: Path) -> tuple[dict[str, str], list[str], list[str]]:
    """Copy what the snapshot's rows refer to; returns the digests, the damaged files, and the rows that are refused."""
    store = backend()
    wanted: dict[str, list[Reference]] = {}
    refused = []
    for reference in _references(link, folder_of(store)):
        if reference.refused:
            refused.append(f"{_row(reference)}: {reference.refused}")
        else:
            wanted.setdefault(reference.path, []).append(reference)
    files, damaged = {}, []
    for path, rows in sorted(wanted.items()):
        # Of rows that name one file the one with its digest is right: another one must not keep it from being saved.
        found = _copy_file(store, path, folder)
        right = [row for row in rows if found is not None and (row.size, row.sha256) == found]
        if not right or found is None:
            damaged.append(path)
            if found is not None:
                (folder / path).unlink()
            continue
        files[path] = found[1]
        refused += [
            f"{_row(row)}: names {path} by another size or sha256 than {_row(right[0])} and the file itself"
            for row in rows
            if row not in right
        ]
    return files, damaged, refused


def _references(link: Any, root: Path | None) -> Iterator[Reference]:
    """What the rows of a snapshot refer to, by what its columns say of themselves: tables of any version."""
    primary: dict[str, list[str]] = {}
    sealed: list[tuple[str, str]] = []
    for table, column, key, comment in _execute(
        link,
        "SELECT table_name, column_name, column_key, column_comment FROM information_schema.columns "
        "WHERE table_schema = DATABASE() ORDER BY table_name, ordinal_position",
    ):
        if key == "PRI":
            primary.setdefault(str(table), []).append(str(column))
        if str(comment).startswith(_SEALED):
            sealed.append((str(table), str(column)))
    for table, column in sealed:
        listed = ", ".join(f"`{name}`" for name in (*primary[table], column))
        for *values, stored in _execute(link, f"SELECT {listed} FROM `{table}` WHERE `{column}` IS NOT NULL"):
            whole = dict(zip(primary[table], values, strict=True))
            yield reference_of(class_named(table), column, whole, stored=stored, root=root)


def _copy_file(store: Any, path: str, folder: Path) -> tuple[int, str] | None:
    """Copy one file of the store into a backup; returns size and sha256 of the copy, None where there is no file."""
    target = folder / check_store_path(path)
    digest, size = hashlib.sha256(), 0
    try:
        with store.open(path) as source:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:  # never a file that exists
                while block := source.read(2**22):
                    digest.update(block)
                    size += out.write(block)
    except (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError):
        return None
    return size, digest.hexdigest()


def _row(reference: Reference) -> str:
    return f"{reference.table} {json.dumps(reference.key, default=str)[:300]}"


def _restore_files(settings: Settings, folder: Path, files: dict[str, str]) -> None:
    if isinstance(settings.store, Path):
        settings.store.mkdir(parents=True, exist_ok=True, mode=0o700)
    configure_store(settings.store)
    store = backend()
    for path, sha256 in files.items():
        data = (folder / check_store_path(path, folder)).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise OperationError(f"{folder / path} is not the file that was saved (sha256 differs).")
        write_object(store, path, data)


def _run(cursor: Any, database: str, path: Path) -> None:
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    cursor.execute(f"USE `{database}`")
    cursor.execute("SET FOREIGN_KEY_CHECKS = 0, UNIQUE_CHECKS = 0, TIME_ZONE = '+00:00'")
    cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if not line.startswith("--"):
                cursor.execute(line.rstrip(";\n"))
    cursor.execute("SET FOREIGN_KEY_CHECKS = 1, UNIQUE_CHECKS = 1")


def _queue_again(cursor: Any, database: str) -> None:
    """Keys that were in work when the backup was taken are in nobody's hands."""
    cursor.execute("SHOW TABLES LIKE '~~%'")
    for (name,) in cursor.fetchall():
        cursor.execute(f"UPDATE `{name}` SET status = 'pending' WHERE status = 'reserved'")


def _count(cursor: Any, name: str) -> int:
    cursor.execute(f"SELECT COUNT(*) FROM `{name}`")
    return int(cursor.fetchone()[0])


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
