"""The server starts while a command loads what it needs, and is there, or its error told, when both are done."""

from __future__ import annotations

import threading

import pytest

from decortex.errors import DatabaseError
from decortex_ops.cli import session


def test_the_server_starts_while_the_body_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded, opened = threading.Event(), []

    def open_server() -> None:
        assert loaded.wait(120)  # ends only once the body has run
        opened.append(True)

    monkeypatch.setattr(session, "open_server", open_server)
    with session.server_opening():
        assert not opened
        loaded.set()
    assert opened == [True]


def test_a_server_that_does_not_start_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_server() -> None:
        raise DatabaseError("no space")

    monkeypatch.setattr(session, "open_server", open_server)
    with pytest.raises(DatabaseError, match="no space"), session.server_opening():
        pass
