"""`decortex db grant|revoke|users`: who may read, compute, register and delete."""

from __future__ import annotations

import getpass
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer

from decortex.errors import ConfigError
from decortex_ops.cli.legends import print_table, several
from decortex_ops.cli.output import JsonFlag, out, print_json
from decortex_ops.cli.session import open_server

HostOption = Annotated[str, typer.Option(help="From where the account may come, as MySQL takes it.")]
PASSWORD_VARIABLE = "DECORTEX_NEW_PASSWORD"


def grant(
    user: Annotated[str, typer.Argument(help="Name of the account; a new one is created.")],
    role: Annotated[str, typer.Option(help="viewer, worker, author or admin.")],
    host: HostOption = "%",
    password_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the new account's password; made if it does not exist."),
    ] = None,
    require_tls: Annotated[
        bool,
        typer.Option("--require-tls", help="Refuse this account over connections that are not encrypted."),
    ] = False,
) -> None:
    """Let a user view (viewer), compute (worker), declare studies (author) or delete (admin).

    The password of a new account comes from --password-file, from DECORTEX_NEW_PASSWORD, or from a prompt; never from
    the command line. Example: decortex db grant ada --role viewer --password-file ada.password
    """
    from decortex_ops.admin import roles as access
    from decortex_schemas.database import read_settings

    if role not in access.ROLES:
        meaning = "; ".join(f"{name}: {what}" for name, what in access.MEANING.items())
        raise typer.BadParameter(f"there is no role {role!r}. {meaning}", param_hint="--role")
    open_server()
    settings = read_settings()
    with _password(password_file) as given:
        needed = given is None and not access.user_exists(settings, user, host)
        password = _ask(user) if needed else given
        new = access.grant(settings, user, role, host=host, password=password, require_tls=require_tls)
    made = "new account" if new else "account"
    changed = "; its password was changed to the one given" if password and not new else ""
    out.print(
        f"{made} {user}@{host} is {role} of {settings.database}{changed}", highlight=False, markup=False
    )


def password(
    password_file: Annotated[
        Path | None,
        typer.Option(help="File that holds the new password; made if it does not exist."),
    ] = None,
) -> None:
    """Change your own password, also one that has expired.

    The new one comes from --password-file, from DECORTEX_NEW_PASSWORD, or from a prompt; never from the command line.
    Example: decortex db password
    """
    from decortex_ops.admin import roles as access
    from decortex_schemas.database import read_settings

    if not os.environ.get("DJ_HOST"):
        raise ConfigError(
            "DJ_HOST is not set: the embedded server keeps its own password, which nobody needs to know."
        )
    settings = read_settings()
    with _password(password_file) as new:
        account = access.change_own_password(settings, new or _ask(settings.user))
    out.print(
        f"{account} has another password: set DJ_PASS or DJ_PASS_FILE to it", highlight=False, markup=False
    )


def revoke(
    user: Annotated[str, typer.Argument(help="Name of the account.")],
    host: HostOption = "%",
) -> None:
    """Take every right on this database from a user; the account stays. Example: decortex db revoke ada."""
    from decortex_ops.admin import roles as access
    from decortex_schemas.database import read_settings

    open_server()
    settings = read_settings()
    access.revoke(settings, user, host=host)
    out.print(f"{user}@{host} has no role of {settings.database}", highlight=False, markup=False)


def users(json: JsonFlag = False) -> None:
    """List the accounts that have a role of this database. Example: decortex db users --json."""
    from decortex_ops.admin import roles as access
    from decortex_schemas.database import read_settings

    open_server()
    rows = access.users(read_settings())
    if json:
        print_json(rows)
    else:
        print_table(
            f"{several(len(rows), 'account')} have a role of this database.".replace(
                "1 account have", "1 account has"
            ),
            rows,
            ["user", "host", "role"],
            empty="no account has a role; `decortex db grant` gives one",
        )


@contextmanager
def _password(file: Path | None) -> Iterator[str | None]:
    """Password from the file or from the environment; None where neither says.

    A file that does not exist is made with a new password, and appears under its name once the block has ended well:
    where the server refuses, no file holds a password that is nobody's.
    """
    from decortex_ops.admin import roles as access

    if file is None:
        yield os.environ.get(PASSWORD_VARIABLE) or None
        return
    if file.exists():
        yield _read_password(file)
        return
    password, part = access.new_password(), file.with_name(f"{file.name}.part")
    try:
        part.unlink(missing_ok=True)  # of a command that was killed
        handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as out_file:
            out_file.write(password + "\n")
    except OSError as error:
        raise ConfigError(
            f"the password file {file} cannot be written ({error}); name one in a folder that you may write to."
        ) from None
    try:
        yield password
    except BaseException:
        part.unlink()
        raise
    part.rename(file)


def _read_password(file: Path) -> str:
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the password file {file} cannot be read: {error}") from None
    if not password:
        raise ConfigError(f"the password file {file} is empty.")
    return password


def _ask(user: str) -> str:
    if not sys.stdin.isatty():
        raise ConfigError(
            f"the account {user!r} needs a password: give --password-file, set {PASSWORD_VARIABLE}, or "
            "run this on a terminal."
        )
    password = getpass.getpass(f"Password for {user}: ")
    if password != getpass.getpass("Again: "):
        raise ConfigError("the two passwords are not the same.")
    if not password:
        raise ConfigError("an empty password is none.")
    return password
