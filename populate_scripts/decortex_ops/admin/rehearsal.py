"""A backup tried where it will be needed: brought back beside the live database, compared, removed again."""

from __future__ import annotations

import re
import secrets
import shutil
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql

from decortex.errors import ConfigError, OperationError, StoreError
from decortex_ops.admin.backup import FILES, Backup, read_manifest, restore
from decortex_ops.admin.health_check import gigabytes
from decortex_ops.admin.saved_files import references_in
from decortex_schemas.database import Settings, object_store

_LONGEST_NAME = 64  # of a database, by MySQL
_TRIED = "__rehearsal_"
_NOT_ALLOWED = 1044
# Queues and leases change all the time, and DataJoint's own table holds the database's name.
_FLEETING = ("~", "worker_lease")


@dataclass(frozen=True)
class Rehearsal:
    """What came of a backup that was brought back.

    Parameters
    ----------
    folder : Path
        The backup.
    taken_at : str
        When it was taken, UTC.
    tables, rows, files : int
        That it holds.
    differing : list of str
        Where it does not bring back what was saved, or did not save all; empty: it is equal.
    since : list of str
        What has changed in the live database since, by table. Queues and leases are left out.
    """

    folder: Path
    taken_at: str
    tables: int
    rows: int
    files: int
    differing: list[str]
    since: list[str]

    @property
    def equal(self) -> bool:
        """Whether everything that was there came back as it was."""
        return not self.differing


def restore_beside(
    settings: Settings, folder: Path, name: str, *, store_folder: Path | None = None
) -> Backup:
    """Bring a backup back into another database of the same server, and its files into a folder of their own.

    Parameters
    ----------
    settings : Settings
        Of the server and of the database that the backup is of, which is neither read nor written.
    folder : Path
        The backup.
    name : str
        Of the new database. The role admin of database x may make those that are called ``x__`` and something.
    store_folder : Path, optional
        Default: beside the store, under its name and the new database's.

    Raises
    ------
    ConfigError
        If the name is not one of a new database, or the folder is not a new one.
    StoreError
        If the disk does not hold the files.
    """
    _check_name(settings, name)
    store = default_store(settings, name) if store_folder is None else store_folder.expanduser().resolve()
    _check_store(settings, store)
    manifest = read_manifest(folder, settings.database)
    size = sum((folder / FILES / path).stat().st_size for path in manifest["files"])
    store.parent.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(store.parent).free
    if size > free:
        raise StoreError(
            f"the files of {folder} take {gigabytes(size)}, and {gigabytes(free)} are free at {store.parent}: name "
            "another disk by --store."
        )
    made = not store.exists()
    store.mkdir(exist_ok=True, mode=0o700)
    try:
        return restore(settings, folder, name=name, store_folder=store)
    except BaseException:
        shutil.rmtree(store, ignore_errors=True)
        if not made:
            store.mkdir()
        raise


def rehearse(settings: Settings, folder: Path, *, store_folder: Path | None = None) -> Rehearsal:
    """Bring a backup back under a temporary name, compare every row and file, and remove it again.

    Compared is with what the backup's own reading of the live database found when it was taken: rows and a digest of
    each table, the sha256 of each file. Then, as information, with the live rows of now.

    Parameters
    ----------
    settings : Settings
        Of the live database, which is read only; for this the connection of `connect_to_read` must be open.
    folder : Path
        The backup.
    store_folder : Path, optional
        Where the files go meanwhile; default: a new folder beside the store.

    Raises
    ------
    ConfigError
        If the folder is no backup of this database and this version of the tables.
    """
    name = f"{settings.database}{_TRIED}{secrets.token_hex(2)}"
    manifest = read_manifest(folder, settings.database)
    store = default_store(settings, name) if store_folder is None else store_folder.expanduser().resolve()
    differing = [f"file {path} was missing or damaged when it was taken" for path in manifest["damaged"]]
    since: list[str] = []
    if "rows_sha256" not in manifest:
        differing.append("it holds no digests of rows (an earlier decortex took it): take another")
    try:
        restore_beside(settings, folder, name, store_folder=store)
        differing += _lost_files(settings, name, store, manifest)
        since = _changes(settings, name, list(manifest["rows"]))
    except (OperationError, FileNotFoundError) as error:
        if isinstance(error, StoreError):
            raise
        differing.append(str(error))
    finally:
        _drop(settings, name)
        shutil.rmtree(store, ignore_errors=True)
    return Rehearsal(
        folder,
        str(manifest["taken_at"]),
        len(manifest["rows"]),
        sum(manifest["rows"].values()),
        len(manifest["files"]),
        differing,
        since,
    )


