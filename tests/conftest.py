"""What all tests share: where the server, the store and the recordings beside the project are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pymysql
import pytest
from hypothesis import settings

# Tests run while the code is being changed; those of the refusal take it away.
os.environ["DECORTEX_ALLOW_DIRTY"] = "1"
# How long an example takes says what else the machine does.
settings.register_profile("any speed", deadline=None)
settings.load_profile("any speed")
REPOSITORY = Path(__file__).resolve().parent.parent
DATABASE_FIXTURES = {"server"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the server from the fixtures it asks for, so that no mark can be forgotten; long files first.

    Files of tables and of programs take longest, the many short ones fill up: all processes end at about the same time.
    """
    for item in items:
        if DATABASE_FIXTURES & set(getattr(item, "fixturenames", ())):
            item.add_marker("needs_db")
    rooms = {"db": 0, "e2e": 1}
    items.sort(key=lambda item: rooms.get(item.path.relative_to(REPOSITORY / "tests").parts[0], 2))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of the recordings and trained models that lie beside the project."""
    folder = Path(os.environ.get("DECORTEX_SHARED_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip("no recordings beside the project; set DECORTEX_SHARED_DATA to a folder that holds them")
    return folder


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment variables of a running MySQL server: the configured one, else a private one of this run."""
    if os.environ.get("DJ_HOST"):
        yield {
            name: os.environ[name]
            for name in ("DJ_HOST", "DJ_PORT", "DJ_USER", "DJ_PASS")
            if name in os.environ
        }
        return
    from decortex_ops.server import EmbeddedServer

    embedded = EmbeddedServer(home=tmp_path_factory.mktemp("mysql"))
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
