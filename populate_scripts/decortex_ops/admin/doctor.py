"""Is everything as a lab needs it? One check a subject: good, or what is wrong and what to do. Writes nothing."""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Callable, Iterator
from datetime import timezone
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pymysql
from datajoint.errors import DataJointError

from decortex.config import config_hash
from decortex.errors import DecortexError
from decortex_ops.admin import roles
from decortex_ops.admin.health_check import Check, gigabytes
from decortex_ops.admin.work_checks import work_checks
from decortex_ops.server import EmbeddedServer
from decortex_schemas import queries
from decortex_schemas.database import (
    ALLOW_DIRTY,
    Settings,
    check_server,
    describe_environment,
    object_store,
    read_settings,
)

# Two clocks that differ by more put rows of one minute into the wrong order.
MOST_OFFSET_SECONDS = 2.0
# A disk is too full below either.
LEAST_FREE_SHARE, LEAST_FREE_BYTES = 0.05, 2e9
_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_LOST = (pymysql.MySQLError, DataJointError, DecortexError, OSError)


NAMES = (
    "server",
    "account",
    "tables",
    "store",
    "disk of the store",
    "disk of the server",
    "clock",
    "environment",
    "scheduler",
    "workers",
    "oldest waiting key",
    "failed keys",
    "last backup",
)


def examine() -> list[Check]:
    """Look at everything; what cannot be asked because something before it failed is said to be unknown.

    Returns
    -------
    list of Check
        One for every name in `NAMES`, in their order.

    Examples
    --------
    >>> [check.name for check in examine() if check.good is False]          # doctest: +SKIP
    ['last backup']
    """
    found: dict[str, Check] = {}
    try:
        for check in _every():
            # What is wrong stays said; what looked good is replaced by a closer look.
            if check.name not in found or found[check.name].good is not False:
                found[check.name] = check
    except _UnknownError as missing:
        for name in NAMES:
            found.setdefault(name, Check(name, None, str(missing)))
    return [found[name] for name in NAMES]


class _UnknownError(Exception):
    """What comes after this cannot be asked."""


def _every() -> Iterator[Check]:
    yield (software := _of_environment())
    if not os.environ.get("DJ_HOST"):
        state = EmbeddedServer().status().state
        if state != "running":
            yield Check(
                "server",
                False,
                f"embedded server: {state.replace('_', ' ')}",
                "start it: `decortex db start`",
            )
            raise _UnknownError("the server cannot be asked")
    try:
        settings = read_settings()
        number = check_server(settings)
        facts = _facts(settings)
    except _LOST as error:
        yield Check("server", False, "cannot be used", str(error))
        raise _UnknownError("the server cannot be asked") from None
    yield _of_server(settings, number, facts)
    yield _of_clock(facts)
    yield _of_server_disk(settings, facts)
    role = _role(settings)
    yield _of_account(settings, role)
    yield from _of_store(settings, must_write=role not in ("", "viewer"))
    try:
        queries.connect_to_read()
    except _LOST as error:
        yield Check("tables", False, f"database {settings.database!r} cannot be used", str(error))
        raise _UnknownError("there are no tables to ask") from None
    yield Check("tables", True, f"database {settings.database!r}, schema version {queries.schema_version()}")
    if object_store() is not None or settings.store.is_dir():
        yield _of_files(settings)
    yield _of_known_environment(software)
    yield from work_checks(settings.database, role)


