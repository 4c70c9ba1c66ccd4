"""An apt of our own beside the machine's: configuration, commands, answers. Installs nothing.

Sources, package lists, caches and the list of installed packages are private to one folder. Of the machine's
configuration only ``Acquire`` is taken over (proxies, certificates), so that its hooks do not run.
"""

from __future__ import annotations

import fcntl
import os
import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from decortex.errors import DatabaseError

# Index targets, compression and languages stay apt's own defaults.
_NOT_INHERITED = re.compile(
    r"^Acquire(::(IndexTargets|Changelogs|CompressionTypes|Languages|GzipIndexes)[^ ]*)? "
)
_URI = re.compile(r"^'[^']+' (?P<name>\S+) (?P<size>\d+) (?P<digest>(?:SHA\d+|MD5Sum):[0-9a-f]+)$")
_EDGE = re.compile(r"^ *(?P<bar>\|?)(?:Pre)?Depends: (?P<target>\S+)$")
_DEPENDS = (
    "depends --recurse --no-recommends --no-suggests --no-conflicts --no-breaks --no-replaces --no-enhances"
)
_TIMEOUT_S = "20"


@dataclass(frozen=True)
class Deb:
    """One package file, as apt announces it.

    Attributes
    ----------
    name : str
        File name.
    size : int
        Bytes.
    digest : str
        Algorithm and hexadecimal digest, for example ``"SHA256:5c71..."``.
    """

    name: str
    size: int
    digest: str


class PrivateApt:
    """apt-get and apt-cache on a sources list of our own.

    Parameters
    ----------
    folder : Path
        Folder that holds everything of it; created where missing.
    sources : str
        Contents of its ``sources.list``.

    Raises
    ------
    DatabaseError
        The machine's apt configuration cannot be read.
    """

    def __init__(self, folder: Path, sources: str) -> None:
        self.debs = folder / "debs"
        self._empty = folder / "empty"
        self._config = folder / "apt.conf"
        for needed in (
            self.debs, self._empty, folder / "lists" / "partial", folder / "state",
            folder / "cache" / "archives" / "partial",
        ):  # fmt: skip
            needed.mkdir(parents=True, exist_ok=True)
        # The tools inherit the lock: what outlives a killed fetch is waited for, not run into.
        self._lock = (folder / "lock").open("w")
        fcntl.flock(self._lock, fcntl.LOCK_EX)
        (folder / "status").touch()  # no installed packages: the whole closure is wanted
        (folder / "sources.list").write_text(sources, encoding="utf-8")
        own = {
            "Dir::Etc::main": "/dev/null",
            "Dir::Etc::parts": self._empty,
            "Dir::Etc::sourcelist": folder / "sources.list",
            "Dir::Etc::sourceparts": self._empty,
            "Dir::Etc::preferences": "/dev/null",
            "Dir::Etc::preferencesparts": self._empty,
            "Dir::State": folder / "state",
            "Dir::State::lists": folder / "lists",
            "Dir::State::status": folder / "status",
            "Dir::Cache": folder / "cache",
            "Acquire::Languages": "none",
            # Whatever the machine allows for itself: no package without a signature of the archive's key.
            "Acquire::AllowInsecureRepositories": "false",
            "Acquire::AllowWeakRepositories": "false",
            "Acquire::AllowDowngradeToInsecureRepositories": "false",
            "APT::Get::AllowUnauthenticated": "false",
            "Acquire::Retries": "2",
            "Acquire::http::Timeout": _TIMEOUT_S,
            "Acquire::https::Timeout": _TIMEOUT_S,
            # As root apt would change to an account that may not write here.
            "APT::Sandbox::User": "root",
        }
        settings = run_tool(["apt-config", "dump", "Acquire"], "read the machine's apt settings").splitlines()
        lines = [line for line in settings if not _NOT_INHERITED.match(line)]
        lines += [f'{name} "{value}";' for name, value in own.items()]
        self._config.touch(mode=0o600)  # a proxy's address may hold a password
        self._config.write_text("\n".join(lines) + "\n", encoding="utf-8")

    def __enter__(self) -> PrivateApt:
        return self

    def __exit__(self, *exception: object) -> None:
        self._lock.close()

    def update(self) -> None:
        """Fetch the package lists; DatabaseError where the archive is out of reach or not signed."""
        self._run("apt-get", "update", "-q", purpose="read the archive's package lists")

    def first_known(self, packages: Sequence[str]) -> str | None:
        """Return the first of some packages that the archive has, or None."""
        answer = self._run("apt-cache", "policy", *packages, purpose="look MySQL up")
        blocks = re.split(r"^(?=\S)", answer, flags=re.MULTILINE)
        known = {block.partition(":")[0] for block in blocks if re.search(r"Candidate: (?!\(none\))", block)}
        return next((package for package in packages if package in known), None)

    def closure(self, package: str) -> tuple[str, ...]:
        """Return a package and everything that it needs to run."""
        graph = self._run("apt-cache", *_DEPENDS.split(), package, purpose=f"list what {package} needs")
        return parse_closure(graph, package)

    def files(self, packages: Sequence[str]) -> tuple[Deb, ...]:
        """Return the files of some packages, without fetching them."""
        # In an empty folder, since those that lie in the current folder are not printed.
        return parse_uris(
            self._run(
                "apt-get",
                "download",
                "--print-uris",
                *packages,
                purpose="find MySQL's packages",
                folder=self._empty,
            )
        )

    def download(self, packages: Sequence[str], output: IO[bytes]) -> subprocess.Popen[bytes]:
        """Begin to fetch packages into the folder ``debs``; what apt says goes to a file."""
        return subprocess.Popen(
            ["apt-get", "download", "-q", *packages],
            cwd=self.debs, env=self._environment(), pass_fds=(self._lock.fileno(),),
            stdin=subprocess.DEVNULL, stdout=output, stderr=output,
        )  # fmt: skip

    def _environment(self) -> dict[str, str]:
        return {**os.environ, "LC_ALL": "C", "APT_CONFIG": str(self._config)}

    def _run(self, *command: str, purpose: str, folder: Path | None = None) -> str:
        return run_tool(
            command, purpose, environment=self._environment(), folder=folder, pass_fds=(self._lock.fileno(),)
        )


