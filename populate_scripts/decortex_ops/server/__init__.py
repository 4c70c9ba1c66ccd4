"""decortex's embedded MySQL: found or fetched without root, private to its user, started on demand."""

from decortex_ops.server.binaries import find_mysqld
from decortex_ops.server.credentials import Credentials, credentials_from_environment
from decortex_ops.server.instance import EmbeddedServer, ServerStatus, resolve_credentials
from decortex_ops.server.program import Mysqld
from decortex_ops.server.progress import Progress, ProgressCallback

__all__ = [
    "Credentials",
    "EmbeddedServer",
    "Mysqld",
    "Progress",
    "ProgressCallback",
    "ServerStatus",
    "credentials_from_environment",
    "find_mysqld",
    "resolve_credentials",
]
