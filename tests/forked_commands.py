"""Commands as processes of their own that cost no start: forked from one that has loaded decortex and nothing else.

Run as a program this file is that process: it takes orders (one JSON object per connection to a socket) and forks
a child for each. `Yard.programs` is a folder with a program `decortex` that gives such an order: scripts of a shell
that find it first in their PATH run forked commands, with the standard streams, folder and environment of the shell.
"""

from __future__ import annotations

import contextlib
import importlib
import itertools
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import weakref
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock
from other_processes import CONNECT, Lab

# Orders a command, hands on its own streams and the signals that it gets, and ends as the command ends.
PROGRAM = """#!{python} -SE
import json, os, signal, socket, sys
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    order = dict(words=sys.argv[1:], environment=dict(os.environ), code="", cwd=os.getcwd())
    socket.send_fds(link, [b"s"], [0, 1, 2])
    link.sendall(json.dumps(order).encode() + b"\\n")
    answers = link.makefile()
    pid = int(answers.readline())
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, frame: os.kill(pid, number))
    status = int(answers.readline())
sys.exit(status if status >= 0 else 128 - status)
"""


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

    def wait(self, timeout: float = 300) -> int:
        """Wait for the end."""
        deadline = time.monotonic() + timeout
        while self.poll() is None:
            if time.monotonic() > deadline:
                raise subprocess.TimeoutExpired(f"process {self.pid}: {self.stderr[-2000:]}", timeout)
            time.sleep(0.01)
        assert self.returncode is not None
        return self.returncode

    def communicate(self, timeout: float = 300) -> tuple[str, None]:
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
    """The process that forks, and this test process's way to it.

    Parameters
    ----------
    folder : Path
        Where the children's output goes; of this test process alone.
    python : Path, optional
        The Python of another environment, whose own decortex is loaded. By default that of the tests.
    shared : Path, optional
        A file of all processes of a test run, of which the first starts the process and writes there where it takes
        orders; the others use it, and what it loads is loaded once. By default it is this process's own.
    """

    def __init__(self, folder: Path, python: Path | None = None, shared: Path | None = None) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._process: subprocess.Popen[bytes] | None = None
        if shared is None:
            self._process, self._address = _begin(python, os.getpid())
        else:
            with FileLock(shared.with_suffix(".lock")):
                if not shared.exists():
                    # Its keeper is the process that began this one and the other test processes.
                    shared.write_text(_begin(python, os.getppid())[1])
            self._address = shared.read_text()
        self.programs = folder / "programs"
        self.programs.mkdir()
        program = self.programs / "decortex"
        program.write_text(PROGRAM.format(python=sys.executable, address=self._address))
        program.chmod(0o755)

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
        with self._link() as link:
            link.sendall(b"f" + json.dumps(order).encode() + b"\n")
        return ForkedProcess(folder)

    def load(self, module: str) -> None:
        """Load one more module, which children need not load then."""
        with self._link() as link:
            link.sendall(b"l" + module.encode() + b"\n")
            assert link.recv(1) == b"l", f"{module} was not loaded"

    def close(self) -> None:
        """End the forking process, where it is this test process's own; children that still run go on."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            shutil.rmtree(os.path.dirname(self._address))

    def await_ready(self, seconds: float = 300) -> None:
        """Wait until the process takes orders: before the first that comes from `programs`."""
        self._link(seconds).close()

    def _link(self, seconds: float = 300) -> socket.socket:
        deadline = time.monotonic() + seconds
        while True:
            link = socket.socket(socket.AF_UNIX)
            try:
                link.connect(self._address)
            except (FileNotFoundError, ConnectionRefusedError):
                link.close()
                ended = None if self._process is None else self._process.poll()
                if ended is not None or time.monotonic() > deadline:
                    raise RuntimeError(f"the forking process takes no orders; its status: {ended}") from None
                time.sleep(0.02)
            else:
                return link


@dataclass(frozen=True)
class ForkedLab(Lab):
    """A lab whose commands are forked."""

    yard: Yard

    def run(self, *words: str, check: bool = True, **changed: str) -> subprocess.CompletedProcess[str]:
        """Run `decortex` with these words to its end."""
        process = self.yard.start(words, {**self.environment, **changed})
        status = process.wait(900)
        done = subprocess.CompletedProcess(words, status, process.stdout, process.stderr)
        assert not check or status == 0, f"{words}: {status}\n{done.stdout}\n{done.stderr}"
        return done

    def start(self, *words: str, code: str = "", **changed: str) -> ForkedProcess:  # type: ignore[override]
        """Start `decortex` with these words."""
        return self.yard.start(words, {**self.environment, **changed}, code=code)

    def python(self, code: str) -> str:
        """Run lines of Python in a connected process of their own; returns what they print."""
        return self._ended(CONNECT + code).stdout

    def program(self, name: str) -> ForkedProcess:
        """Run one of `programs` to its end, in a process that has loaded decortex."""
        file = Path(__file__).with_name("programs") / f"{name}.py"
        return self._ended(f"import runpy\nrunpy.run_path({str(file)!r}, run_name='__main__')\n")

    def _ended(self, code: str) -> ForkedProcess:
        process = self.yard.start((), self.environment, code=code)
        assert process.wait(900) == 0, process.stderr
        return process


def _begin(python: Path | None, keeper: int) -> tuple[subprocess.Popen[bytes], str]:
    """Start the process that forks, which ends with its keeper, and say where it takes orders."""
    # The path of a socket may have 107 bytes, which a folder of pytest's may exceed.
    address = os.path.join(tempfile.mkdtemp(prefix="yard-"), "orders")
    here = Path(__file__).resolve().parent
    # The path of this run: children must find the same decortex as the tests do, unless another is asked for.
    found = [str(here), *filter(None, sys.path)] if python is None else [str(here)]
    process = subprocess.Popen(
        [python or sys.executable, str(Path(__file__).resolve()), address, str(keeper)],
        stdin=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join(found)},
        cwd=None if python is None else "/",
    )
    return process, address


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


def _serve(address: str, keeper: int) -> None:
    """Fork a child for every connection that brings an order, until the process that keeps this one ends."""
    import decortex_ops.cli
    import decortex_ops.demo  # noqa: F401
    from decortex_schemas.database import computed_tables, describe_environment

    describe_environment()
    computed_tables()  # loads every module of tables
    _leave_undone()
    signal.signal(signal.SIGCHLD, _reap)
    end = os.pidfd_open(keeper)
    with socket.socket(socket.AF_UNIX) as orders:
        orders.bind(address)
        orders.listen(64)
        while end not in (ready := select.select([end, orders], [], [])[0]):
            link = ready[0].accept()[0]
            if link.recv(1, socket.MSG_PEEK) == b"l":
                importlib.import_module(link.makefile().readline()[1:].strip())
                _leave_undone()
                link.sendall(b"l")
            elif os.fork() == 0:
                orders.close()
                signal.signal(signal.SIGCHLD, signal.SIG_DFL)
                _supervise(link)
                os._exit(0)
            link.close()
    shutil.rmtree(os.path.dirname(address), ignore_errors=True)


def _leave_undone() -> None:
    """What this process registered to undo at its end (torch 174 libraries) is not its children's to undo."""
    for one in list(weakref.finalize._registry):  # type: ignore[attr-defined]
        one.atexit = False


