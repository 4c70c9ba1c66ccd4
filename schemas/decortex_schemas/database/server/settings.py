"""Where the database and its store are, from the environment."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

import platformdirs

from decortex.errors import ConfigError, DatabaseError
from decortex_schemas.database.server.tls import Tls, driver_arguments, read_tls


@dataclass(frozen=True)
class Settings:
    """Where the database and its store are; every value can come from the environment.

    Parameters
    ----------
    host, port, user, password
        ``DJ_HOST``, ``DJ_PORT``, ``DJ_USER``, ``DJ_PASS`` (or a file named by ``DJ_PASS_FILE``).
    database : str
        Name of the MySQL database that holds the tables (``DECORTEX_DATABASE``, default ``decortex``).
    store : Path
        Folder of the arrays and checkpoints (``DECORTEX_STORE``); all workers must see the same one. See
        `object_store` for one on S3.
    tls : dict, False or None
        See `decortex_schemas.database.server.tls.read_tls`.
    """

    host: str
    port: int
    user: str
    password: str
    database: str
    store: Path
    tls: Tls = None

    def __repr__(self) -> str:
        """Show where, never the password."""
        return f"Settings({self.user}@{self.host}:{self.port}/{self.database}, store={self.store})"

    def driver(self) -> dict[str, Any]:
        """Arguments of ``pymysql.connect``: which server, as whom, and how encrypted."""
        return {
            "host": self.host,
            "port": self.port,
            "user": self.user,
            "password": self.password,
            **driver_arguments(self.tls),
        }


def database_name() -> str:
    """Name of the MySQL database that holds the tables."""
    name = os.environ.get("DECORTEX_DATABASE", "decortex")
    if not name.replace("_", "").isalnum() or len(name) > 48:
        raise ConfigError(
            f"DECORTEX_DATABASE is {name!r}: expected at most 48 letters, digits and underscores."
        )
    return name


def store_folder() -> Path:
    """Folder of the arrays and checkpoints; with an object store, of what runs keep while they compute.

    ``DECORTEX_STORE``, else ``store`` beside the embedded server's folder: in ``DECORTEX_HOME``, by default in the
    user's data folder. A ``DECORTEX_HOME`` of before goes on with the store in the data folder, where its arrays lie.
    """
    shared = Path(platformdirs.user_data_dir("decortex")) / "store"
    named = "" if object_store() else os.environ.get("DECORTEX_STORE")
    home = "" if os.environ.get("DJ_HOST") else os.environ.get("DECORTEX_HOME", "").strip()
    if not named and home:
        beside = Path(home).expanduser() / "store"
        is_of_before = (beside.parent / "mysql" / "data").is_dir() and shared.is_dir()
        named = str(shared if is_of_before and not beside.is_dir() else beside)
    return Path(named or shared).expanduser().resolve()


def object_store() -> dict[str, Any] | None:
    """The bucket that ``DECORTEX_STORE`` names as ``s3://bucket/folder``, as DataJoint takes it; None for a folder.

    ``DECORTEX_S3_ENDPOINT`` says where it is served, Amazon by default. Credentials are those that boto3 finds
    (``AWS_ACCESS_KEY_ID`` and ``AWS_SECRET_ACCESS_KEY``, its files, the machine's role); none are kept here.

    Raises
    ------
    ConfigError
        If it names no bucket, or s3fs is not installed.
    """
    named = os.environ.get("DECORTEX_STORE", "")
    if not named.startswith("s3://"):
        return None
    bucket, _, folder = named.removeprefix("s3://").partition("/")
    if not bucket or ".." in folder.split("/"):
        raise ConfigError(f"DECORTEX_STORE is {named!r}: expected s3://bucket/folder.")
    if importlib.util.find_spec("s3fs") is None:
        raise ConfigError("a store on S3 needs s3fs: pip install 'decortex[s3]'.")
    endpoint = os.environ.get("DECORTEX_S3_ENDPOINT") or "https://s3.amazonaws.com"
    return {
        "protocol": "s3",
        "endpoint": endpoint.removeprefix("https://").removeprefix("http://"),
        "bucket": bucket,
        "location": folder.strip("/"),
        "secure": not endpoint.startswith("http://"),
        "access_key": "",
        "secret_key": "",
    }


def read_settings() -> Settings:
    """Collect the settings: ``DJ_HOST`` and its companions, else the server that the installation brings.

    Where no ``DJ_HOST`` is set, the entry point group ``decortex.credentials`` is asked; decortex_ops
    answers it with its embedded server, which it starts when it does not run.

    Raises
    ------
    DatabaseError
        If neither says where a server is.
    """
    providers = list(entry_points(group="decortex.credentials"))
    if not providers:
        raise DatabaseError(
            "no database is configured: set DJ_HOST, DJ_USER and DJ_PASS, or install decortex with its "
            "operations (pip install decortex), which bring an embedded MySQL."
        )
    resolve: Callable[[], Any] = providers[0].load()
    found = resolve()
    return Settings(
        found.host,
        found.port,
        found.user,
        found.password,
        database_name(),
        store_folder(),
        read_tls(found.host),
    )
