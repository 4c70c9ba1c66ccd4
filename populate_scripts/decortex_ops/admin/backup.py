"""Backup and restore of one database and its store, as of one moment: SQL that any MySQL client reads, and files."""

from __future__ import annotations

import gzip
import hashlib
import json
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pymysql
from datajoint.storage import StorageBackend
from pymysql.cursors import SSCursor

from decortex.errors import ConfigError, DatabaseError, InputError, OperationError
from decortex_ops.admin.saved_files import copy_files
from decortex_ops.admin.table_rows import NO_ROWS, dump_rows, execute, is_ours
from decortex_ops.admin.unfinished import UNFINISHED, refuse_existing, unfinished_folder
from decortex_schemas.database import (
    AREA,
    OLDEST_VERSION,
    SCHEMA_VERSION,
    VERSION_TABLE,
    Settings,
    backend,
    check_store_path,
    configure_store,
    hold_store,
    write_object,
)

MANIFEST, DUMP, FILES = "manifest.json", "dump.sql.gz", "store"
MANIFEST_DIGEST = "manifest.sha256"
# Format 1 keeps no digest of the manifest.
FORMAT = 2
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
        Files that rows refer to and that are missing, altered or unreadable; a backup holds none of them.
    refused : list of str
        Rows that name no file of the store, or a file by another digest than other rows: which, and why. They are
        saved like all rows; nothing is read or written in their name.
    schema_version : int
        Of the tables.
    unfinished : list of Path
        Folders beside the backup that others left which were killed.
    """

    rows: int
    files: int
    damaged: list[str]
    refused: list[str] = field(default_factory=list)
    schema_version: int = SCHEMA_VERSION
    unfinished: list[Path] = field(default_factory=list)


def save(settings: Settings, folder: Path) -> Backup:
    """Save the database and the files that it refers to, both as of one moment, while workers go on.

    Needs no right but SELECT. No table is bound to its class, so that tables of any version are saved.

    Parameters
    ----------
    settings : Settings
        Of the server and the database.
    folder : Path
        Must not exist; it appears when it is whole. Of a backup that fails nothing is left.

    Raises
    ------
    ConfigError
        If the folder exists, lies among the store's files, or another backup is being written to it.
    DatabaseError
        If the database holds no tables that this account may read.
    OperationError
        If a collection of files is under way.
    """
    folder = folder.expanduser().resolve()
    refuse_existing(folder)
    if isinstance(settings.store, Path) and folder.is_relative_to((settings.store / AREA).resolve()):
        raise ConfigError(
            f"{folder} lies in the store, among files that `decortex gc` deletes; keep backups on another disk."
        )
    _refuse_empty(settings)
    with unfinished_folder(folder) as part:
        found = _save(settings, part)
    return replace(found, unfinished=sorted(folder.parent.glob(f"*{UNFINISHED}")))


def _save(settings: Settings, part: Path) -> Backup:
    """Save into a folder that is there and empty."""
    configure_store(settings.store)
    with hold_store(settings.driver(), settings.database, to_read=True), _snapshot(settings) as link:
        schema_version = int(execute(link, f"SELECT MAX(version) FROM `{VERSION_TABLE}`")[0][0] or 0)
        counts, digests = _dump(link, settings.database, part / DUMP)
        files, damaged, refused = copy_files(link, part / FILES)
    manifest = {
        "format": FORMAT,
        "schema_version": schema_version,
        "decortex_version": version("decortex"),
        "database": settings.database,
        "taken_at": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "host_name": platform.node(),
        "rows": counts,
        "rows_sha256": digests,
        "files": files,
        "damaged": damaged,
        "refused": refused,
        "dump_sha256": _digest(part / DUMP),
    }
    (part / MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    (part / MANIFEST_DIGEST).write_text(_digest(part / MANIFEST), encoding="ascii")
    return Backup(sum(counts.values()), len(files), damaged, refused, schema_version)


def restore(
    settings: Settings, folder: Path, *, name: str | None = None, store_folder: Path | None = None
) -> Backup:
    """Bring a backup back, into a database that does not exist or is empty; keys in work are queued again.

    Parameters
    ----------
    settings : Settings
        Of the server and the database that the backup is of.
    folder : Path
        The backup.
    name : str, optional
        Another database of the same server to bring it back into, which must not exist; the one it is of, and its
        store, are then neither read nor written.
    store_folder : Path, optional
        With ``name``: the folder of its own that takes the files; must be empty or not there.

    Raises
    ------
    ConfigError
        If the folder is no backup, is of another database or another version of the tables, or the database
        holds tables.
    OperationError
        If the backup is damaged, or other rows come back than were saved. The database is then as it was.
    """
    manifest = read_manifest(folder, settings.database)
    database = settings.database if name is None else name
    with _link(settings) as link, link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s", (database,))
        if int(cursor.fetchone()[0]):
            raise ConfigError(
                f"database {database!r} holds tables; a backup is brought back into an empty one. Drop it "
                "first if you mean to replace it, or use another server."
            )
        _restore_files(
            _own_store(settings) if store_folder is None else folder_store(store_folder), folder, manifest
        )
        try:
            _run(cursor, database, folder / DUMP)
            with _snapshot(settings, database) as reading:
                other = _differences(reading, manifest)
            if other:
                raise OperationError(
                    f"the backup {folder} brings back other rows than were saved: {'; '.join(other)}. Take another."
                )
            _queue_again(cursor, database)
            _rename_lineage(cursor, settings.database, database)
        except BaseException:
            cursor.execute(f"DROP DATABASE IF EXISTS `{database}`")
            raise
    return Backup(
        sum(manifest["rows"].values()),
        len(manifest["files"]),
        manifest["damaged"],
        manifest.get("refused", []),
        manifest["schema_version"],
    )


def _differences(link: Any, manifest: dict[str, Any]) -> list[str]:
    """Tables whose rows are not those that were saved, by number and by digest."""
    found = []
    for name, n_rows in manifest["rows"].items():
        n_now, digest = dump_rows(link, name, None) if name != _LEASES else (0, NO_ROWS)
        saved = manifest.get("rows_sha256", {}).get(name)  # backups of before have none
        if n_now != n_rows:
            found.append(f"{name}: {n_rows} rows were saved, {n_now} came back")
        elif saved is not None and digest != saved:
            found.append(f"{name}: the content of its {n_rows} rows differs")
    return found


def read_manifest(folder: Path, database: str) -> dict[str, Any]:
    """What a backup says of itself, checked: of this database and version, and its dump as it was written."""
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
        found = execute(
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
def _snapshot(settings: Settings, database: str | None = None) -> Iterator[Any]:
    """A connection that sees the database as it is now until it is closed, every value as MySQL writes it."""
    with _link(settings, cursorclass=SSCursor, conv={}, database=database or settings.database) as link:
        execute(link, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        execute(link, "SET SESSION TIME_ZONE = '+00:00'")
        execute(link, "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY")
        yield link


def _dump(link: Any, database: str, path: Path) -> tuple[dict[str, int], dict[str, str]]:
    """Write every table as SQL, a statement a line; returns the rows of each, and their digests."""
    tables = sorted(str(row[0]) for row in execute(link, "SHOW FULL TABLES WHERE Table_type = 'BASE TABLE'"))
    counts, digests = {}, {}
    with gzip.open(path, "wt", encoding="utf-8", newline="\n", compresslevel=4) as out:
        out.write(f"-- decortex database {database}, one statement a line\n")
        for name in tables:
            created = str(execute(link, f"SHOW CREATE TABLE `{name}`")[0][1])
            out.write(" ".join(created.split("\n")) + ";\n")
        for name in tables:
            counts[name], digests[name] = (0, NO_ROWS) if name == _LEASES else dump_rows(link, name, out)
    return counts, digests


def folder_store(folder: Path) -> StorageBackend:
    """A store in a folder of its own, apart from the one that is configured."""
    return StorageBackend({"protocol": "file", "location": str(folder)})


def _own_store(settings: Settings) -> StorageBackend:
    if isinstance(settings.store, Path):
        settings.store.mkdir(parents=True, exist_ok=True, mode=0o700)
    configure_store(settings.store)
    return backend()


def _restore_files(store: StorageBackend, folder: Path, manifest: dict[str, Any]) -> None:
    for path, sha256 in manifest["files"].items():
        data = (folder / FILES / check_store_path(path, folder / FILES)).read_bytes()
        if hashlib.sha256(data).hexdigest() != sha256:
            raise OperationError(f"{folder / FILES / path} is not the file that was saved (sha256 differs).")
        write_object(store, path, data)


def _run(cursor: Any, database: str, path: Path) -> None:
    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
    cursor.execute(f"USE `{database}`")
    cursor.execute("SET FOREIGN_KEY_CHECKS = 0, UNIQUE_CHECKS = 0, TIME_ZONE = '+00:00'")
    cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
    with gzip.open(path, "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            if line.startswith("--"):
                continue
            if not is_ours(line):
                raise OperationError(
                    f"{path} holds a statement that no backup of decortex holds ({line[:60]!r}); nothing was restored."
                )
            cursor.execute(line.rstrip(";\n"))
    cursor.execute("SET FOREIGN_KEY_CHECKS = 1, UNIQUE_CHECKS = 1")


def _queue_again(cursor: Any, database: str) -> None:
    """Keys that were in work when the backup was taken are in nobody's hands."""
    cursor.execute("SHOW TABLES LIKE '~~%'")
    for (name,) in cursor.fetchall():
        cursor.execute(f"UPDATE `{name}` SET status = 'pending' WHERE status = 'reserved'")


def _rename_lineage(cursor: Any, old: str, new: str) -> None:
    """Say the new database's name where DataJoint keeps which column comes from which table."""
    cursor.execute("SHOW TABLES LIKE '~lineage'")
    if old != new and cursor.fetchall():
        cursor.execute(
            "UPDATE `~lineage` SET lineage = CONCAT(%s, SUBSTRING(lineage, CHAR_LENGTH(%s) + 1)) "
            "WHERE LEFT(lineage, CHAR_LENGTH(%s)) = %s",
            (f"{new}.", f"{old}.", f"{old}.", f"{old}."),
        )


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(2**22):
            digest.update(block)
    return digest.hexdigest()
