from .binaries import find_mysqld
from .credentials import Credentials, credentials_from_environment
from .home import (
    LONGEST_SOCKET,
    ServerHome,
    ServerRecord,
    default_home,
    private_folder,
)
from .initialise import MARKER
from .instance import EmbeddedServer, ServerStatus, resolve_credentials
from .program import Mysqld
from .progress import Progress, ProgressCallback
from .settings import accounts_sql, server_options

__all__ = [
    "LONGEST_SOCKET",
    "MARKER",
    "Credentials",
    "EmbeddedServer",
    "Mysqld",
    "Progress",
    "ProgressCallback",
    "ServerHome",
    "ServerRecord",
    "ServerStatus",
    "accounts_sql",
    "credentials_from_environment",
    "default_home",
    "find_mysqld",
    "private_folder",
    "resolve_credentials",
    "server_options",
]
