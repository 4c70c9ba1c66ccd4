"""Environment: the software and machine that computed a row. Registered once per process, before populate()."""

from __future__ import annotations

import os
import platform
import sys
import time
from collections.abc import Iterable
from datetime import datetime, timezone
from functools import cache
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any

import datajoint as dj
from threadpoolctl import threadpool_info

from decortex.config import config_hash
from decortex.errors import OperationError
from decortex_schemas.database.environment.installed_code import code_state
from decortex_schemas.database.schema import schema

# Set to 1, rows of a shared database may be computed by code that is not committed.
ALLOW_DIRTY = "DECORTEX_ALLOW_DIRTY"
# Columns of an environment that decide the bits of a result, beside the code: kernels are chosen by them.
NUMERICS = (
    "python",
    "torch",
    "numpy",
    "scipy",
    "scikit_learn",
    "blas",
    "blas_core",
    "cpu_capability",
    "threads",
    "gpu",
    "cuda",
)
# What every computed row carries beside its result.
STAMP = """
-> Environment
db_user : varchar(96)            # database user that inserted the row
host_name : varchar(255)         # machine that computed it
started_at : datetime(3)         # UTC
seconds : float64                # wall-clock time of the computation
computation_version = 1 : int16  # of the code that computed it, see `decortex_schemas.database.computation`
"""


@schema
class SchemaVersion(dj.Lookup):
    """Which version of the table definitions this database holds: one row, written when all are declared."""

    author_rights = ()

    definition = """
    # Version of the table definitions
    version : int16
    ---
    definitions_sha256 = '' : char(64)  # over those of all tables; empty while an upgrade is under way
    definitions = null : json           # sha256 of every table's definition, by the name of its class
    """


@schema
class UpgradeStep(dj.Manual):
    """A step of `decortex db upgrade` that is done, and is not done again where an upgrade was interrupted."""

    author_rights = ()

    definition = """
    # Finished steps of upgrades
    to_version : int16
    step : varchar(64)
    ---
    from_version : int16
    backup : varchar(1024)           # folder of the backup that was taken before
    decortex_version : varchar(32)
    db_user : varchar(96)
    seconds : float64
    finished_at = CURRENT_TIMESTAMP : datetime
    """


@schema
class Environment(dj.Manual):
    """What a result depends on beside its inputs: code, packages, threads, processor."""

    definition = """
    # Software and machine that computed rows
    env_id : int32
    ---
    env_hash : char(64)
    git_commit = null : char(40)     # of the checkout, or that the wheel was built from
    dirty = null : bool              # whether the code is not that of the commit; null: no commit is known
    diff_sha256 = null : char(64)    # of the uncommitted changes, or of the files of a wheel that was edited
    source_sha256 : char(64)         # of the Python files that ran, however they were installed
    decortex_version : varchar(32)
    python : varchar(32)
    platform : varchar(255)
    datajoint : varchar(32)
    torch : varchar(32)
    numpy : varchar(32)
    scipy : varchar(32)
    scikit_learn : varchar(32)
    packages : json                  # every installed distribution and its version
    blas : varchar(255)
    blas_core : varchar(64)          # processor that BLAS chose its kernels for
    cpu_capability : varchar(32)     # instructions that torch chose its kernels for
    threads : int16
    cpu : varchar(255)
    gpu = null : varchar(255)
    cuda = null : varchar(32)        # version of CUDA, where there is a GPU
    registered_at = CURRENT_TIMESTAMP : datetime
    unique index (env_hash)
    """


class _Current:
    """The environment this process runs in, once registered."""

    env_id: int | None = None
    env_hash: str = ""
    process: tuple[int, int] | None = None  # process id and threads


