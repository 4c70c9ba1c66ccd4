"""Rows of one table as SQL, and a digest of them. A backup writes with it, a restore checks with it."""

from __future__ import annotations

import hashlib
import re
from typing import Any

from pymysql.converters import escape_string

# Digest of no rows.
NO_ROWS = f"{0:064x}"
# Bytes of one INSERT, about; a row larger than this has one of its own.
_STATEMENT = 2**20
_TEXT = re.compile(r"'[^'\\]*(?:\\.[^'\\]*)*'", re.DOTALL)
# Of an INSERT of ours without its texts: NULL, numbers in hexadecimal, empty texts.
_VALUES = re.compile(r"INSERT INTO `[^`]+` VALUES [(),'NULx0-9a-f]+;?\n?")
_NAME = re.compile(r"`[^`]+`")
_CREATED = re.compile(r"CREATE TABLE N \((.*)", re.DOTALL)
# In a declaration without texts and names: what reads or names anything else than the table that is declared.
_ELSEWHERE = re.compile(
    r"N\s*\.|/\*|--|#|;.*\S"
    r"|\b(SELECT|LIKE|UNION|TABLE|VALUES|WITH|DIRECTORY|CONNECTION|TABLESPACE|LOAD_FILE)\b",
    re.DOTALL | re.IGNORECASE,
)


def dump_rows(link: Any, name: str, out: Any) -> tuple[int, str]:
    """Write the rows of one table as INSERT statements, one per line.

    Parameters
    ----------
    link : connection
        Whose cursors return every value as MySQL writes it.
    name : str
        Of the table.
    out : text file or None
        None: the rows are read for their digest alone.

    Returns
    -------
    int, str
        How many, and the sum of their sha256: a digest of all that does not depend on their order.
    """
    n_rows, size, total = 0, 0, 0
    values: list[str] = []

    def write() -> None:
        if values and out is not None:
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
            total += int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest(), "big")
    write()
    return n_rows, f"{total % 2**256:064x}"


def _literal(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bytes):
        return f"0x{value.hex()}" if value else "''"
    return f"'{escape_string(str(value))}'"


def execute(link: Any, sql: str, *args: Any) -> list[tuple[Any, ...]]:
    """Rows of one statement."""
    with link.cursor() as cursor:
        cursor.execute(sql, args or None)
        return list(cursor.fetchall())


def is_ours(statement: str) -> bool:
    """Whether a statement of a dump is one that `dump_rows` writes, or a declaration that reads no other table.

    Whoever forges a dump forges its digests too: without this a restore would read other databases, or files of the
    server, with the rights of an administrator.

    Parameters
    ----------
    statement : str
        One line of a dump.

    Examples
    --------
    >>> is_ours("INSERT INTO `study` VALUES ('a',0x00,NULL);")
    True
    >>> is_ours("INSERT INTO `study` VALUES (LOAD_FILE('/etc/passwd'));")
    False
    """
    bare = _TEXT.sub("''", statement)
    if _VALUES.fullmatch(bare):
        return True
    declared = _CREATED.match(_NAME.sub("N", bare))
    return declared is not None and not _ELSEWHERE.search(declared[1])