def parse_closure(text: str, package: str) -> tuple[str, ...]:
    """Return the packages that one needs to run, from the output of ``apt-cache depends --recurse``.

    Perl is left out with all that only it needs, as are the tools with which packages configure themselves:
    mysqld links against none of them.

    Parameters
    ----------
    text : str
        The graph: a package's name at the margin, what it depends on indented below it, alternatives marked
        by a bar (``|Depends: a`` is "a or the next"), the providers of a virtual package indented below
        ``<name>``. Of alternatives and providers the first is taken.
    package : str
        Where to begin.
    """
    graph: dict[str, list[list[str]]] = {}
    choices: list[list[str]] = []
    alternative = False
    for line in text.splitlines():
        if not line[:1].isspace():
            choices, alternative = graph.setdefault(line, []), False
            continue
        edge = _EDGE.match(line)
        if edge is None:
            choices[-1].append(line.strip())
            continue
        if not alternative:
            choices.append([])
        alternative = bool(edge["bar"])
        if not edge["target"].startswith("<"):
            choices[-1].append(edge["target"])
    closure: list[str] = []
    queue = [package]
    while queue:
        current = queue.pop(0)
        if current in closure or _only_configures(current):
            continue
        closure.append(current)
        queue += [choice[0] for choice in graph.get(current, []) if choice]
    return tuple(closure)


def _only_configures(package: str) -> bool:
    return package.partition(":")[0].startswith(("perl", "libperl", "debconf", "cdebconf", "dpkg", "adduser"))


def parse_uris(text: str) -> tuple[Deb, ...]:
    """Read ``apt-get download --print-uris``: file names, sizes in bytes and digests."""
    matches = (_URI.match(line) for line in text.splitlines())
    return tuple(
        Deb(name=m["name"], size=int(m["size"]), digest=m["digest"]) for m in matches if m is not None
    )


def run_tool(
    command: Sequence[str],
    purpose: str,
    *,
    environment: dict[str, str] | None = None,
    folder: Path | None = None,
    pass_fds: tuple[int, ...] = (),
) -> str:
    """Run one of the package tools and return what it printed.

    Raises
    ------
    DatabaseError
        It failed; the message begins with the purpose.
    """
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False,
        env=environment, stdin=subprocess.DEVNULL, pass_fds=pass_fds,
    )  # fmt: skip
    # apt-get update reports an archive that it cannot reach as a warning, and exits 0.
    unreached = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
    if done.returncode != 0 or unreached:
        raise tool_failure(purpose, "\n".join(unreached) or done.stderr or done.stdout)
    return done.stdout


def tool_failure(purpose: str, said: str) -> DatabaseError:
    """Compose the error for a package tool that failed, without the passwords that addresses may carry."""
    shown = re.sub(r"(\w+://)[^/@\s]+@", r"\1", said.strip())[-600:]
    return DatabaseError(f"The package tools could not {purpose}: {shown}")
