"""Guards around DataJoint: comments that run as Python, blobs that expand, settings of other owners, bytes cut short.

DataJoint 2.3.6 closes the first three and is in no registry yet; raise the floor in pyproject.toml when it is, and
remove what it makes superfluous.
"""

from __future__ import annotations

import functools
import os
import re
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
from datajoint import blob, declare, lineage  # type: ignore[attr-defined]  # the stubs have no lineage
from datajoint.expression import QueryExpression  # type: ignore[import-untyped]
from datajoint.heading import Attribute, Heading  # type: ignore[import-untyped]
from datajoint.jobs import Job  # type: ignore[import-untyped]
from datajoint.settings import config as datajoint_config  # type: ignore[import-untyped]
from datajoint.table import FreeTable, Table  # type: ignore[import-untyped]

from decortex.errors import ConfigError, DatabaseError
from decortex_schemas.database.server.headings import read_together
from decortex_schemas.database.server.tls import read_no_authorities

# No blob of decortex comes near it: the largest is an array of some numbers per neuron.
LARGEST_BLOB = 2**30
_COMPRESSED = b"ZL123\0"
# What may stand behind the arrow of a foreign key: a class, or one of a module that is in scope, and columns renamed.
_RENAMED = r"\s*[A-Za-z]\w*\s*=\s*(?:'\w+'|\"\w+\")\s*"
_CLASS = re.compile(rf"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*(\.proj\({_RENAMED}(,{_RENAMED})*\))?")
# What a type of DataJoint or MySQL looks like, in one line: int32, varchar(8), decimal(6,2), enum('a','b'), <blob>.
_TYPE = re.compile(r"<?[A-Za-z_]\w*(@\w*)?>?( ?\([\w ,.'\-+]*\))?( (unsigned|zerofill))*")


def install() -> None:
    """Put the guards into DataJoint; once per process, again without effect."""
    if declare.compile_foreign_key is _guarded_foreign_key:
        return
    declare.compile_foreign_key = _guarded_foreign_key
    # Equal, in half the time: every join makes one per column.
    Attribute.todict = Attribute._asdict
    Job._get_fk_derived_pk_attrs = _guarded_key
    vars(blob)["compression"][_COMPRESSED] = expand
    QueryExpression.to_arrays = whole_arrays
    FreeTable.__init__ = _with_known_heading
    Heading.attributes = property(_visible_attributes)
    read_together()
    read_no_authorities()


_compile = declare.compile_foreign_key
_key_types = Job._get_fk_derived_pk_attrs
_to_arrays = QueryExpression.to_arrays
_free_table = FreeTable.__init__
_is_declared, _declare = Table.is_declared, Table.declare


@contextmanager
def declared_by_one() -> Iterator[None]:
    """Remember what is declared, and where columns come from, while this process declares under the lock of that.

    While all tables are declared, DataJoint asks the server three times of each whether it is there, of each column of
    a foreign key where its parent's comes from, and some 1,500 times for the table of lineages. Nobody else declares or
    drops one meanwhile. It also parses the line of every column, a millisecond each, of which most tables share some.
    """
    ensure, exists, one, insert = (
        lineage.ensure_lineage_table,
        lineage.lineage_table_exists,
        lineage.get_lineage,
        lineage.insert_lineages,
    )
    there: set[tuple[int, str]] = set()
    tables: dict[str, set[str]] = {}
    origins: dict[tuple[str, str], dict[str, str]] = {}
    parser = declare.attribute_parser
    parsed: dict[str, dict[str, str]] = {}

    def parse(line: str, *, parse_all: bool) -> dict[str, str]:
        if line not in parsed:
            parsed[line] = dict(parser.parse_string(line, parse_all=parse_all).items())
        return dict(parsed[line])  # the caller changes what it gets

    def ensured(connection: Any, database: str) -> None:
        if (id(connection), database) not in there:
            ensure(connection, database)
            there.add((id(connection), database))

    def found(connection: Any, database: str) -> bool:
        if (id(connection), database) in there:
            return True
        answer = bool(exists(connection, database))
        if answer:
            there.add((id(connection), database))
        return answer

    def origin(connection: Any, database: str, table: str, attribute: str) -> str | None:
        if (database, table) not in origins:
            origins[database, table] = lineage.get_table_lineages(connection, database, table)
        return origins[database, table].get(attribute)

    def inserted(connection: Any, database: str, entries: list[tuple[str, str, str]]) -> None:
        insert(connection, database, entries)
        for table, _, _ in entries:
            origins.pop((database, table), None)

    def is_declared(table: Any) -> bool:
        if table.database not in tables:
            rows = table.connection.query(
                "SELECT table_name FROM information_schema.tables WHERE table_schema = %s",
                args=(table.database,),
            ).fetchall()
            tables[table.database] = {str(row[0]) for row in rows}
        return table.table_name in tables[table.database]

    def declare_it(table: Any, *rest: Any) -> None:
        _declare(table, *rest)
        tables.setdefault(table.database, set()).add(table.table_name)

    lineage.ensure_lineage_table, lineage.lineage_table_exists = ensured, found
    lineage.get_lineage, lineage.insert_lineages = origin, inserted
    Table.is_declared, Table.declare = property(is_declared), declare_it
    declare.attribute_parser = SimpleNamespace(parse_string=parse)
    try:
        yield
    finally:
        lineage.ensure_lineage_table, lineage.lineage_table_exists = ensure, exists
        lineage.get_lineage, lineage.insert_lineages = one, insert
        Table.is_declared, Table.declare = _is_declared, _declare
        declare.attribute_parser = parser


