"""MySQL from the distribution's own packages, without root: fetched, verified, unpacked into a cache. Runs no server.

Everything apt needs is private to a folder of the cache (sources, lists, caches, package status); the machine's own
configuration gives the archive's address, proxies and keys, and nothing of the machine is changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from decortex.errors import DatabaseError
from filelock import FileLock, Timeout

from decortex_ops.server.apt_sources import AptSource, archive_of, read_sources
from decortex_ops.server.binaries import Mysqld, probe
from decortex_ops.server.progress import Progress, ProgressCallback, silent

DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
_TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg", "dpkg-deb")
_MANIFEST = "manifest.json"
_LOCK_WAIT_S = 1800.0
# Only what the archive cannot be reached without; index targets and compression stay apt's own defaults.
_NOT_INHERITED = re.compile(
    r"^Acquire(::(IndexTargets|Changelogs|CompressionTypes|Languages|GzipIndexes)[^ ]*)? "
)
_URI = re.compile(r"^'(?P<uri>[^']+)' (?P<name>\S+) (?P<size>\d+) (?P<digest>SHA\d+:[0-9a-f]+)$")
_DEPENDS = ["apt-cache", "depends", "--recurse", "--no-recommends", "--no-suggests", "--no-conflicts", "--no-breaks",
            "--no-replaces", "--no-enhances"]  # fmt: skip
_UNPACKED_BYTES = 500 * 2**20


@dataclass(frozen=True)
class Recipe:
    """Which package of which suite gives the server.

    Attributes
    ----------
    source : AptSource
        The archive, as the machine names it.
    suite : tuple of str
        Suites to read.
    package : str
        The package that holds ``mysqld``.
    """

    source: AptSource
    suites: tuple[str, ...]
    package: str


@dataclass(frozen=True)
class Deb:
    """One package file of the closure, as apt announces it."""

    name: str
    size: int
    digest: str


def folder_of(cache: Path) -> Path:
    """Return the folder of the cache that holds the unpacked server."""
    return cache / f"mysql-{platform.machine()}"


def cached(cache: Path) -> Mysqld | None:
    """Return the server that an earlier fetch has left, or None."""
    folder = folder_of(cache)
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        version, origin = str(manifest["version"]), str(manifest["origin"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    try:
        command, path = _command(folder / "root")
    except DatabaseError:
        return None
    return Mysqld(command=command, version=version, origin=origin, path=path, root=folder / "root")


def fetch(cache: Path, *, progress: ProgressCallback = silent) -> Mysqld:
    """Fetch the distribution's MySQL server and everything it links against, and unpack it into the cache.

    One process fetches, others wait for it. What an interrupted fetch has downloaded is used by the next one; the
    unpacked folder appears whole or not at all.

    Parameters
    ----------
    cache : Path
        Folder for what can be fetched again.
    progress : callable
        Called with the bytes done and to do.

    Returns
    -------
    Mysqld
        The unpacked server.

    Raises
    ------
    DatabaseError
        The machine is neither Debian nor Ubuntu, names no archive, or the archive cannot be reached.
    """
    try:
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with FileLock(cache / "mysql-fetch.lock", timeout=_LOCK_WAIT_S):
            return cached(cache) or _fetch_locked(cache, progress)
    except Timeout as error:
        msg = f"Another process has been fetching MySQL into {cache} for {_LOCK_WAIT_S:.0f} s; end it and try again."
        raise DatabaseError(msg) from error
    except OSError as error:
        msg = f"MySQL could not be fetched into {cache}: {error}. Set DECORTEX_CACHE to a folder with 1 GB free."
        raise DatabaseError(msg) from error


def choose_recipe(*, os_release: Path = Path("/etc/os-release"), etc_apt: Path = Path("/etc/apt")) -> Recipe:
    """Decide from which archive and package the server comes.

    Raises
    ------
    DatabaseError
        The machine is neither Debian nor Ubuntu, lacks apt's tools, or names no archive of its distribution.
    """
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        msg = f"MySQL is fetched by Debian's package tools, but this machine has no {', '.join(missing)}."
        raise DatabaseError(msg)
    release = _os_release(os_release)
    distribution, codename = release.get("ID", ""), release.get("VERSION_CODENAME", "")
    if distribution not in {"debian", "ubuntu"}:
        msg = f"MySQL is fetched on Debian and Ubuntu only; this machine says it is {distribution or 'unnamed'!r}."
        raise DatabaseError(msg)
    source = archive_of(read_sources(etc_apt), distribution=distribution, codename=codename)
    if source is None:
        msg = f"No source under {etc_apt} names the {distribution} archive for {codename or 'this release'}."
        raise DatabaseError(msg)
    if distribution == "ubuntu":
        return Recipe(
            source=source, suites=(codename, f"{codename}-updates"), package="mysql-server-core-8.0"
        )
    # Debian's stable releases carry MariaDB instead of MySQL; sid carries MySQL.
    return Recipe(source=source, suites=("sid",), package="mysql-server-core")


def _os_release(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name: value.strip("\"'") for name, _, value in pairs}


def _fetch_locked(cache: Path, progress: ProgressCallback) -> Mysqld:
    recipe = choose_recipe()
    free = shutil.disk_usage(cache).free
    if free < _UNPACKED_BYTES:
        msg = (
            f"The cache {cache} has {free / 2**20:.0f} MB free, MySQL needs {_UNPACKED_BYTES / 2**20:.0f} MB: no space "
            "left on device. Free some, or set DECORTEX_CACHE to a folder elsewhere."
        )
        raise DatabaseError(msg)
    work = cache / "mysql-fetch"
    work.mkdir(exist_ok=True, mode=0o700)
    config = _private_apt(work, recipe)
    progress(Progress("reading the package lists"))
    _run(["apt-get", "update", "-q"], "read the archive's package lists", config)
    graph = _run([*_DEPENDS, recipe.package], "list what MySQL depends on", config)
    closure = parse_closure(graph, recipe.package)
    # In a folder without packages, since those that are there already are not printed.
    printed = _run(
        ["apt-get", "download", "--print-uris", *closure],
        "find MySQL's packages",
        config,
        folder=work / "empty",
    )
    debs = parse_uris(printed)
    _download(["apt-get", "download", "-q", *closure], config, debs, work / "debs", progress)
    found = _unpack(
        cache, work / "debs", debs, origin=f"{recipe.package} ({recipe.suites[0]})", progress=progress
    )
    shutil.rmtree(work)
    return found


def _private_apt(work: Path, recipe: Recipe) -> Path:
    """Write an apt configuration of our own and return its path, to be named by APT_CONFIG."""
    for folder in ("lists/partial", "state", "cache/archives/partial", "debs", "empty"):
        (work / folder).mkdir(parents=True, exist_ok=True)
    (work / "status").touch()  # an empty list of installed packages: the whole closure is wanted
    (work / "sources.list").write_text(sources_line(recipe), encoding="utf-8")
    inherited = [line for line in _run(["apt-config", "dump", "Acquire"], "read apt's settings").splitlines()
                 if not _NOT_INHERITED.match(line)]  # fmt: skip
    own = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": work / "empty",
        "Dir::Etc::sourcelist": work / "sources.list",
        "Dir::Etc::sourceparts": work / "empty",
        "Dir::Etc::preferences": "/dev/null",
        "Dir::Etc::preferencesparts": work / "empty",
        "Dir::State": work / "state",
        "Dir::State::lists": work / "lists",
        "Dir::State::status": work / "status",
        "Dir::Cache": work / "cache",
        "Acquire::Languages": "none",
        "Acquire::Retries": "3",
        # As root apt would change to an account that may not write here.
        "APT::Sandbox::User": "root",
    }
    file = work / "apt.conf"
    file.touch(mode=0o600)  # a proxy's address may hold a password
    text = [*inherited, *(f'{name} "{value}";' for name, value in own.items())]
    file.write_text("\n".join(text) + "\n", encoding="utf-8")
    return file


def sources_line(recipe: Recipe) -> str:
    """Return the private sources list: the machine's archive, the recipe's suites, the distribution's key."""
    options = dict(recipe.source.options)
    keyring = recipe.source.signed_by or (str(DEBIAN_KEYRING) if "sid" in recipe.suites else None)
    if keyring is not None:
        options["signed-by"] = keyring
    shown = " ".join(f"{name}={value}" for name, value in options.items())
    components = "main" if "sid" in recipe.suites else " ".join(recipe.source.components)
    return "".join(
        f"deb [{shown}] {recipe.source.uri} {suite} {components}\n".replace("[] ", "")
        for suite in recipe.suites
    )


