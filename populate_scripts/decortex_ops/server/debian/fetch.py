"""MySQL from the distribution's own packages, without root: fetched, verified, unpacked into a cache.

Debian's stable releases carry MariaDB instead of MySQL, so on Debian the suite is sid, run under sid's own
dynamic linker and libraries. Runs no server and changes nothing of the machine.
"""

from __future__ import annotations

import hashlib
import json
import platform
import shutil
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from decortex.errors import DatabaseError
from decortex_ops.server.debian.apt import Deb, PrivateApt, run_tool, tool_failure
from decortex_ops.server.debian.sources import AptSource, archives_of, read_sources
from decortex_ops.server.program import Mysqld, probe
from decortex_ops.server.progress import Progress, ProgressCallback, silent

_TOOLS = ("apt-get", "apt-cache", "apt-config", "dpkg-deb")
# The name has changed over the years, and a mirror may be a snapshot of an older archive.
_PACKAGES = ("mysql-server-core", "mysql-server-core-8.4", "mysql-server-core-8.0")
_DEBIAN_KEYRINGS = tuple(
    Path(f"/usr/share/keyrings/debian-archive-keyring.{suffix}") for suffix in ("gpg", "pgp")
)
_MANIFEST = "manifest.json"
_LOCK_WAIT_S = 1800.0
_UNPACKED_BYTES = 500 * 2**20


@dataclass(frozen=True)
class Archive:
    """Where the server's packages come from.

    Attributes
    ----------
    source : AptSource
        The archive, as the machine names it.
    suites : tuple of str
        Suites to read, the first giving the origin its name.
    """

    source: AptSource
    suites: tuple[str, ...]

    def sources_list(self) -> str:
        """Return the private sources list: the machine's archive, these suites, the distribution's key."""
        options = dict(self.source.options)
        debian = "sid" in self.suites
        keyrings = (str(path) for path in _DEBIAN_KEYRINGS if debian and path.is_file())
        keyring = next(keyrings, self.source.signed_by)
        if keyring is not None:
            options["signed-by"] = keyring
        bracket = f"[{' '.join(f'{name}={value}' for name, value in options.items())}] " if options else ""
        components = "main" if debian else " ".join(self.source.components)
        return "".join(f"deb {bracket}{self.source.uri} {suite} {components}\n" for suite in self.suites)


def folder_of(cache: Path) -> Path:
    """Return the folder of the cache that holds the unpacked server."""
    return cache / f"mysql-{platform.machine()}"


def cached(cache: Path) -> Mysqld | None:
    """Return the server that an earlier fetch has left, or None."""
    folder = folder_of(cache)
    try:
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        version, origin = str(manifest["version"]), str(manifest["origin"])
        command, path = command_of(folder / "root")
    except (OSError, ValueError, KeyError, TypeError, DatabaseError):
        return None  # whatever is missing is fetched again
    return Mysqld(command=command, version=version, origin=origin, path=path, root=folder / "root")