def default_store(settings: Settings, name: str) -> Path:
    """Folder of the files of a database that is brought back beside another: beside its store."""
    own = settings.store
    return own.with_name(f"{own.name}-{name}")


def _check_name(settings: Settings, name: str) -> None:
    if not re.fullmatch(r"\w+", name, flags=re.ASCII) or len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"a database's name has 1 to {_LONGEST_NAME} letters, digits and underscores, got {name!r}."
        )
    with _link(settings) as link, link.cursor() as cursor:
        cursor.execute("SHOW DATABASES")
        known = {str(row[0]).lower() for row in cursor.fetchall()}
    if name.lower() in known | {settings.database.lower()}:
        raise ConfigError(
            f"database {name!r} exists; --as takes the name of a new one, for example "
            f"{settings.database}__tried."
        )


def _check_store(settings: Settings, store: Path) -> None:
    own = settings.store.resolve()
    inside = object_store() is None and (store.is_relative_to(own) or own.is_relative_to(store))
    if inside or (store.exists() and any(store.iterdir())):
        raise ConfigError(
            f"{store} is {'the live store, or holds it' if inside else 'not empty'}; --store takes a new folder."
        )


def _lost_files(settings: Settings, name: str, store: Path, manifest: dict[str, Any]) -> list[str]:
    """Files that the rows that came back name and that did not come with them."""
    known = {*manifest["files"], *manifest["damaged"]}
    with _link(settings, database=name) as link:
        named = {one.path for one in references_in(link, store) if not one.refused}
    return [f"file {path} is named by a row and did not come back" for path in sorted(named - known)]


def _changes(settings: Settings, name: str, tables: list[str]) -> list[str]:
    """What is different in the live database by now, by table."""
    found = []
    with _link(settings) as link, link.cursor() as cursor:
        cursor.execute("SET SESSION TRANSACTION READ ONLY")
        now, then = (_columns(cursor, database) for database in (settings.database, name))
        for table in tables:
            if table.startswith(_FLEETING):
                continue
            if then[table] != now[table]:
                found.append(f"{table}: is not there, or has other columns")
                continue
            found += _changed_rows(cursor, (settings.database, name), table, then[table])
    return found


def _columns(cursor: Any, database: str) -> dict[str, list[tuple[str, bool]]]:
    """Columns of every table, and whether each is of the primary key; of a table that is not there none."""
    cursor.execute(
        "SELECT table_name, column_name, column_key = 'PRI' FROM information_schema.columns "
        "WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        (database,),
    )
    found: dict[str, list[tuple[str, bool]]] = defaultdict(list)
    for table, column, primary in cursor.fetchall():
        found[str(table)].append((str(column), bool(primary)))
    return found


def _changed_rows(
    cursor: Any, databases: tuple[str, str], table: str, columns: list[tuple[str, bool]]
) -> list[str]:
    keys = [column for column, primary in columns if primary]
    on = " AND ".join(f"saved.`{key}` = live.`{key}`" for key in keys)
    same = " AND ".join(f"saved.`{column}` <=> live.`{column}`" for column, _ in columns)
    live, saved = databases
    gone = f"live.`{keys[0]}` IS NULL"
    cursor.execute(
        f"SELECT COUNT(*), COALESCE(SUM({gone}), 0), COALESCE(SUM(NOT ({gone}) AND NOT ({same})), 0), "
        f"(SELECT COUNT(*) FROM `{live}`.`{table}`) "
        f"FROM `{saved}`.`{table}` AS saved LEFT JOIN `{live}`.`{table}` AS live ON {on}"
    )
    n_saved, n_gone, n_changed, n_live = (int(value) for value in cursor.fetchone())
    counts = {"added": n_live - (n_saved - n_gone), "gone": n_gone, "changed": n_changed}
    told = ", ".join(f"{n} {what}" for what, n in counts.items() if n)
    return [f"{table}: {told}"] if told else []


def _drop(settings: Settings, name: str) -> None:
    """Remove the database of a rehearsal; nothing else can have its name."""
    assert name.startswith(f"{settings.database}{_TRIED}")
    try:
        with _link(settings) as link, link.cursor() as cursor:
            cursor.execute(f"DROP DATABASE IF EXISTS `{name}`")
    except pymysql.MySQLError as error:
        if error.args[:1] != (_NOT_ALLOWED,):  # then it could not be made either
            raise OperationError(
                f"database {name!r} could not be removed ({error}): DROP DATABASE `{name}`."
            ) from None


def _link(settings: Settings, **options: Any) -> Any:
    return pymysql.connect(**settings.driver(), autocommit=True, charset="utf8mb4", **options)
