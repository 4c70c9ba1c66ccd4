"""Workers of a local pool end with the process that started them, also where that is killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

import decortex_ops.workers
from decortex_ops.cli import app, demo
from decortex_ops.workers import local_pool
from decortex_schemas.database import schema

CHILD = """
import os, pathlib, signal, sys, time
from decortex_ops.workers import end_with_parent
def leave(number, frame):
    pathlib.Path({told!r}).write_text("told to stop")
    sys.exit(0)
signal.signal(signal.SIGTERM, leave)
end_with_parent()
pathlib.Path({ready!r}).write_text(str(os.getpid()))
time.sleep(600)
"""
PARENT = """
import sys, time
from decortex_ops.workers import local_pool
local_pool._command = lambda threads: [sys.executable, "-c", {child!r}]
fleet = local_pool._Fleet(1, 1)
time.sleep(600)
"""


def awaited(file: Path, seconds: float = 300) -> str:
    """What a process writes into a file."""
    end = time.monotonic() + seconds
    while not (file.exists() and file.read_text()):
        assert time.monotonic() < end, f"nothing in {file.name} after {seconds} s"
        time.sleep(0.05)
    return file.read_text()


def test_a_worker_is_told_to_stop_when_its_parent_is_killed(tmp_path: Path) -> None:
    told, ready = tmp_path / "told", tmp_path / "ready"
    child = textwrap.dedent(CHILD.format(told=str(told), ready=str(ready)))
    parent = subprocess.Popen([sys.executable, "-c", PARENT.format(child=child)])
    try:
        pid = int(awaited(ready))
        os.kill(parent.pid, signal.SIGKILL)
        parent.wait()
        assert awaited(told, 60) == "told to stop"
    finally:
        parent.kill()
        if ready.exists() and not told.exists():
            os.kill(pid, signal.SIGKILL)


def test_workers_of_a_fleet_watch_their_parent(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "--with-parent" in local_pool._command(1)
    watching: list[str] = []

    def watch() -> None:
        watching.append("parent")
        raise SystemExit(7)

    monkeypatch.setattr(decortex_ops.workers, "end_with_parent", watch)
    assert CliRunner().invoke(app, local_pool._command(1)[3:]).exit_code == 7
    assert watching == ["parent"]


class Idle:
    """A connection of which nothing is asked."""

    def query(self) -> None:
        raise AssertionError


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interruption_says_what_stays_and_stops_in_order(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    stopped = []
    monkeypatch.setattr(schema, "connection", Idle())

    def interrupted() -> None:
        with demo.told_what_stays():
            try:
                signal.raise_signal(number)
            finally:
                stopped.append("fleet")

    with pytest.raises(SystemExit) as ended:
        interrupted()
    assert ended.value.code == 128 + number
    assert stopped == ["fleet"]
    assert signal.getsignal(number) is before
    said = " ".join(capsys.readouterr().err.split())
    assert "What is computed stays in the database, and the same command goes on from there." in said