def _facts(settings: Settings) -> dict[str, Any]:
    """What the server says of itself, its time as seconds since 1970 and when it was asked."""
    with (
        pymysql.connect(**settings.driver(), connect_timeout=10, read_timeout=20) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SELECT @@read_only, @@datadir")
        read_only, folder = cursor.fetchone()
        cursor.execute("SHOW SESSION STATUS LIKE 'Ssl_cipher'")
        cipher = str(cursor.fetchone()[1])
        asked = time.time()
        cursor.execute("SELECT UTC_TIMESTAMP(6)")
        told = cursor.fetchone()[0].replace(tzinfo=timezone.utc).timestamp()
        answered = time.time()
    return {
        "read_only": bool(read_only),
        "folder": str(folder),
        "cipher": cipher,
        "offset": told - (asked + answered) / 2,
        "uncertain": (answered - asked) / 2,
    }


def _of_server(settings: Settings, number: str, facts: dict[str, Any]) -> Check:
    encrypted = f"encrypted ({facts['cipher']})" if facts["cipher"] else "not encrypted"
    found = f"MySQL {number} at {settings.host}:{settings.port}, {encrypted}"
    if facts["read_only"]:
        return Check(
            "server",
            False,
            f"{found}, takes no writes",
            "set DJ_HOST to the server that does, or end read_only",
        )
    if not facts["cipher"] and settings.host not in _LOOPBACK:
        return Check(
            "server",
            False,
            found,
            "unset DJ_USE_TLS=false, or have the server offer TLS (docs/operations/access.md)",
        )
    return Check("server", True, found)


def _of_clock(facts: dict[str, Any]) -> Check:
    offset, uncertain = facts["offset"], facts["uncertain"]
    found = f"the server's is {abs(offset):.1f} s {'ahead of' if offset > 0 else 'behind'} this machine's"
    if abs(offset) > MOST_OFFSET_SECONDS + uncertain:
        return Check(
            "clock", False, found, "set both by NTP (`timedatectl`): rows say UTC by the worker's clock"
        )
    return Check("clock", True, found)


def _of_server_disk(settings: Settings, facts: dict[str, Any]) -> Check:
    folder = Path(facts["folder"])
    if settings.host not in _LOOPBACK or not folder.is_dir():
        return Check(
            "disk of the server",
            None,
            f"{folder} on {settings.host} is not seen from here: look there (`df`)",
        )
    return _of_disk(
        "disk of the server",
        folder,
        "`decortex study remove NAME` removes what no other study needs; or give the server a larger disk",
    )


def _of_disk(name: str, folder: Path, todo: str) -> Check:
    usage = shutil.disk_usage(folder)
    found = f"{gigabytes(usage.free)} of {gigabytes(usage.total)} free at {folder}"
    if usage.free < LEAST_FREE_BYTES or usage.free < LEAST_FREE_SHARE * usage.total:
        return Check(name, False, found, todo)
    return Check(name, True, found)


def _role(settings: Settings) -> str:
    """Role of this account here; 'server' for one that may create users, empty for none."""
    try:
        _, role = roles.whoami(settings)
        return role or ("server" if roles.may_create_users(settings) else "")
    except DecortexError:
        return ""


def _of_account(settings: Settings, role: str) -> Check:
    if role == "server":
        return Check("account", True, f"{settings.user}: administrator of the server")
    if role:
        return Check("account", True, f"{settings.user}: {role} ({roles.MEANING[role]})")  # type: ignore[index]
    asked = os.environ.get(roles.ADMINISTRATOR) or "an administrator"
    return Check(
        "account",
        False,
        f"{settings.user}: no role of database {settings.database!r}",
        f"ask {asked} for `decortex db grant {settings.user} --role viewer` (docs/operations/access.md)",
    )


def _of_store(settings: Settings, *, must_write: bool) -> Iterator[Check]:
    bucket = object_store()
    if bucket is not None:
        yield Check("disk of the store", True, "a bucket has no end")
        return
    folder = settings.store
    if not folder.is_dir():
        yield Check(
            "store",
            False,
            f"{folder} is not there",
            "mount it, or set DECORTEX_STORE; `decortex init` makes a new one",
        )
        yield Check("disk of the store", None, "there is no store")
        return
    if must_write and not os.access(folder, os.W_OK | os.X_OK):
        yield Check(
            "store",
            False,
            f"{_owner(folder)}; this account may not write",
            "computing takes it: share it with a group (docs/operations/lab-server.md, the store)",
        )
    yield Check("store", True, _owner(folder))
    yield _of_disk(
        "disk of the store", folder, "`decortex gc --delete`, `decortex study remove NAME`, or a larger disk"
    )


def _owner(folder: Path) -> str:
    """Whose a folder is and who may write in it, in words."""
    import grp  # noqa: PLC0415  (not on every system)
    import pwd  # noqa: PLC0415

    status = folder.stat()

    def named(look: Callable[[int], Any], number: int, which: str) -> str:
        try:
            return str(getattr(look(number), which))
        except KeyError:
            return str(number)

    writers = [f"user {named(pwd.getpwuid, status.st_uid, 'pw_name')}"]
    if status.st_mode & stat.S_IWGRP:
        writers.append(f"group {named(grp.getgrgid, status.st_gid, 'gr_name')}")
    if status.st_mode & stat.S_IWOTH:
        writers.append("everybody")
    return f"{folder}, writable by {' and '.join(writers)}"


def _of_files(settings: Settings) -> Check:
    """Whether the store is that of the database: one file of every table is there."""
    where = _owner(settings.store) if object_store() is None else os.environ["DECORTEX_STORE"]
    try:
        lost = queries.lost_sample()
    except _LOST as error:
        return Check("store", False, where, str(error))
    if lost is not None:
        return Check(
            "store",
            False,
            f"{where}; {lost} is not in it",
            "if this is another lab's store, set DECORTEX_STORE; else `decortex verify` lists what is missing",
        )
    return Check("store", True, where)


def _of_environment() -> Check:
    facts = describe_environment()
    commit = (facts["git_commit"] or "unknown")[:12]
    digest = config_hash({**facts, "threads": 1})
    found = f"decortex {facts['decortex_version']}, commit {commit}, digest {digest[:12]}"
    if facts["dirty"]:
        found += ", uncommitted changes"
        if os.environ.get("DJ_HOST") and os.environ.get(ALLOW_DIRTY) != "1":
            return Check(
                "environment", False, found, f"commit them and install again, or set {ALLOW_DIRTY}=1"
            )
    return Check("environment", True, found)


def _of_known_environment(check: Check) -> Check:
    """The same, against the environments that the database knows."""
    facts = describe_environment()
    digest = config_hash({**facts, "threads": 1})
    rows = queries.known_environments()
    own = [row["env_id"] for row in rows if row["env_hash"] == digest]
    known = f"environment {own[0]} of the database" if own else "new to the database"
    found = f"{check.found}, {known}"
    if rows and rows[-1]["decortex_version"] != version("decortex"):
        return Check(
            "environment",
            False,
            f"{found}; the newest there is of decortex {rows[-1]['decortex_version']}",
            "install one version everywhere (docs/operations/backup.md, upgrades)",
        )
    return Check("environment", True, found)
