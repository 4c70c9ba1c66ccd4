"""Backup and restore of one database and its store, as of one moment: SQL that any MySQL client reads, and files."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pymysql
from pymysql.converters import escape_string
from pymysql.cursors import SSCursor

from decortex.errors import ConfigError, OperationError
from decortex_schemas.database.codecs import write_object
from decortex_schemas.database.schema import SCHEMA_VERSION, Settings, configure_store
from decortex_schemas.database.store import backend, digest_of, sealed_columns, store_lock

MANIFEST, DUMP, FILES = "manifest.json", "dump.sql.gz", "store"
FORMAT = 1
# Bytes of one INSERT, about; a row larger than this has one of its own.
_STATEMENT = 2**20
_LEASES = "worker_lease"


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
        Files that rows refer to and that are missing or altered; a backup holds none of them.
    """

    rows: int
    files: int
    damaged: list[str]


def save(settings: Settings, folder: Path) -> Backup:
    """Save the database and the files that it refers to, both as of one moment, while workers go on.

    Needs no right but SELECT, and the connection of `decortex_schemas.queries.connection.connect_to_read`.

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
    OperationError
        If another backup or a collection of files is under way.
    """
    folder = folder.expanduser().resolve()
    if folder.exists():
        raise ConfigError(f"{folder} exists already; a backup is a folder of its own.")
    part = folder.with_name(f"{folder.name}.unfinished")
    shutil.rmtree(part, ignore_errors=True)  # of a backup that was killed
    part.mkdir(parents=True, mode=0o700)
    with store_lock(), _snapshot(settings) as link:
        counts = _dump(link, settings.database, part / DUMP)
        files, damaged = _copy_files(link, part / FILES)
    manifest = {
        "format": FORMAT,
        "schema_version": SCHEMA_VERSION,
        "decortex_version": version("decortex"),
        "database": settings.database,
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host_name": platform.node(),
        "rows": counts,
        "files": files,
        "damaged": damaged,
        "dump_sha256": _digest(part / DUMP),
    }
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    part.rename(folder)
    return Backup(sum(counts.values()), len(files), damaged)


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
    return Backup(sum(manifest["rows"].values()), len(manifest["files"]), manifest["damaged"])


def _manifest(folder: Path, database: str) -> dict[str, Any]:
    try:
        manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as error:
        raise ConfigError(
            f"{folder} is no backup of decortex: {MANIFEST} cannot be read ({error})."
        ) from None
    if manifest.get("format") != FORMAT or manifest.get("schema_version") != SCHEMA_VERSION:
        raise ConfigError(
            f"the backup is of schema version {manifest.get('schema_version')} (format {manifest.get('format')}), this "
            f"decortex needs {SCHEMA_VERSION} (format {FORMAT}): install decortex {manifest.get('decortex_version')}, "
            "which made it, and restore with that; CHANGELOG.md says what changed."
        )
    if manifest["database"] != database:
        raise ConfigError(
            f"the backup is of database {manifest['database']!r}, DECORTEX_DATABASE is {database!r}: set it to that."
        )
    if _digest(folder / DUMP) != manifest["dump_sha256"]:
        raise OperationError(
            f"{folder / DUMP} is not the file that was saved (sha256 differs); take another backup."
        )
    return manifest


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


def _execute(link: Any, sql: str) -> list[tuple[Any, ...]]:
    with link.cursor() as cursor:
        cursor.execute(sql)
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


def _copy_files(link: Any, folder: Path) -> tuple[dict[str, str], list[str]]:
    """Copy what the snapshot's rows refer to; returns the digests, and the paths that are damaged."""
    store = backend()
    wanted: dict[str, str] = {}
    for table, column in sealed_columns():
        for (text,) in _execute(
            link, f"SELECT `{column}` FROM {table.full_table_name} WHERE `{column}` IS NOT NULL"
        ):
            stored = json.loads(text)
            wanted[str(stored["path"])] = str(stored["sha256"])
    files, damaged = {}, []
    for path, sha256 in sorted(wanted.items()):
        found = digest_of(store, path)
        if found is None or found[1] != sha256:
            damaged.append(path)
            continue
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        with store.open(path) as source, target.open("wb") as out:
            shutil.copyfileobj(source, out, 2**22)
        if _digest(target) != sha256:
            damaged.append(path)
            continue
        files[path] = sha256
    return files, damaged


def _restore_files(settings: Settings, folder: Path, files: dict[str, str]) -> None:
    if isinstance(settings.store, Path):
        settings.store.mkdir(parents=True, exist_ok=True, mode=0o700)
    configure_store(settings.store)
    store = backend()
    for path, sha256 in files.items():
        data = (folder / path).read_bytes()
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