def _reap(number: int, frame: object) -> None:
    """Wait for children that have ended, so that the time they took counts as this process's."""
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _supervise(link: socket.socket) -> None:
    """Read one order, fork the command itself, and tell how it ended."""
    kind, streams, _, _ = socket.recv_fds(link, 1, 3)
    text = link.makefile().readline()
    if not text:
        return
    order = json.loads(text)
    if kind == b"f":
        folder = Path(order["folder"])
        written = [
            os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600) for name in ("out", "err")
        ]
        streams = [os.open(os.devnull, os.O_RDONLY), *written]
    pid = os.fork()
    if pid == 0:
        status = 70
        try:
            link.close()
            status = _command(order, streams)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(status)
    if kind == b"f":
        (folder / "pid").write_text(str(pid))
    else:
        link.sendall(f"{pid}\n".encode())
    for handle in streams:
        os.close(handle)
    for handle in (1, 2):
        os.dup2(os.open(os.devnull, os.O_WRONLY), handle)
    _, status = os.waitpid(pid, 0)
    ended = str(os.waitstatus_to_exitcode(status))
    if kind == b"f":
        part = folder / "status.part"
        part.write_text(ended)
        part.rename(folder / "status")
    else:
        with contextlib.suppress(BrokenPipeError):
            link.sendall(f"{ended}\n".encode())


def _command(order: dict[str, Any], streams: list[int]) -> int:
    import atexit

    os.setsid()
    for number, handle in enumerate(streams):
        os.dup2(handle, number)
        os.close(handle)
    os.chdir(order.get("cwd", "."))
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
    _serve(sys.argv[1], int(sys.argv[2]))