def _guarded_foreign_key(line: str, context: dict[str, Any], *rest: Any, **options: Any) -> Any:
    """Refuse a foreign key that names no class; DataJoint hands whatever stands there to ``eval``."""
    named = re.sub(r"^->\s*(\[[^\]]*\])?", "", line.partition("#")[0].strip()).strip()
    if not _CLASS.fullmatch(named):
        raise DatabaseError(
            f"a definition refers to {named[:80]!r}, which is no name of a table; nothing was declared."
        )
    return _compile(line, context, *rest, **options)


def _guarded_key(jobs: Any) -> list[tuple[str, str]]:
    """Refuse a queue whose key's types, which DataJoint reads from the comments of columns, are none.

    DataJoint reads the graph of all foreign keys anew for every queue; where it holds the table, it is not read again.
    """
    graph = jobs._connection.dependencies
    with _read_once(graph) if jobs._target.full_table_name in graph else nullcontext():
        found: list[tuple[str, str]] = _key_types(jobs)
    for name, kind in found:
        if not _TYPE.fullmatch(str(kind)):
            raise DatabaseError(
                f"the comment of column {name!r} of {jobs._target.full_table_name} says that its type is "
                f"{str(kind)[:80]!r}, which is none: somebody altered it. Nothing of it was run or declared; an "
                "administrator restores the column's comment."
            )
    return found


def _visible_attributes(heading: Any) -> dict[str, Any]:
    """Columns of a heading by name, without hidden ones; nobody changes them.

    DataJoint makes them anew at every look, which its joins and projections take for every column.
    """
    if heading._attributes is None:
        heading._init_from_database()
    every: dict[str, Any] | None
    visible: dict[str, Any]
    every, visible = vars(heading).get("_visible", (None, {}))
    if every is not heading._attributes:
        visible = {name: one for name, one in heading._attributes.items() if not one.is_hidden}
        heading._visible = (heading._attributes, visible)
    return visible


def _with_known_heading(table: Any, connection: Any, full_table_name: str) -> None:
    """Read the columns of a table once per connection.

    A deletion walks over every table that can rest on the rows, three times where it is counted and checked first, and
    DataJoint asks the server seven questions about each at every step.
    """
    _free_table(table, connection, full_table_name)
    known = getattr(connection, "headings", None)
    if known is not None:
        table._heading = known.setdefault(full_table_name, table._heading)