def fetch(cache: Path, *, progress: ProgressCallback = silent) -> Mysqld:
    """Fetch the distribution's MySQL server and all that it needs to run, and unpack it into the cache.

    One process fetches, others wait for it. What an interrupted fetch has downloaded is used by the next
    one; the unpacked folder appears whole or not at all.

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
        progress(Progress("looking for MySQL's packages"))
        with FileLock(cache / "mysql-fetch.lock", timeout=_LOCK_WAIT_S):
            return cached(cache) or _fetch_locked(cache, progress)
    except Timeout as error:
        msg = f"Another process has been fetching MySQL into {cache} for {_LOCK_WAIT_S:.0f} s; end it first."
        raise DatabaseError(msg) from error
    except NotImplementedError as error:
        msg = f"The file system of {cache} has no locks; set DECORTEX_CACHE to a local disk."
        raise DatabaseError(msg) from error
    except OSError as error:
        msg = f"MySQL cannot be fetched into {cache}: {error}. Set DECORTEX_CACHE to a folder with 1 GB free."
        raise DatabaseError(msg) from error


def choose_archives(
    *, os_release: Path = Path("/etc/os-release"), etc_apt: Path = Path("/etc/apt")
) -> tuple[Archive, ...]:
    """Decide from which archives the server may come, likeliest first.

    Raises
    ------
    DatabaseError
        The machine is neither Debian nor Ubuntu, lacks apt's tools, or names no archive of its distribution.
    """
    release = _os_release(os_release)
    distribution, codename = release.get("ID", ""), release.get("VERSION_CODENAME", "")
    if "UBUNTU_CODENAME" in release:  # Ubuntu and those built on its archive
        distribution, codename = "ubuntu", release["UBUNTU_CODENAME"]
    if distribution not in {"debian", "ubuntu"}:
        named = release.get("PRETTY_NAME") or distribution or platform.system()
        msg = f"MySQL's packages are fetched on Debian and Ubuntu only; this machine is {named!r}."
        raise DatabaseError(msg)
    missing = [tool for tool in _TOOLS if shutil.which(tool) is None]
    if missing:
        msg = f"MySQL's packages are fetched with apt, but this machine has no {', '.join(missing)}."
        raise DatabaseError(msg)
    sources = archives_of(read_sources(etc_apt), distribution=distribution, codename=codename)
    if not sources:
        msg = f"No source under {etc_apt} names {distribution}'s archive for {codename or 'this release'}."
        raise DatabaseError(msg)
    suites = ("sid",) if distribution == "debian" else (codename, f"{codename}-updates")
    return tuple(Archive(source=source, suites=suites) for source in sources)


def _os_release(path: Path) -> dict[str, str]:
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError:
        return {}
    pairs = (line.partition("=") for line in lines)
    return {name: value.strip("\"' ") for name, _, value in pairs}


def _fetch_locked(cache: Path, progress: ProgressCallback) -> Mysqld:
    archives = choose_archives()
    free = shutil.disk_usage(cache).free
    if free < _UNPACKED_BYTES:
        msg = (
            f"No space left on device: {cache} has {free / 2**20:.0f} MB free, fetching MySQL needs "
            f"{_UNPACKED_BYTES / 2**20:.0f} MB. Free some, or set DECORTEX_CACHE to a folder elsewhere."
        )
        raise DatabaseError(msg)
    failures = []
    for archive in archives:
        try:
            return _fetch_from(archive, cache, progress)
        except DatabaseError as error:
            failures.append(str(error))
    raise DatabaseError(" ".join(failures))


def _fetch_from(archive: Archive, cache: Path, progress: ProgressCallback) -> Mysqld:
    work = cache / "mysql-fetch"
    work.mkdir(exist_ok=True, mode=0o700)
    with PrivateApt(work, archive.sources_list()) as apt:
        progress(Progress("reading the package lists"))
        apt.update()
        package = apt.first_known(_PACKAGES)
        if package is None:
            msg = (
                f"The archive {archive.source.uri} has none of {', '.join(_PACKAGES)} in {archive.suites[0]}."
            )
            raise tool_failure("find MySQL", msg)
        packages = apt.closure(package)
        debs = apt.files(packages)
        _download(apt, packages, debs, progress)
        origin = f"{package} from {archive.suites[0]}"
        found = _unpack(cache, [apt.debs / deb.name for deb in debs], origin=origin, progress=progress)
    shutil.rmtree(work)
    return found


def _download(
    apt: PrivateApt, packages: Sequence[str], debs: Sequence[Deb], progress: ProgressCallback
) -> None:
    total = sum(deb.size for deb in debs)
    for deb in debs:
        if not is_whole(apt.debs / deb.name, deb):
            (apt.debs / deb.name).unlink(missing_ok=True)
    with tempfile.TemporaryFile() as output:
        process = apt.download(packages, output)
        try:
            while process.poll() is None:
                progress(Progress("fetching MySQL", min(_bytes_in(apt.debs), total), total))
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        output.seek(0)
        said = output.read().decode(errors="replace")
    broken = [deb.name for deb in debs if not is_whole(apt.debs / deb.name, deb)]
    if process.returncode != 0 or broken:
        raise tool_failure("download MySQL's packages", said + f" Incomplete: {', '.join(broken) or 'none'}.")
    progress(Progress("fetching MySQL", total, total))


def _bytes_in(folder: Path) -> int:
    total = 0
    for file in folder.iterdir():
        try:
            total += file.stat().st_size
        except FileNotFoundError:  # apt renames what is complete
            continue
    return total


def is_whole(file: Path, deb: Deb) -> bool:
    """Return whether a file is the package that apt announced: its size and its digest."""
    if not file.is_file() or file.stat().st_size != deb.size:
        return False
    algorithm, _, expected = deb.digest.partition(":")
    digest = hashlib.new(algorithm.lower().removesuffix("sum"))
    with file.open("rb") as stream:
        while block := stream.read(2**20):
            digest.update(block)
    return digest.hexdigest() == expected


def _unpack(cache: Path, files: Sequence[Path], *, origin: str, progress: ProgressCallback) -> Mysqld:
    for leftover in cache.glob("mysql-unpacking-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    fresh = Path(tempfile.mkdtemp(prefix="mysql-unpacking-", dir=cache))
    root = fresh / "root"
    for number, file in enumerate(files):
        progress(Progress("unpacking MySQL", number, len(files)))
        run_tool(["dpkg-deb", "-x", str(file), str(root)], f"unpack {file.name}")
    for needless in ("doc", "man", "locale", "lintian"):
        shutil.rmtree(root / "usr" / "share" / needless, ignore_errors=True)
    command, path = command_of(root)
    version = probe(command, origin=origin, path=path, root=root).version
    manifest = {"version": version, "origin": origin, "packages": [file.name for file in files]}
    (fresh / _MANIFEST).write_text(json.dumps(manifest, indent=1), encoding="utf-8")
    final = folder_of(cache)
    if final.exists():  # it was not usable, or nothing would have been fetched
        shutil.rmtree(final)
    fresh.rename(final)
    progress(Progress("unpacking MySQL", len(files), len(files)))
    command, path = command_of(final / "root")
    return Mysqld(command=command, version=version, origin=origin, path=path, root=final / "root")


def command_of(root: Path) -> tuple[tuple[str, ...], Path]:
    """Return how an unpacked server is run (under its own dynamic linker and libraries), and its path.

    Raises
    ------
    DatabaseError
        The folder holds no server, or no dynamic linker.
    """
    program = root / "usr" / "sbin" / "mysqld"
    # Packages from before the merged /usr put some libraries into /lib; MySQL may keep some to itself.
    folders = [path for base in ("usr/lib", "lib") for path in sorted((root / base).glob("*-linux-gnu*"))]
    folders += [path for path in (root / "usr/lib/mysql/private",) if path.is_dir()]
    linkers = [path for folder in folders for path in sorted(folder.glob("ld-linux*.so.*"))]
    if not program.is_file() or not linkers:
        msg = f"{root} holds no mysqld, or no dynamic linker to run it under."
        raise DatabaseError(msg)
    return (str(linkers[0]), "--library-path", ":".join(map(str, folders)), str(program)), program