def parse_closure(text: str, package: str) -> tuple[str, ...]:
    """Return the packages that one needs to run, without perl, from ``apt-cache depends --recurse``.

    Parameters
    ----------
    text : str
        The graph: a package's name at the margin, its dependencies indented below it. Of alternatives
        (``|Depends``) and of the providers of a virtual package (indented under ``<name>``) the first is taken.
    package : str
        Where to begin.
    """
    graph: dict[str, list[str]] = {}
    needs: list[str] = []
    pending = ""  # "virtual" until a provider is read, "alternative" once a choice is made
    for line in text.splitlines():
        name = line.strip()
        if not line.startswith(" "):
            needs = graph.setdefault(name, [])
            pending = ""
            continue
        kind, colon, target = name.partition(": ")
        if not colon:  # a provider
            if pending == "virtual":
                needs.append(name)
                pending = ""
            continue
        if kind.lstrip("|") not in {"Depends", "PreDepends"} or pending == "alternative":
            pending = "alternative" if kind.startswith("|") and pending == "alternative" else ""
            continue
        if target.startswith("<"):
            pending = "virtual"
        else:
            needs.append(target)
            pending = ""
        if kind.startswith("|"):
            pending = "alternative"
    closure: list[str] = []
    queue = [package]
    while queue:
        current = queue.pop(0).removesuffix(":any")
        if current in closure or _unwanted(current):
            continue
        closure.append(current)
        queue += graph.get(current, [])
    return tuple(closure)


