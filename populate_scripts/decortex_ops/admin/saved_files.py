"""Files of the store that rows refer to, copied into a backup; tables of any version."""

from __future__ import annotations

import errno
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from decortex_ops.admin.table_rows import execute
from decortex_schemas.database import (
    Reference,
    backend,
    check_store_path,
    class_named,
    folder_of,
    reference_of,
)

# How the comment of a column begins that refers to a file of the store.
_SEALED = ":<sealed_"
_BLOCK = 2**22
# Errors that say something of one file, which is then named, and not of the store or the disk of the backup.
_OF_ONE_FILE = (FileNotFoundError, FileExistsError, IsADirectoryError, NotADirectoryError, PermissionError)
_NUMBERS_OF_ONE_FILE = (errno.EIO, errno.ENAMETOOLONG, errno.ELOOP)


def copy_files(link: Any, folder: Path) -> tuple[dict[str, str], list[str], list[str]]:
    """Copy what the snapshot's rows refer to; returns the digests, the damaged files, and the rows that are refused."""
    store = backend()
    wanted: dict[str, list[Reference]] = {}
    refused = []
    for reference in references_in(link, folder_of(store)):
        if reference.refused:
            refused.append(f"{_row(reference)}: {reference.refused}")
        else:
            wanted.setdefault(reference.path, []).append(reference)
    files, damaged = {}, []
    for path, rows in sorted(wanted.items()):
        # Of rows that name one file the one with its digest is right: another one must not keep it from being saved.
        found = _copy_file(store, path, folder, at_most=max(row.size for row in rows))
        right = [row for row in rows if found is not None and (row.size, row.sha256) == found]
        if not right or found is None:
            damaged.append(path)
            (folder / path).unlink(missing_ok=True)
            continue
        files[path] = found[1]
        refused += [
            f"{_row(row)}: names {path} by another size or sha256 than {_row(right[0])} and the file itself"
            for row in rows
            if row not in right
        ]
    return files, damaged, refused


def references_in(link: Any, root: Path | None) -> Iterator[Reference]:
    """What the rows of a snapshot refer to, by what its columns say of themselves: tables of any version."""
    primary: dict[str, list[str]] = {}
    sealed: list[tuple[str, str]] = []
    for table, column, key, comment in execute(
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
        for *values, stored in execute(link, f"SELECT {listed} FROM `{table}` WHERE `{column}` IS NOT NULL"):
            whole = dict(zip(primary[table], values, strict=True))
            yield reference_of(class_named(table), column, whole, stored=stored, root=root)


def _copy_file(store: Any, path: str, folder: Path, *, at_most: int) -> tuple[int, str] | None:
    """Copy one file of the store into a backup; returns size and sha256 of the copy, None where it cannot be read.

    A file that is longer than any row says is left after so many bytes: it is not the one that was written.
    """
    target = folder / check_store_path(path)
    digest, size = hashlib.sha256(), 0
    try:
        with store.open(path) as source:
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:  # never a file that exists
                while size <= at_most and (block := source.read(_BLOCK)):
                    digest.update(block)
                    size += out.write(block)
    except OSError as error:
        if isinstance(error, _OF_ONE_FILE) or error.errno in _NUMBERS_OF_ONE_FILE:
            return None
        raise
    return size, digest.hexdigest()


def _row(reference: Reference) -> str:
    return f"{reference.table} {json.dumps(reference.key, default=str)[:300]}"
