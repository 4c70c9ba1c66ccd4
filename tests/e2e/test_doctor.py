"""What `decortex doctor` says: whether all is well, what is wrong and what to do; as whoever asks."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from forked_commands import ForkedLab

# Disks of this machine are not what is tested: half of 100 GB is free.
ROOMY = """
import collections, shutil
Usage = collections.namedtuple("Usage", "total used free")
shutil.disk_usage = lambda folder: Usage(100e9, 50e9, 50e9)
"""
FULL = ROOMY.replace("50e9)", "1e9)")
SKEWED = ROOMY + "import time\ntrue_time = time.time\ntime.time = lambda: true_time() + 30\n"
Examined = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture
def examined(tiny: ForkedLab, backups: Path) -> Examined:
    """Run `decortex doctor`; returns its exit status and what is not good or unknown."""

    def run(code: str = ROOMY, **changed: str) -> tuple[int, dict[str, dict[str, str]]]:
        environment = {"DECORTEX_BACKUPS": str(backups), "DECORTEX_ALLOW_DIRTY": "1", **changed}
        process = tiny.start("doctor", "--json", code=code, **environment)
        status = process.wait(300)
        assert process.stdout, process.stderr
        checks = json.loads(process.stdout)
        assert len(checks) == 13
        return status, {check["name"]: check for check in checks if check["good"] is not True}

    return run


def test_where_all_is_well_everything_is_good(tiny: ForkedLab, examined: Examined) -> None:
    before = tiny.query("CHECKSUM TABLE environment, worker_lease")
    assert examined() == (0, {})
    assert tiny.query("CHECKSUM TABLE environment, worker_lease") == before  # nothing is written


@pytest.mark.parametrize(
    ("name", "found", "todo", "code", "changed"),
    [
        ("server", "cannot be used", "check DJ_USER and DJ_PASS", ROOMY, {"DJ_PASS": "wrong"}),
        ("server", "cannot be used", "no MySQL server answers", ROOMY, {"DJ_PORT": "9"}),
        ("tables", "cannot be used", "`decortex init` declares them", ROOMY, {"DECORTEX_DATABASE": "nobody"}),
        ("store", "is not there", "set DECORTEX_STORE", ROOMY, {"DECORTEX_STORE": "/nowhere"}),
        ("store", "is not in it", "decortex verify", ROOMY, {"DECORTEX_STORE": "/tmp"}),
        ("disk of the store", "1.0 GB of 100.0 GB free", "decortex gc --delete", FULL, {}),
        ("clock", "s behind this machine's", "NTP", SKEWED, {}),
        ("last backup", "names no folder of backups", "decortex db backup", ROOMY, {"DECORTEX_BACKUPS": ""}),
        ("last backup", "none of", "decortex db backup", ROOMY, {"DECORTEX_BACKUPS": "/nowhere"}),
    ],
)
def test_what_is_wrong_is_named_with_what_to_do(
    examined: Examined, name: str, found: str, todo: str, code: str, changed: dict[str, str]
) -> None:
    status, bad = examined(code, **changed)
    assert status == 1
    assert bad[name]["good"] is False
    assert found in bad[name]["found"]
    assert todo in bad[name]["todo"]
    assert {other for other, check in bad.items() if check["good"] is False} <= {name, "disk of the server"}


def test_tables_of_another_version_are_told(tiny: ForkedLab, examined: Examined) -> None:
    tiny.query("UPDATE `#schema_version` SET version = version + 1")
    status, bad = examined()
    tiny.query("UPDATE `#schema_version` SET version = version - 1")
    assert status == 1
    assert "schema version" in bad["tables"]["todo"]
    assert bad["workers"]["good"] is None


def test_an_old_backup_is_told(examined: Examined, backups: Path, tmp_path: Path) -> None:
    manifest = json.loads((backups / "first" / "manifest.json").read_text())
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "manifest.json").write_text(
        json.dumps({**manifest, "taken_at": "2020-01-01T00:00:00+00:00"})
    )
    status, bad = examined(DECORTEX_BACKUPS=str(tmp_path))
    assert status == 1
    assert "take another" in bad["last backup"]["todo"]
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn" / "manifest.json").write_text(
        json.dumps({**manifest, "damaged": ["_schema/x/y/lost.npy"]})
    )
    assert "1 files are not in it" in examined(DECORTEX_BACKUPS=str(tmp_path))[1]["last backup"]["found"]


@pytest.fixture
def waiting(tiny: ForkedLab) -> Iterator[None]:
    """Eight keys wait, since a while; they are computed again at the end."""
    with tiny.link() as link, link.cursor() as cursor:
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0")
        cursor.execute("SHOW TABLES LIKE '\\_\\_cluster\\_confound%'")
        for (table,) in cursor.fetchall():
            cursor.execute(f"DELETE FROM `{table}`")
    tiny.python("from decortex_ops.workers.scheduler import sweep; sweep()")
    yield
    tiny.python("from small_lab import fill; fill()")


def test_who_works_and_what_waits_is_told(tiny: ForkedLab, examined: Examined, waiting: None) -> None:
    del waiting
    tiny.query("UPDATE worker_lease SET ended = 1")
    status, bad = examined()
    assert (status, set(bad)) == (1, {"scheduler", "workers"})
    assert "decortex schedule --every" in bad["scheduler"]["todo"]
    assert "none runs, and 8 keys wait" in bad["workers"]["found"]
    tiny.query("UPDATE `~~cluster_confound` SET created_time = NOW() - INTERVAL 3 DAY")
    assert "no worker takes this table" in examined()[1]["oldest waiting key"]["found"]
    tiny.query("UPDATE `~~cluster_confound` SET status = 'error', error_message = 'x' LIMIT 2")
    assert examined()[1]["failed keys"]["found"] == "2 of ClusterConfound"
    tiny.query("UPDATE `~~cluster_confound` SET status = 'pending', created_time = NOW()")
    processes = [
        tiny.start("schedule", "--every", "0.5"),
        tiny.start("work", "--tables", "Embedding"),
    ]
    try:
        deadline = time.monotonic() + 120
        while sorted(
            row[0] for row in tiny.query("SELECT program FROM worker_lease WHERE ended = 0 AND program != ''")
        ) != ["scheduler", "worker"]:
            assert time.monotonic() < deadline, [process.stderr for process in processes]
            time.sleep(0.1)
        assert examined() == (0, {})
    finally:
        for process in processes:
            process.terminate()
            process.wait(120)


def test_a_viewer_sees_what_a_viewer_may(tiny: ForkedLab, examined: Examined) -> None:
    name = f"viewer_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "viewer", DECORTEX_NEW_PASSWORD="look")
    try:
        viewer = {"DJ_USER": name, "DJ_PASS": "look"}
        assert examined(**viewer) == (0, {})
        status, bad = examined(**viewer, DECORTEX_BACKUPS="")
        assert (status, bad["last backup"]["good"]) == (0, None)
        tiny.run("db", "revoke", name)
        status, bad = examined(**viewer)
        assert (status, bad["account"]["good"]) == (1, False)
        assert f"decortex db grant {name} --role viewer" in bad["account"]["todo"]
    finally:
        tiny.query("DROP USER %s@%s", name, "%")
