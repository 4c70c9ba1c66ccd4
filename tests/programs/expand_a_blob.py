"""Expand the blob that comes by standard input, of at most 64 MiB, in 2 GiB of memory; prints what is refused."""

from __future__ import annotations

import resource
import sys

from datajoint.blob import unpack

from decortex_schemas.database.server import datajoint_guards

resource.setrlimit(resource.RLIMIT_DATA, (2**31, 2**31))
datajoint_guards.install()
datajoint_guards.LARGEST_BLOB = 2**26
try:
    unpack(sys.stdin.buffer.read())
except Exception as error:  # noqa: BLE001  (the test looks at its type)
    print(type(error).__name__, str(error)[:40])
