"""What all tests share: where the server, the store and the recordings beside the project are."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pymysql
import pytest
from forked_commands import Yard
from hypothesis import settings
from support.copies import Copies
from support.memory import folder_in_memory

from decortex_schemas.database.server.tls import read_no_authorities

# Tests run while the code is being changed; those of the refusal take it away.
os.environ["DECORTEX_ALLOW_DIRTY"] = "1"
# Tests run beside one another: a processor each, as workers of a lab. Numerical libraries read it as they are loaded.
for threads in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(threads, "1")
# Tests open a connection for each question; none looks at a certificate but those of certificates.
read_no_authorities()
# How long an example takes says what else the machine does.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")
# The garbage collector sleeps while modules are loaded, which all live to the end (`pytest_collection_finish`).
gc.disable()
REPOSITORY = Path(__file__).resolve().parent.parent
DATABASE_FIXTURES = {"server"}
# Part of the run in which the files of a room begin: all of it, where none is given. Those of tables wait until the
# first of them has computed the lab that all of them read.
SHARE = {"e2e": (0.0, 0.75), "db": (0.15, 0.9)}
# The lab of the tables; what waits for a package registry, and what waits for workers to be idle.
FIRST = ("db/test_docs.py", "unit/ops/test_constraints.py", "e2e/test_first_day.py")


def pytest_configure(config: pytest.Config) -> None:
    """Let each process of a run begin to load tests elsewhere: what one has compiled the others read."""
    process = getattr(config, "workerinput", None)
    if process and config.args_source is config.ArgsSource.TESTPATHS:
        files = sorted(str(file) for file in (REPOSITORY / "tests").rglob("test_*.py"))
        begin = len(files) * int(process["workerid"].removeprefix("gw")) // process["workercount"]
        config.args = files[begin:] + files[:begin]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the server from the fixtures it asks for, so that no mark can be forgotten; mix the rooms.

    Files of programs mostly wait, those of the science compute: side by side they keep the cores busy. The short
    ones of the science come last, so that all processes end at about the same time.
    """
    for item in items:
        if DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("needs_db")
    files = {item: item.path.relative_to(REPOSITORY / "tests") for item in items}
    turns = _turns(sorted(set(files.values())))
    # Files of two rooms may have one turn; processes collect them in different orders.
    items.sort(key=lambda item: (turns[files[item]], files[item]))


def _turns(files: Iterable[Path]) -> dict[Path, float]:
    """When each file comes, from 0 to 1: those of a room at even distances, the `FIRST` before all others."""
    rooms: dict[str, list[Path]] = {}
    for file in files:
        rooms.setdefault(file.parts[0], []).append(file)
    turns = {}
    for room, found in rooms.items():
        begin, end = SHARE.get(room, (0.0, 1.0))
        turns.update({file: begin + (end - begin) * number / len(found) for number, file in enumerate(found)})
    return turns | {Path(file): number - len(FIRST) for number, file in enumerate(FIRST)}


def pytest_collection_finish() -> None:
    """Let the garbage collector pass over what tests make alone, not over half a million objects of modules."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recordings and trained models that lie beside the project."""
    folder = Path(os.environ.get("DECORTEX_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no recordings beside the project; set DECORTEX_SHARED_DATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def fast_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for the data of servers: in memory where that has room, else on the disk."""
    with folder_in_memory() as folder:
        yield folder or tmp_path_factory.mktemp("servers")


@pytest.fixture(scope="session")
def server(fast_folder: Path) -> Iterator[dict[str, str]]:
    """Environment variables of a running MySQL server: the configured one, else a private one of this run."""
    if os.environ.get("DJ_HOST"):
        yield {
            name: os.environ[name]
            for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS")
            if name in os.environ
        }
        return
    from decortex_ops.server import EmbeddedServer

    embedded = EmbeddedServer(home=fast_folder / "session")
    found = embedded.start()
    # A commit of these tests need outlive a killed server, which the system's cache does, not a power cut.
    with (
        pymysql.connect(host=found.host, port=found.port, user=found.user, password=found.password) as link,
        link.cursor() as cursor,
    ):
        cursor.execute("SET GLOBAL innodb_flush_log_at_trx_commit = 2")
    try:
        yield {
            "DJ_HOST": found.host,
            "DJ_PORT": str(found.port),
            "DJ_USER": found.user,
            "DJ_PASS": found.password,
        }
    finally:
        embedded.stop()


@pytest.fixture(scope="session")
def yard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Yard]:
    """The process that forks commands: one for all processes of this run."""
    shared = _folder_of_the_run(tmp_path_factory) / "yard" if "PYTEST_XDIST_WORKER" in os.environ else None
    made = Yard(tmp_path_factory.mktemp("yard"), shared=shared)
    yield made
    made.close()


@pytest.fixture(scope="session")
def copies(tmp_path_factory: pytest.TempPathFactory) -> Copies:
    """Databases that are made once for all processes of this run."""
    return Copies(_folder_of_the_run(tmp_path_factory) / "copies")


def _folder_of_the_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The temporary folder of all processes of this run."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