def _unwanted(package: str) -> bool:
    # mysqld links against none of these: the package's perl scripts and glibc's installer need them.
    return package.startswith(("perl", "libperl", "debconf", "cdebconf", "dpkg", "adduser", "passwd"))


def parse_uris(text: str) -> tuple[Deb, ...]:
    """Read ``apt-get download --print-uris``: file names, sizes in bytes and digests."""
    matches = (_URI.match(line) for line in text.splitlines())
    return tuple(
        Deb(name=m["name"], size=int(m["size"]), digest=m["digest"]) for m in matches if m is not None
    )


def _download(
    command: list[str], config: Path, debs: tuple[Deb, ...], folder: Path, progress: ProgressCallback
) -> None:
    total = sum(deb.size for deb in debs)
    for deb in debs:
        if (folder / deb.name).exists() and not _is_whole(folder / deb.name, deb):
            (folder / deb.name).unlink()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command,
            cwd=folder,
            env=_apt_environment(config),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
        )
        try:
            while process.poll() is None:
                done = sum(file.stat().st_size for file in list(folder.glob("*.deb")) if file.exists())
                progress(Progress("fetching MySQL", done, total))
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace")
    broken = [deb.name for deb in debs if not _is_whole(folder / deb.name, deb)]
    if process.returncode != 0 or broken:
        raise _failure("download MySQL's packages", said or f"incomplete: {', '.join(broken)}")
    progress(Progress("fetching MySQL", total, total))


def _is_whole(file: Path, deb: Deb) -> bool:
    if not file.is_file() or file.stat().st_size != deb.size:
        return False
    algorithm, _, expected = deb.digest.partition(":")
    with file.open("rb") as stream:
        digest = hashlib.new(algorithm.lower())
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest() == expected


def _unpack(
    cache: Path, folder: Path, debs: tuple[Deb, ...], *, origin: str, progress: ProgressCallback
) -> Mysqld:
    final = folder_of(cache)
    for leftover in cache.glob("mysql-unpacking-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="mysql-unpacking-", dir=cache))
    root = fresh / "root"
    for number, deb in enumerate(debs):
        progress(Progress("unpacking MySQL", number, len(debs)))
        _run(["dpkg-deb", "-x", str(folder / deb.name), str(root)], f"unpack {deb.name}")
    for needless in ("doc", "man", "locale", "lintian"):
        shutil.rmtree(root / "usr" / "share" / needless, ignore_errors=True)
    command, path = _command(root)
    found = probe(command, origin=origin, path=path, root=root)
    manifest = {
        "version": found.version,
        "origin": origin,
        "packages": {deb.name: deb.digest for deb in debs},
    }
    (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    if final.exists():  # without a usable manifest: what some other program has broken
        shutil.rmtree(final)
    fresh.rename(final)
    progress(Progress("unpacking MySQL", len(debs), len(debs)))
    whole = cached(cache)
    if whole is None:
        msg = f"MySQL was unpacked into {final}, but something removed it again."
        raise DatabaseError(msg)
    return whole


def _command(root: Path) -> tuple[tuple[str, ...], Path]:
    """Return how to run the unpacked server: under its own dynamic linker, with its own libraries."""
    program = root / "usr" / "sbin" / "mysqld"
    libraries = sorted({path.parent for path in root.glob("**/libc.so.6")})
    linkers = [path for folder in libraries for path in sorted(folder.glob("ld-linux*.so.*"))]
    if not program.is_file() or not linkers:
        msg = f"{root} holds no mysqld or no dynamic linker."
        raise DatabaseError(msg)
    # Packages from before the merged /usr put some libraries into /lib; MySQL keeps some private to itself.
    places = [folder for base in ("lib", "usr/lib") for folder in sorted((root / base).glob("*-linux-gnu*"))]
    places += [folder for folder in (root / "usr" / "lib" / "mysql" / "private",) if folder.is_dir()]
    return (str(linkers[0]), "--library-path", ":".join(map(str, places)), str(program)), program


def _apt_environment(config: Path | None) -> dict[str, str]:
    env = {**os.environ, "LC_ALL": "C"}
    if config is not None:
        env["APT_CONFIG"] = str(config)
    return env


def _run(command: list[str], purpose: str, config: Path | None = None, *, folder: Path | None = None) -> str:
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, errors="replace", check=False,
        env=_apt_environment(config), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    # apt-get update reports an archive that it could not reach as a warning, and exits 0.
    unreached = [line for line in done.stderr.splitlines() if line.startswith(("E:", "W: Failed to fetch"))]
    if done.returncode != 0 or unreached:
        raise _failure(purpose, "\n".join(unreached) or done.stderr or done.stdout)
    return done.stdout


def _failure(purpose: str, said: str) -> DatabaseError:
    # A proxy's or an archive's address may carry a password.
    shown = re.sub(r"(\w+://)[^/@\s]+@", r"\1", said.strip())[-600:]
    return DatabaseError(f"The package tools could not {purpose}: {shown}")
