"""Who may do what in the database: roles as SQL grants, by the kind of table. Keeps no list of users of its own."""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal, get_args

import pymysql
from pymysql.constants import CLIENT

from decortex.errors import ConfigError, DatabaseError
from decortex_schemas.database import Settings, author_rights, refusal_of, server_refusal

Role = Literal["viewer", "worker", "author", "admin"]
ROLES: tuple[Role, ...] = get_args(Role)
MEANING: dict[Role, str] = {
    "viewer": "reads everything",
    "worker": "reads, queues and computes: inserts computed rows, declares and deletes no result",
    "author": "as worker, and registers data, networks, specifications and studies",
    "admin": "everything in this database: declares, deletes, drops",
}
# Whom to ask for a role: a name or an address, set by the lab.
ADMINISTRATOR = "DECORTEX_ADMIN"
_NAME_LENGTH = 32  # of a user or role, by MySQL
_CODES = {
    1227: "this account may not manage users (it needs CREATE USER and GRANT OPTION, as the server's root has)",
    1044: "this account may not grant rights on this database (it needs GRANT OPTION)",
    1142: "this account may not manage accounts (it needs CREATE USER and GRANT OPTION, as the server's root has)",
    1410: "this account may not grant rights (it needs GRANT OPTION)",
    1819: "the server's password policy refuses this password",
}


@contextmanager
def administration(settings: Settings) -> Iterator[pymysql.connections.Connection[Any]]:
    """Open a connection of its own for statements on users; no statement of it is logged anywhere.

    Raises
    ------
    DatabaseError
        If the server refuses a statement. The message holds its number and reason, never its text.
    """
    try:
        with pymysql.connect(**settings.driver(), autocommit=True) as link:
            yield link
    except pymysql.MySQLError as error:
        code = int(error.args[0]) if error.args else 0
        reason = _CODES.get(code) or server_refusal(error) or error.__class__.__name__
        raise DatabaseError(f"the server refused (error {code}): {reason}.") from None


def role_name(database: str, role: Role) -> str:
    """Name of the SQL role; names that MySQL would find too long end in a digest."""
    name = f"{database}_{role}"
    if len(name) <= _NAME_LENGTH:
        return name
    digest = hashlib.sha256(database.encode()).hexdigest()[:8]
    return f"{database[: _NAME_LENGTH - len(role) - 10]}_{digest}_{role}"


def table_rights(table: str, role: Role) -> tuple[str, ...]:
    """Rights of a role on one table beside SELECT, by the kind that the table's name tells.

    Parameters
    ----------
    table : str
        Name in MySQL: ``~~x`` is a queue, ``__x`` computed, ``_x`` imported, ``#x`` a lookup table.
    role : str
        'worker' or 'author'.
    """
    if table.startswith("~~") or table == "worker_lease":
        return ("INSERT", "UPDATE", "DELETE")
    if table.startswith("_") or table == "environment":
        return ("INSERT",)
    if role != "author" or table.startswith("~"):
        return ()
    return author_rights().get(table, ("INSERT",))


def refresh_roles(settings: Settings) -> None:
    """Create the roles of this database and give each its rights on the tables that there are now."""
    name = settings.database
    with administration(settings) as link, link.cursor() as cursor:
        cursor.execute("SELECT table_name FROM information_schema.tables WHERE table_schema = %s", (name,))
        tables = sorted(str(row[0]) for row in cursor.fetchall())
        if "#schema_version" not in tables:
            raise DatabaseError(f"database {name!r} holds no tables yet: `decortex init` declares them.")
        for role in ROLES:
            own = role_name(name, role)
            cursor.execute("CREATE ROLE IF NOT EXISTS %s", (own,))
            rights = "ALL PRIVILEGES" if role == "admin" else "SELECT"
            cursor.execute(f"GRANT {rights} ON `{_pattern(name)}`.* TO %s", (own,))
            if role == "admin":  # databases beside this one: backups that are tried
                cursor.execute(f"GRANT {rights} ON `{_pattern(name + '__')}%%`.* TO %s", (own,))
            if role in ("worker", "author"):
                held = _held(cursor, name, own)
                for table in tables:
                    missing = [right for right in table_rights(table, role) if (table, right) not in held]
                    if missing:
                        cursor.execute(f"GRANT {', '.join(missing)} ON `{name}`.`{table}` TO %s", (own,))


