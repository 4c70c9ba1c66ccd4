"""Whether a server can serve: MySQL of a version that has what decortex needs."""

from __future__ import annotations

import pymysql

from decortex.errors import DatabaseError
from decortex_schemas.database.server.refusals import connection_refusal
from decortex_schemas.database.server.settings import Settings

MINIMUM_MYSQL = (8, 0, 13)


def check_server(settings: Settings) -> str:
    """Return the server's version, or say exactly why it cannot serve.

    Raises
    ------
    DatabaseError
        If the server cannot be reached, refuses the credentials, or is not MySQL 8.0.13 or newer.
    """
    where = f"{settings.host}:{settings.port}"
    try:
        probe = pymysql.connect(**settings.driver(), connect_timeout=10, read_timeout=20, write_timeout=20)
    except (pymysql.MySQLError, RuntimeError, OSError) as error:
        code = error.args[0] if error.args else None
        refused = (
            connection_refusal(error, where, settings.user) if isinstance(error, pymysql.MySQLError) else None
        )
        if refused is not None:
            raise DatabaseError(refused) from None
        if settings.tls and "SSL" in f"{error.__class__.__name__} {error}":
            raise DatabaseError(
                f"no encrypted connection to {where} ({error}), which a server on another machine needs: check "
                "DECORTEX_TLS_* and that the server offers TLS. DJ_USE_TLS=false connects without it, for networks "
                "that nobody else reads."
            ) from None
        raise DatabaseError(
            f"no MySQL server answers at {where} ({error.__class__.__name__} {code}): check DJ_HOST and "
            "DJ_PORT and that the server runs (`decortex db status` for the embedded one)."
        ) from None
    with probe, probe.cursor() as cursor:
        cursor.execute("SELECT @@version")
        version = str(cursor.fetchone()[0])
    if "mariadb" in version.lower():
        raise DatabaseError(
            f"the server at {where} is MariaDB ({version}), which DataJoint 2 does not support: "
            "use MySQL 8.0.13 or newer (docker compose up -d gives one)."
        )
    number = tuple(int(part) for part in version.split("-", 1)[0].split(".")[:3])
    if number < MINIMUM_MYSQL:
        raise DatabaseError(f"the server at {where} is MySQL {version}; decortex needs 8.0.13 or newer.")
    return version
