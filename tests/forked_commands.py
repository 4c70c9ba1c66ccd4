"""Commands as processes of their own that cost no start: forked from one that has loaded decortex and nothing else.

Run as a program this file is that process: it reads orders (one JSON object a line) and forks a child for each.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import signal
import subprocess
import sys
import time
import traceback
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from other_processes import CONNECT, Lab


class ForkedProcess:
    """A forked child: as much of `subprocess.Popen` as tests need; standard error goes where output goes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.pid = int(_await_text(folder / "pid", 300))
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Exit status (negative: the signal that ended it), or None while it runs."""
        with contextlib.suppress(FileNotFoundError, ValueError):
            self.returncode = int((self._folder / "status").read_text())
        return self.returncode

    def wait(self, timeout: float = 60) -> int:
        """Wait for the end."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}: {self.stderr[-2000:]}", timeout)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float = 60) -> tuple[str, None]:
        """Wait for the end and return what it printed."""
        self.wait(timeout)
        return self.stdout + self.stderr, None

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it at once, if it still runs."""
        if self.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                self.send_signal(signal.SIGKILL)
            self.wait()

    @property
    def stdout(self) -> str:
        return _text(self._folder / "out")

    @property
    def stderr(self) -> str:
        return _text(self._folder / "err")


class Yard:
    """The process that forks.

    Parameters
    ----------
    folder : Path
        Where the children's output goes.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        here = Path(__file__).resolve().parent
        # The path of this run: children must find the same decortex as the tests do.
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        environment["PYTHONPATH"] = os.pathsep.join([str(here), *filter(None, sys.path)])
        self._process = subprocess.Popen(
            [sys.executable, str(Path(__file__).resolve())], stdin=subprocess.PIPE, text=True, env=environment
        )

    def start(self, words: tuple[str, ...], environment: dict[str, str], *, code: str = "") -> ForkedProcess:
        """Fork a child that runs ``code`` and then `decortex` with these words, if there are any.

        Parameters
        ----------
        words : tuple of str
            Of the command.
        environment : dict
            The child's whole environment.
        code : str
            Python that runs first, with decortex loaded.
        """
        folder = self._folder / str(next(self._numbers))
        folder.mkdir()
        order = {"words": words, "environment": environment, "code": code, "folder": str(folder)}
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        return ForkedProcess(folder)

    def close(self) -> None:
        """End the forking process; children that still run go on."""
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()


@dataclass(frozen=True)
class ForkedLab(Lab):
    """A lab whose commands are forked."""

    yard: Yard

    def run(self, *words: str, check: bool = True, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run `decortex` with these words to its end."""
        process = self.yard.start(words, {**self.environment, **changed})
        status = process.wait(300)
        done = subprocess.CompletedProcess(words, status, process.stdout, process.stderr)
        assert not check or status == 0, f"{words}: {status}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, code: str = "", **changed: str) -> ForkedProcess:  # type: ignore[override]
        """Start `decortex` with these words."""
        return self.yard.start(words, {**self.environment, **changed}, code=code)

    def python(self, code: str) -> str:
        """Run lines of Python in a connected process of their own; returns what they print."""
        process = self.yard.start((), self.environment, code=CONNECT + code)
        assert process.wait(300) == 0, process.stderr
        return process.stdout


def _text(path: Path) -> str:
    return path.read_text(errors="replace") if path.exists() else ""


def _await_text(path: Path, seconds: float) -> str:
    deadline = time.monotonic() + seconds
    while True:
        with contextlib.suppress(FileNotFoundError):
            text = path.read_text()
            if text:
                return text
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} did not appear; has the forking process ended?")
        time.sleep(0.005)


def _serve() -> None:
    """Fork a child for every line of standard input."""
    import decortex_ops.cli
    import decortex_ops.demo  # noqa: F401
    from decortex_schemas.database import describe_environment

    describe_environment()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _supervise(json.loads(line))
            os._exit(0)


def _supervise(order: dict[str, Any]) -> None:
    """Fork the command itself and write down how it ended."""
    folder = Path(order["folder"])
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            status = _command(order, folder)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    (folder / "pid").write_text(str(pid))
    _, status = os.waitpid(pid, 0)
    part = folder / "status.part"
    part.write_text(str(os.waitstatus_to_exitcode(status)))
    part.rename(folder / "status")


def _command(order: dict[str, Any], folder: Path) -> int:
    import atexit

    os.setsid()
    for number, name in ((1, "out"), (2, "err")):
        handle = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        os.dup2(handle, number)
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    os.environ.clear()
    os.environ.update(order["environment"])
    try:
        exec(compile(order["code"], "<test>", "exec"), {"__name__": "__test__"})
        if order["words"]:
            from decortex_ops.cli import main

            sys.argv = ["decortex", *order["words"]]
            main()
        status = 0
    except SystemExit as error:
        status = error.code if isinstance(error.code, int) else 0 if error.code is None else 1
    except BaseException:  # noqa: BLE001  (a child reports and ends)
        traceback.print_exc()
        status = 1
    atexit._run_exitfuncs()
    return status


if __name__ == "__main__":
    _serve()
