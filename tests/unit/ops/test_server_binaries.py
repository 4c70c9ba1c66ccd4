"""Which mysqld is chosen, which are refused, and how one is fetched: with programs that only pretend."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path

import pytest
import server_fakes as fakes

from decortex.errors import DatabaseError
from decortex_ops.server import Mysqld, Progress, binaries, find_mysqld, program
from decortex_ops.server.debian import AptSource, fetch


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """An environment with an empty PATH and an empty cache."""
    (tmp_path / "bin").mkdir()
    return {"PATH": str(tmp_path / "bin"), "DECORTEX_CACHE": str(tmp_path / "cache")}


@pytest.fixture(autouse=True)
def nothing_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries, "SYSTEM_FOLDERS", ())


@pytest.fixture
def archive(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Folder of package tools that serve a pretended archive."""
    folder = tmp_path / "archive"
    fakes.package_tools(folder)
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    source = AptSource("http://mirror.example/debian", "stable", ("main",))
    monkeypatch.setattr(fetch, "choose_archives", lambda: (fetch.Archive(source, ("sid",)),))
    return folder


def _unpacked(cache: Path, version: str = "9.7.4") -> Path:
    root = fetch.folder_of(cache) / "root"
    fakes.mysqld(root / "usr/sbin/mysqld")
    fakes.program(root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2", 'shift 2; exec "$@"')
    manifest = {"version": version, "origin": "mysql-server-core from sid"}
    (fetch.folder_of(cache) / "manifest.json").write_text(json.dumps(manifest))
    return root


def test_the_named_program_goes_before_all_others(tmp_path, environ):
    fakes.mysqld(tmp_path / "bin/mysqld")
    named = fakes.mysqld(tmp_path / "own/mysqld", says=fakes.MYSQL_8.replace("8.4.3", "9.1.0"))
    found = find_mysqld({**environ, "DECORTEX_MYSQLD": str(named)})
    assert (found.version, found.path, found.command) == ("9.1.0", named, (str(named),))


def test_the_installed_program_goes_before_the_cached_one(tmp_path, environ):
    _unpacked(tmp_path / "cache")
    installed = fakes.mysqld(tmp_path / "bin/mysqld")
    assert find_mysqld(environ).path == installed
    installed.unlink()
    assert find_mysqld(environ).version == "9.7.4"


def test_the_cached_program_runs_under_its_own_linker_and_shares(tmp_path, environ):
    root = _unpacked(tmp_path / "cache")
    found = find_mysqld(environ)
    libraries = root / "usr/lib/x86_64-linux-gnu"
    assert found.command == (
        str(libraries / "ld-linux-x86-64.so.2"), "--library-path", str(libraries), str(root / "usr/sbin/mysqld"),
    )  # fmt: skip
    assert f"--lc-messages-dir={root}/usr/share/mysql" in found.options()


def test_libraries_of_the_callers_environment_do_not_reach_an_unpacked_program(
    tmp_path, environ, monkeypatch
):
    monkeypatch.setenv("LD_PRELOAD", "/conda/lib/libfoo.so")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    _unpacked(tmp_path / "cache")
    env = find_mysqld(environ).environment()
    assert not {"LD_PRELOAD", "NOTIFY_SOCKET"} & set(env)


def test_root_is_told_to_mysqld_and_nobody_else(tmp_path, environ, monkeypatch):
    fakes.mysqld(tmp_path / "bin/mysqld")
    found = find_mysqld(environ)
    monkeypatch.setattr(program.os, "geteuid", lambda: 0)
    assert "--user=root" in found.options()
    monkeypatch.setattr(program.os, "geteuid", lambda: 1000)
    assert "--user=root" not in found.options()


@pytest.mark.parametrize(
    ("says", "expected"),
    [
        (fakes.MARIADB, r"DECORTEX_MYSQLD cannot be used: .*mysqld is MariaDB .*10\.11\.6.* not support"),
        (fakes.MYSQL_57, r"is MySQL 5\.7\.44, but DataJoint 2 needs 8\.0\.13 or newer"),
        ("Ver 8.0.12 for Linux", r"is MySQL 8\.0\.12"),
        ("hello", r"does not answer `--version` as MySQL's server does.*hello"),
    ],
)
def test_a_named_program_that_cannot_serve_is_refused_by_name(tmp_path, environ, says, expected):
    named = fakes.mysqld(tmp_path / "own/mysqld", says=says)
    with pytest.raises(DatabaseError, match=expected):
        find_mysqld({**environ, "DECORTEX_MYSQLD": str(named)})


def test_a_named_program_that_is_not_there_is_not_replaced_by_another(tmp_path, environ):
    fakes.mysqld(tmp_path / "bin/mysqld")
    with pytest.raises(DatabaseError, match=r"DECORTEX_MYSQLD names '/nowhere/mysqld', which cannot be run"):
        find_mysqld({**environ, "DECORTEX_MYSQLD": "/nowhere/mysqld"})


def test_an_installed_mariadb_is_passed_over_and_named_where_nothing_else_is_found(tmp_path, environ):
    fakes.mysqld(tmp_path / "bin/mysqld", says=fakes.MARIADB)
    with pytest.raises(DatabaseError, match=r"is MariaDB") as caught:
        find_mysqld(environ, fetch=False)
    for way in ("install MySQL 8.0.13", "docker compose up -d", "DJ_HOST"):
        assert way in str(caught.value)
    _unpacked(tmp_path / "cache")
    assert find_mysqld(environ, fetch=False).version == "9.7.4"


@pytest.mark.parametrize("damage", ["manifest", "program", "linker"])
def test_a_damaged_cache_is_not_used(tmp_path, environ, damage):
    root = _unpacked(tmp_path / "cache")
    {
        "manifest": root.parent / "manifest.json",
        "program": root / "usr/sbin/mysqld",
        "linker": root / "usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2",
    }[damage].unlink()
    assert fetch.cached(tmp_path / "cache") is None


def test_a_fetch_leaves_the_unpacked_server_and_nothing_else(tmp_path, environ, archive):
    seen: list[Progress] = []
    found = find_mysqld(environ, progress=seen.append)
    assert (found.version, found.origin) == ("8.4.3", "mysql-server-core from sid")
    names = sorted(path.name for path in (tmp_path / "cache").iterdir())
    assert names == sorted(["mysql-fetch.lock", fetch.folder_of(tmp_path).name])
    assert not (found.root / "usr/share/doc").exists()
    total = sum(file.stat().st_size for file in archive.glob("*.deb"))
    assert Progress("fetching MySQL", total, total) in seen
    assert seen[-1] == Progress("unpacking MySQL", 2, 2)


def test_an_interrupted_fetch_says_so_and_is_taken_up_again(tmp_path, environ, archive):
    (archive / "breaks").touch()
    with pytest.raises(
        DatabaseError, match=r"could not download MySQL's packages: .*connection lost"
    ) as caught:
        find_mysqld(environ)
    assert "docker compose up -d" in str(caught.value)
    kept = tmp_path / "cache/mysql-fetch/debs/lib_1_all.deb"
    assert kept.read_text() == "library"
    (kept.parent / "mysql-server-core_9_all.deb").write_text("ser")  # cut off by a kill
    (tmp_path / "cache/mysql-unpacking-killed").mkdir()
    (archive / "breaks").unlink()
    assert find_mysqld(environ).version == "8.4.3"
    assert not list((tmp_path / "cache").glob("mysql-unpacking-*"))


def test_an_archive_out_of_reach_is_named_without_its_password(environ, archive):
    (archive / "unreachable").touch()
    with pytest.raises(DatabaseError, match=r"Failed to fetch http://mirror\.example") as caught:
        find_mysqld(environ)
    assert "geheim" not in str(caught.value)


def test_the_next_archive_is_tried_where_one_fails(environ, archive, monkeypatch):
    source = AptSource("http://mirror.example/debian", "stable", ("main",))
    empty = fetch.Archive(source, ("empty",))
    monkeypatch.setattr(fetch, "choose_archives", lambda: (empty, fetch.Archive(source, ("sid",))))
    reached = fetch._fetch_from

    def fetch_from(chosen, cache, progress):
        if chosen is empty:
            raise DatabaseError("out of reach")
        return reached(chosen, cache, progress)

    monkeypatch.setattr(fetch, "_fetch_from", fetch_from)
    assert find_mysqld(environ).origin.endswith("from sid")


def test_two_fetches_at_once_download_once(environ, archive):
    found: list[Mysqld] = []
    threads = [threading.Thread(target=lambda: found.append(find_mysqld(environ))) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 2
    assert found[0] == found[1]
    calls = (archive / "calls.log").read_text().splitlines()
    assert sum(call.startswith("update") for call in calls) == 1


def test_a_cache_without_room_is_named_before_anything_is_fetched(environ, archive, monkeypatch):
    monkeypatch.setattr(fetch, "_UNPACKED_BYTES", 2**60)
    with pytest.raises(DatabaseError, match=r"No space left on device: .*DECORTEX_CACHE"):
        find_mysqld(environ)
    assert not (archive / "calls.log").exists()


def test_a_cache_that_cannot_be_written_is_named(tmp_path, environ, archive):
    (tmp_path / "cache").write_text("a file")
    with pytest.raises(DatabaseError, match=r"cannot be fetched into .*cache.*Set DECORTEX_CACHE"):
        find_mysqld(environ)