def whole_arrays(expression: Any, *attrs: str, include_key: bool = False, **options: Any) -> Any:
    """Fetch columns as DataJoint's ``to_arrays`` does, and bytes as they are, in arrays of objects.

    DataJoint makes an array of numpy's byte strings of them, which end at their last byte that is not zero: a
    checkpoint or an ``.npy`` file then lacks what followed, and nothing says so.

    Parameters
    ----------
    expression : QueryExpression
        What is fetched.
    attrs : str
        Columns; all, as a structured array, if none.
    include_key : bool
        Put the keys before the columns.
    options
        ``order_by``, ``limit``, ``offset``, ``squeeze``.
    """
    found = _to_arrays(expression, *attrs, include_key=include_key, **options)
    arrays = found if isinstance(found, tuple) else (found,)
    if not any(isinstance(one, np.ndarray) and one.dtype.kind == "S" for one in arrays):
        return found
    # Once more, keys and all: two fetches without an order may come in different ones.
    squeeze = options.pop("squeeze", False)
    top = {name: options.get(name) for name in ("order_by", "limit", "offset")}
    rows = expression._apply_top(*top.values()).proj(*attrs).to_dicts(squeeze=squeeze)
    columns = [_column([row[name] for row in rows]) for name in attrs]
    if include_key:
        return ([{name: row[name] for name in expression.primary_key} for row in rows], *columns)
    return columns[0] if len(columns) == 1 else tuple(columns)


def _column(values: list[Any]) -> Any:
    """An array of values; of bytes, and of what has no common shape, one of objects."""
    if not any(isinstance(value, bytes) for value in values):
        try:
            return np.array(values)
        except ValueError:
            pass
    column = np.empty(len(values), dtype=object)
    for place, value in enumerate(values):
        column[place] = value
    return column


@contextmanager
def _read_once(graph: Any) -> Iterator[None]:
    """Let a graph that is loaded be as it is."""
    graph.load = functools.partial(type(graph).load, graph, force=False)
    try:
        yield
    finally:
        del graph.load


def expand(compressed: bytes) -> bytes:
    """Expand a compressed blob, up to `LARGEST_BLOB` bytes.

    Parameters
    ----------
    compressed : bytes
        As zlib wrote it.

    Raises
    ------
    DatabaseError
        If it is larger, before the memory is taken, or cut off.
    zlib.error
        If it is not of zlib.
    """
    engine = zlib.decompressobj()
    whole = engine.decompress(compressed, LARGEST_BLOB + 1)
    if len(whole) > LARGEST_BLOB:
        raise DatabaseError(
            f"a stored value of {len(compressed)} bytes expands to more than {LARGEST_BLOB} bytes, which no value of "
            "decortex does; it was not read. Delete its row and compute it again."
        )
    if not engine.eof:
        raise DatabaseError(
            f"a stored value of {len(compressed)} bytes is cut off; delete its row and compute it again."
        )
    return whole


def refuse_foreign_settings() -> None:
    """Refuse settings that DataJoint read from files which another account may write.

    DataJoint looks for ``datajoint.json`` and ``.secrets`` in the current folder and all above it. decortex takes
    nothing from them and tells DataJoint so when it is imported first; where DataJoint was imported before, or
    ``DJ_IGNORE_CONFIG_FILE`` is set to false, they must belong to this account or to root, and nobody else may write
    them or their folder.

    Raises
    ------
    ConfigError
        If one does not; the message names it and the way out.
    """
    config: Any = datajoint_config
    for path in (getattr(config, "_config_path", None), getattr(config, "_secrets_dir", None)):
        if path is None:
            continue
        for one in (Path(path).absolute(), Path(path).absolute().parent):
            fault = _foreign(one)
            if fault:
                raise ConfigError(
                    f"DataJoint read its settings from {Path(path).absolute()}, and {one} {fault}: whoever wrote them "
                    "decides where data go. Set DJ_IGNORE_CONFIG_FILE=true (decortex needs no such file), or take "
                    "the right to write from others."
                )


def _foreign(path: Path) -> str:
    """Why others decide what stands in a file or folder; empty if they do not."""
    status = path.stat()
    if status.st_uid not in (os.getuid(), 0):
        return f"belongs to another account (number {status.st_uid})"
    sticky_folder = stat.S_ISDIR(status.st_mode) and status.st_mode & stat.S_ISVTX
    if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH) and not sticky_folder:
        return f"may be written by others (mode {stat.S_IMODE(status.st_mode):o})"
    return ""