def _held(cursor: Any, database: str, role: str) -> set[tuple[str, str]]:
    """Rights on whole tables that a role has, as table and right: each statement that grants takes milliseconds."""
    cursor.execute(
        "SELECT table_name, table_priv FROM mysql.tables_priv WHERE db = %s AND user = %s AND host = '%%'",
        (database, role),
    )
    return {
        (str(table), right) for table, rights in cursor.fetchall() for right in str(rights).upper().split(",")
    }


def grant(
    settings: Settings,
    user: str,
    role: Role,
    *,
    host: str = "%",
    password: str | None = None,
    require_tls: bool = False,
) -> bool:
    """Give a user one role of this database in place of any other; returns whether the account is new.

    Parameters
    ----------
    settings : Settings
        Of an account that may create users.
    user : str
        Name of the account.
    role : {'viewer', 'worker', 'author', 'admin'}
        What it may do.
    host : str
        From where it may come, as MySQL takes it.
    password : str, optional
        Of a new account, or the new one of an old account.
    require_tls : bool
        Refuse connections of this account that are not encrypted.

    Raises
    ------
    ConfigError
        If the name cannot be one, or a new account comes without a password.
    DatabaseError
        If the server refuses.
    """
    account = _account(user, host)
    if user == settings.user:
        raise ConfigError(f"{user!r} is the account that you are using; grant to another.")
    new = not user_exists(settings, user, host)
    if new and not password:
        raise ConfigError(f"the account {user!r}@{host!r} is new and needs a password.")
    refresh_roles(settings)
    with administration(settings) as link, link.cursor() as cursor:
        if new:
            cursor.execute("CREATE USER %s@%s IDENTIFIED BY %s", (*account, password))
        try:
            if require_tls:
                cursor.execute("ALTER USER %s@%s REQUIRE SSL", account)
            for other in ROLES:
                if other != role:
                    _revoke_role(cursor, role_name(settings.database, other), account)
            cursor.execute("GRANT %s TO %s@%s", (role_name(settings.database, role), *account))
            cursor.execute("SET DEFAULT ROLE ALL TO %s@%s", account)
            if password and not new:  # last: whoever gave it knows that it holds if nothing was refused
                cursor.execute("ALTER USER %s@%s IDENTIFIED BY %s", (*account, password))
        except pymysql.MySQLError:
            if new:  # an account whose password nobody keeps
                cursor.execute("DROP USER IF EXISTS %s@%s", account)
            raise
    return new


def revoke(settings: Settings, user: str, *, host: str = "%") -> None:
    """Take every role of this database from a user; the account stays, for what else it may have.

    Raises
    ------
    ConfigError
        If there is no such account.
    DatabaseError
        If the server refuses.
    """
    account = _account(user, host)
    if not user_exists(settings, user, host):
        raise ConfigError(
            f"there is no account {user!r}@{host!r}; `decortex db users` lists those with a role."
        )
    with administration(settings) as link, link.cursor() as cursor:
        for role in ROLES:
            _revoke_role(cursor, role_name(settings.database, role), account)


def users(settings: Settings) -> list[dict[str, str]]:
    """List the accounts that have a role of this database."""
    by_name = {role_name(settings.database, role): role for role in ROLES}
    with administration(settings) as link, link.cursor() as cursor:
        cursor.execute("SELECT to_user, to_host, from_user FROM mysql.role_edges ORDER BY to_user, to_host")
        return [
            {"user": str(user), "host": str(host), "role": by_name[str(role)]}
            for user, host, role in cursor.fetchall()
            if str(role) in by_name
        ]


def user_exists(settings: Settings, user: str, host: str) -> bool:
    """Whether the server knows this account."""
    with administration(settings) as link, link.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM mysql.user WHERE user = %s AND host = %s", (user, host))
        return bool(cursor.fetchone()[0])


def new_password() -> str:
    """Make a password of 32 letters and digits."""
    return secrets.token_hex(16)


def _revoke_role(cursor: Any, role: str, account: tuple[str, str]) -> None:
    cursor.execute(
        "SELECT COUNT(*) FROM mysql.role_edges WHERE from_user = %s AND to_user = %s AND to_host = %s",
        (role, *account),
    )
    if cursor.fetchone()[0]:
        cursor.execute("REVOKE %s FROM %s@%s", (role, *account))