def register_environment(*, threads: int) -> int:
    """Register this process's environment, once; returns its ``env_id``.

    Raises
    ------
    OperationError
        If the code has uncommitted changes, the database is a shared one and nobody allowed it.
    """
    process = (os.getpid(), threads)
    if _Current.env_id is not None and _Current.process == process:
        return _Current.env_id
    facts = {**describe_environment(), "threads": threads}
    if facts["dirty"] and os.environ.get("DJ_HOST") and os.environ.get(ALLOW_DIRTY) != "1":
        raise OperationError(
            f"the code is not that of commit {(facts['git_commit'] or 'unknown')[:12]}: it has uncommitted changes, or "
            f"files of the installed wheel were edited (sha256 {facts['diff_sha256'][:12]}), and nobody could compute "
            "the same rows again. Commit them and install again, or set "
            f"{ALLOW_DIRTY}=1 to work all the same; rows then carry the digest of the changes."
        )
    digest = config_hash(facts)
    _Current.env_hash = digest
    _Current.env_id = register_row(Environment, "env_id", {"env_hash": digest}, facts)
    _Current.process = process
    return _Current.env_id


def register_row(
    table: type[dj.Table], id_name: str, identity: dict[str, Any], content: dict[str, Any]
) -> int:
    """Return the id of the row with this unique identity, inserting it with the next free id if it is new.

    Safe when several processes register the same row at once.

    Raises
    ------
    OperationError
        If no id could be taken in twenty attempts.
    """
    for _ in range(20):
        found = (table & identity).to_dicts()
        if found:
            return int(found[0][id_name])
        last = table.connection.query(f"SELECT MAX(`{id_name}`) FROM {table().full_table_name}").fetchone()[0]
        row = {id_name: 1 if last is None else int(last) + 1, **identity, **content}
        try:
            table.insert1(row)
        except dj.errors.DuplicateError:
            continue  # another process took the id or registered the same row: look again
        return int(row[id_name])
    raise OperationError(f"no free {id_name} in {table.__name__} after 20 attempts; is the table locked?")


def environment_hash() -> str:
    """Digest of the environment this process runs in.

    Raises
    ------
    OperationError
        If it is not registered (no `connect()` in this process).
    """
    _registered()
    return _Current.env_hash


def _registered() -> int:
    if _Current.env_id is None or _Current.process is None or _Current.process[0] != os.getpid():
        raise OperationError(
            "this process has no registered environment: call decortex_schemas.connect() before populate(), as a user "
            "who may compute (role worker), and start several processes instead of populate(processes=...), whose "
            "children hold no lease."
        )
    return _Current.env_id


def run_stamp(started: float) -> dict[str, Any]:
    """Return what every computed row carries: environment, user, host, start and seconds.

    Parameters
    ----------
    started : float
        ``time.time()`` when the computation began.

    Raises
    ------
    OperationError
        If the environment is not registered (no `connect()` in this process).
    """
    env_id = _registered()
    return {
        "env_id": env_id,
        "db_user": str(schema.connection.get_user()),
        "host_name": platform.node(),
        "started_at": datetime.fromtimestamp(started, tz=timezone.utc).replace(tzinfo=None),
        "seconds": time.time() - started,
    }


@cache
def describe_environment() -> dict[str, Any]:
    """Facts about this installation and machine, as plain values (threads excepted)."""
    import torch  # noqa: PLC0415  (a reader of results needs none)

    blas = [lib for lib in threadpool_info() if lib["user_api"] == "blas"]
    with_gpu = torch.cuda.is_available()
    return {
        **code_state(),
        "decortex_version": version("decortex"),
        "python": platform.python_version(),
        "platform": platform.platform()[:255],
        "datajoint": version("datajoint"),
        "torch": str(torch.__version__),
        "numpy": version("numpy"),
        "scipy": version("scipy"),
        "scikit_learn": version("scikit-learn"),
        "packages": {str(d.name): str(d.version) for d in sorted(distributions(), key=lambda d: str(d.name))},
        "blas": _listed(f"{lib['internal_api']} {lib['version']}" for lib in blas)[:255],
        "blas_core": _listed(str(lib.get("architecture") or "unknown") for lib in blas)[:64],
        "cpu_capability": torch.backends.cpu.get_cpu_capability()[:32],
        "cpu": _cpu_model(),
        "gpu": torch.cuda.get_device_name(0)[:255] if with_gpu else None,
        "cuda": str(torch.version.cuda)[:32] if with_gpu else None,
    }


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(set(words)))


def _cpu_model() -> str:
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()[:255]
    return (platform.processor() or platform.machine())[:255]