def _account(user: str, host: str) -> tuple[str, str]:
    if not 0 < len(user) <= _NAME_LENGTH or not user.isprintable() or user != user.strip():
        raise ConfigError(f"a user's name has 1 to {_NAME_LENGTH} printable characters, got {user[:40]!r}.")
    return user, host


def _pattern(database: str) -> str:
    """The database's name where MySQL takes a pattern, in which an underscore is any character."""
    return database.replace("_", r"\_")


def whoami(settings: Settings) -> tuple[str, Role | None]:
    """Name of the account, as the server knows it, and its role of this database, if it has one."""
    with administration(settings) as link, link.cursor() as cursor:
        cursor.execute("SELECT CURRENT_USER(), CURRENT_ROLE()")
        user, held = cursor.fetchone()
    names = {name.partition("@")[0].strip("`") for name in str(held).split(",")}
    return str(user), next(
        (role for role in reversed(ROLES) if role_name(settings.database, role) in names), None
    )


def may_create_users(settings: Settings) -> bool:
    """Whether this account may manage accounts, as the server's root may."""
    with administration(settings) as link, link.cursor() as cursor:
        cursor.execute("SHOW GRANTS")
        grants = " ".join(
            str(row[0]).partition(" ON *.*")[0] for row in cursor.fetchall() if " ON *.*" in row[0]
        )
    return "CREATE USER" in grants or "ALL PRIVILEGES" in grants


def role_needed(refusal: str) -> Role:
    """The least role that may do what the server refused.

    Parameters
    ----------
    refusal : str
        The server's message, for example "INSERT command denied to user 'ada'@'%' for table 'study'".
    """
    match = re.search(
        r"^(\w+)(?:, \w+)* command denied .* for table [`'](?:[^`']+`\.`)?([^`']+)[`']", refusal
    )
    if match is None:
        return "admin"
    right, table = match[1].upper(), match[2].rpartition(".")[2]
    for role in ("viewer", "worker", "author"):
        rights = ("SELECT",) if role == "viewer" else table_rights(table, role)
        if any(one.split(" ")[0] == right for one in rights):
            return role
    return "admin"


def explain_refusal(settings: Settings, refusal: str, *, least: str | None = None) -> str:
    """Say who one is, which role a refused statement takes, and who gives it.

    Parameters
    ----------
    settings : Settings
        Of the account.
    refusal : str
        The server's message.
    least : str, optional
        The least role that the whole command takes, where it is known.
    """
    needed: str = role_needed(refusal)
    if least is not None:
        needed = max(needed, least, key=[str(role) for role in ROLES].index)
    try:
        user, role = whoami(settings)
    except DatabaseError:
        user, role = settings.user, None
    asked = os.environ.get(ADMINISTRATOR) or "an administrator of this database"
    who = f"you are {user}, {f'role {role}' if role else 'without a role'} of database {settings.database!r}"
    if role == "admin":
        return (
            f"{who}, and may not do that ({refusal}). It takes more than a role of this database gives, as "
            f"the server's root has it: ask {asked} (docs/operations/access.md)."
        )
    return (
        f"{who}, and may "
        f"not do that ({refusal}). It takes the role {needed}: ask {asked} for "
        f"`decortex db grant {settings.user} --role {needed}` (docs/operations/access.md)."
    )


class _Expired(pymysql.connections.Connection):  # type: ignore[misc,type-arg,unused-ignore]
    """A connection that sends no statement of its own first: an expired account may only change its password."""

    def set_character_set(self, charset: str, collation: str | None = None) -> None:
        """Keep the character set of the handshake."""


def change_own_password(settings: Settings, password: str) -> str:
    """Set another password of the account that one is; an expired one too. Returns the account's name.

    Parameters
    ----------
    settings : Settings
        Of the account, with its password until now.
    password : str
        The new one.

    Raises
    ------
    DatabaseError
        If the server refuses the account or the new password.
    """
    driver = {**settings.driver(), "client_flag": CLIENT.HANDLE_EXPIRED_PASSWORDS}
    try:
        with _Expired(**driver, autocommit=None) as link, link.cursor() as cursor:
            cursor.execute("ALTER USER USER() IDENTIFIED BY %s", (password,))
            cursor.execute("SELECT CURRENT_USER()")
            return str(cursor.fetchone()[0])
    except pymysql.MySQLError as error:
        code = int(error.args[0]) if error.args else 0
        reason = refusal_of(error) or _CODES.get(code, error.__class__.__name__)
        raise DatabaseError(f"the server refused (error {code}): {reason}.") from None
