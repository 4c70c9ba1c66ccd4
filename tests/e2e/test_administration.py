"""What an administrator does: looks whether all is well, rehearses backups, keeps the disks from filling."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import shutil
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from forked_commands import ForkedLab
from tiny_chain import dump

# Disks of this machine are not what is tested: half of 100 GB is free.
ROOMY = """
import collections, shutil
Usage = collections.namedtuple("Usage", "total used free")
shutil.disk_usage = lambda folder: Usage(100e9, 50e9, 50e9)
"""
FULL = ROOMY.replace("50e9)", "1e9)")
SKEWED = ROOMY + "import time\ntrue_time = time.time\ntime.time = lambda: true_time() + 30\n"
Examined = Callable[..., tuple[int, dict[str, dict[str, str]]]]


@pytest.fixture(scope="module")
def backups(tiny: ForkedLab) -> Path:
    """A folder with one backup of the tiny lab."""
    folder = tiny.folder / "backups"
    folder.mkdir()
    tiny.run("db", "backup", str(folder / "first"))
    return folder


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


def untouchable(lab: ForkedLab) -> tuple[object, ...]:
    """The live tables, the live store, and what stands beside them."""
    with lab.link() as link, link.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        names = ", ".join(f"`{name}`" for (name,) in cursor.fetchall())
        cursor.execute(f"CHECKSUM TABLE {names}")
        tables = cursor.fetchall()
        cursor.execute("SHOW DATABASES LIKE %s", (f"{lab.environment['DECORTEX_DATABASE']}%",))
        databases = cursor.fetchall()
    store = Path(lab.environment["DECORTEX_STORE"])
    files = [(path, path.stat().st_mtime_ns, path.stat().st_size) for path in sorted(store.rglob("*"))]
    return tables, databases, files, sorted(store.parent.iterdir())


@pytest.fixture
def administrator(tiny: ForkedLab) -> Iterator[ForkedLab]:
    """The lab as the role admin sees it, which has no right on the server itself."""
    name = f"admin_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "admin", DECORTEX_NEW_PASSWORD="keep")
    yield replace(tiny, environment={**tiny.environment, "DJ_USER": name, "DJ_PASS": "keep"})
    tiny.query("DROP USER %s@%s", name, "%")


def test_a_rehearsal_says_equal_and_touches_nothing(
    tiny: ForkedLab, administrator: ForkedLab, backups: Path
) -> None:
    before = untouchable(tiny)
    found = json.loads(administrator.run("db", "rehearse", "--json", DECORTEX_BACKUPS=str(backups)).stdout)
    assert untouchable(tiny) == before
    assert (found["equal"], found["differing"], found["files"]) == (True, [], 4)
    assert found["rows"] > 100
    tiny.query("INSERT INTO `#seed` VALUES (4711)")
    said = administrator.run("db", "rehearse", str(backups / "first")).stdout
    assert said.startswith("equal: ")
    assert re.search(r"changed since: .*#seed: 1 added", said)
    tiny.query("DELETE FROM `#seed` WHERE seed = 4711")


def test_who_may_not_rehearse_hears_it(tiny: ForkedLab, backups: Path) -> None:
    name = f"viewer_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "viewer", DECORTEX_NEW_PASSWORD="look")
    before = untouchable(tiny)
    done = tiny.run("db", "rehearse", str(backups / "first"), check=False, DJ_USER=name, DJ_PASS="look")
    tiny.query("DROP USER %s@%s", name, "%")
    assert done.returncode == 1
    assert "It takes the role admin" in done.stderr
    assert untouchable(tiny) == before


def with_dump(folder: Path, change: Callable[[str], str], to: Path) -> Path:
    """A copy of a backup whose dump somebody changed, digest and all."""
    shutil.copytree(folder, to)
    text = gzip.decompress((to / "dump.sql.gz").read_bytes()).decode()
    assert change(text) != text
    (to / "dump.sql.gz").write_bytes(gzip.compress(change(text).encode()))
    manifest = json.loads((to / "manifest.json").read_text())
    manifest["dump_sha256"] = hashlib.sha256((to / "dump.sql.gz").read_bytes()).hexdigest()
    (to / "manifest.json").write_text(json.dumps(manifest))
    (to / "manifest.sha256").write_text(hashlib.sha256((to / "manifest.json").read_bytes()).hexdigest())
    return to


def test_a_backup_that_differs_is_told_and_touches_nothing(
    tiny: ForkedLab, backups: Path, tmp_path: Path
) -> None:
    before = untouchable(tiny)
    first, database = backups / "first", tiny.environment["DECORTEX_DATABASE"]

    def rehearsed(folder: Path) -> str:
        done = tiny.run("db", "rehearse", str(folder), check=False)
        assert done.returncode == 1
        assert untouchable(tiny) == before
        return done.stdout + done.stderr

    def other(text: str) -> str:
        return text.replace("('tiny','','", "('tiny','x','")

    said = rehearsed(with_dump(first, other, tmp_path / "altered"))
    assert "NOT EQUAL" in said
    assert "study: the content of its 1 rows differs" in said

    def fewer(text: str) -> str:
        return re.sub(r"INSERT INTO `#seed` .*\n", "", text)

    assert "#seed: " in rehearsed(with_dump(first, fewer, tmp_path / "fewer"))

    def hostile(text: str) -> str:
        return f"{text}DELETE FROM `{database}`.`study`;\n"

    assert "holds a statement that no backup" in rehearsed(with_dump(first, hostile, tmp_path / "hostile"))
    shutil.copytree(first, tmp_path / "torn")
    (path,) = list((tmp_path / "torn").rglob("embedding_spec_id=1/array_*.npy"))
    path.write_bytes(path.read_bytes()[:-1])
    assert "is not the file that was saved" in rehearsed(tmp_path / "torn")
    path.unlink()
    assert "array_" in rehearsed(tmp_path / "torn")


def test_a_backup_comes_back_beside_the_live_database(
    tiny: ForkedLab, administrator: ForkedLab, backups: Path
) -> None:
    before, name = untouchable(tiny), f"{tiny.environment['DECORTEX_DATABASE']}__tried"
    first = str(backups / "first")
    store = Path(tiny.environment["DECORTEX_STORE"])
    for words, reason in (
        (("--as", tiny.environment["DECORTEX_DATABASE"]), "exists"),
        (("--as", "mysql"), "It takes more than a role of this database gives"),
        (("--as", "no; name"), "letters, digits and underscores"),
        (("--as", name, "--store", str(store / "inside")), "live store"),
        (("--as", name, "--store", str(store.parent)), "live store"),
        (("--as", name, "--store", str(backups)), "not empty"),
    ):
        done = administrator.run("db", "restore", first, *words, check=False)
        assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    assert untouchable(tiny) == before
    administrator.run("db", "restore", first, "--as", name)
    copy = replace(
        tiny,
        environment={
            **tiny.environment,
            "DECORTEX_DATABASE": name,
            "DECORTEX_STORE": str(store.with_name(f"store-{name}")),
        },
    )
    try:
        assert dump(copy) == dump(tiny)  # declares the tables again: nothing in the copy names the live one
        assert json.loads(copy.run("verify", "--json").stdout)["faults"] == []
    finally:
        tiny.query(f"DROP DATABASE `{name}`")
        shutil.rmtree(copy.environment["DECORTEX_STORE"])
    assert untouchable(tiny)[1:] == before[1:]


PLAN = {
    "networks": [{"dataset": "tiny", "imported": "tiny"}],
    "embeddings": [{"name": "raw", "params": {"kind": "raw"}}, {"name": "cosine", "params": {"kind": "l2"}}],
    "methods": [{"method": "kmeans"}],
    "counts": [2, 4],
    "seeds": [0],
}


def test_a_study_is_removed_with_what_only_it_needs(
    tiny: ForkedLab, administrator: ForkedLab, tmp_path: Path
) -> None:
    before = dump(tiny)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    said = administrator.run("study", "create", "trial", str(plan), "--dry-run").stdout
    assert re.search(r"study trial would take \d+ jobs, about .* hours of one worker, .* in the store", said)
    assert "trial" not in administrator.run("study", "list").stdout
    said = administrator.run("study", "create", "trial", str(plan)).stdout
    assert "4 partitions asked for, 2 done" in said  # of K = 2
    assert re.search(r"study trial takes \d+ jobs", said)
    assert "study trial is now other" in administrator.run("study", "rename", "trial", "other").stdout
    for words, reason in (
        (("trial", "new"), "there is no study"),
        (("other", "tiny"), "exists"),
        (("other", " "), "printable"),
    ):
        done = administrator.run("study", "rename", *words, check=False)
        assert (done.returncode, reason in done.stderr) == (1, True), done.stderr
    shown = administrator.run("study", "show", "other").stdout
    assert re.search(r"^counts +2, 4$", shown, flags=re.M)
    administrator.run("study", "rename", "other", "trial")
    tiny.python("from small_lab import fill; fill()")
    listed = administrator.run("study", "remove", "trial").stdout
    assert "nothing is removed without --yes and --why" in listed
    shown = json.loads(administrator.run("study", "cost", "trial", "--json").stdout)
    own = {row["table"]: row["own_rows"] for row in shown["tables"] if row["own_rows"]}
    assert own == {"Clustering": 2, "DECFinetune": 2, "ClusterQuality": 2, "ClusterConfound": 2}
    assert shown["left"]["jobs"] == 0
    done = administrator.run("study", "remove", "trial", "--yes", check=False)
    assert (done.returncode, "needs a reason" in done.stderr) == (1, True)
    administrator.run("study", "freeze", "trial")
    done = administrator.run("study", "remove", "trial", "--yes", "--why", "over", check=False)
    assert (done.returncode, "is frozen" in done.stderr) == (1, True)
    done = administrator.run("study", "rename", "trial", "new", check=False)
    assert (done.returncode, "is frozen" in done.stderr) == (1, True)
    removed = administrator.run(
        "study", "remove", "trial", "--yes", "--why", "over", "--break-frozen", "--json"
    )
    counts = json.loads(removed.stdout)["rows"]
    assert counts == {**own, "Study": 1}
    assert dump(tiny) == before
    ((table, why, kept),) = tiny.query("SELECT table_name, why, counts FROM deletion")
    assert (table, why, json.loads(kept)) == ("Study", "over", counts)
    tiny.query("DELETE FROM deletion")
    assert administrator.run("study", "remove", "trial", check=False).returncode == 1
    assert "0 queued" in tiny.run("schedule").stdout  # nothing is asked for again


def test_what_no_study_needs_is_listed_and_removed(
    tiny: ForkedLab, administrator: ForkedLab, tmp_path: Path
) -> None:
    before = dump(tiny)
    assert "every computed row is needed by a study" in administrator.run("study", "unused").stdout
    for name, counts in (("kept", [2, 4]), ("deleted", [2, 5])):
        plan = tmp_path / f"{name}.json"
        plan.write_text(json.dumps({**PLAN, "counts": counts}))
        administrator.run("study", "create", name, str(plan))
    tiny.python("from small_lab import fill; fill()")
    administrator.run("study", "freeze", "kept")
    administrator.run("delete", "Study", "study=deleted", "--why", "asked for too much", "--yes")
    kept = {"Clustering": 2, "DECFinetune": 2, "ClusterQuality": 2, "ClusterConfound": 2}
    whole = dump(tiny)

    found = json.loads(administrator.run("study", "unused", "--json").stdout)
    assert {row["table"]: row["rows"] for row in found["tables"]} == kept  # of K = 5 alone
    assert all(row["bytes"] > 0 for row in found["tables"])
    said = administrator.run("study", "unused").stdout
    assert re.search(r"no study needs 8 rows, .* in the database, and \d+ files, .* in the store", said)
    assert "nothing is deleted without --delete and --why" in said
    refused = administrator.run("study", "unused", "--delete", check=False)
    assert (refused.returncode, "needs a reason" in refused.stderr) == (1, True)
    words = ("study", "unused", "--delete", "--why", "tidy")
    name = f"author_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "author", DECORTEX_NEW_PASSWORD="write")
    refused = tiny.run(*words, check=False, DJ_USER=name, DJ_PASS="write")
    tiny.query("DROP USER %s@%s", name, "%")
    assert (refused.returncode, "It takes the role admin" in refused.stderr) == (1, True), refused.stderr
    assert dump(tiny) == whole

    done = json.loads(administrator.run(*words, "--json").stdout)
    assert done["rows"] == kept
    assert json.loads(administrator.run("study", "unused", "--json").stdout)["tables"] == []
    tiny.python(
        "from decortex_schemas.tables import changes_since_freezing\n"
        "assert changes_since_freezing('kept') == []\n"
    )
    tiny.run("schedule")  # queues what compares the frozen study's members, and nothing of the others again
    assert tiny.query("SELECT COUNT(*) FROM `~~clustering`") == [(0,)]
    ((table, counted),) = tiny.query("SELECT table_name, counts FROM deletion WHERE why = 'tidy'")
    assert (table, json.loads(counted)) == ("ModelTask", kept)
    administrator.run("study", "remove", "kept", "--yes", "--why", "over", "--break-frozen")
    tiny.run("schedule")
    assert dump(tiny) == before
    tiny.query("DELETE FROM deletion")


def test_studies_are_listed_by_their_tags(tiny: ForkedLab, administrator: ForkedLab, tmp_path: Path) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    name = f"author_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "author", DECORTEX_NEW_PASSWORD="write")
    author = replace(tiny, environment={**tiny.environment, "DJ_USER": name, "DJ_PASS": "write"})

    def listed(*tags: str) -> list[str]:
        done = author.run("study", "list", "--json", *(word for tag in tags for word in ("--tag", tag)))
        return [row["study"] for row in json.loads(done.stdout)]

    try:
        for bad in ("", " v4", "v4,paper", "x" * 65):
            done = author.run("study", "create", "tagged", str(plan), "--tag", bad, check=False)
            assert (done.returncode, "a tag has 1 to 64 printable" in done.stderr) == (1, True), done.stderr
        assert listed() == ["tiny"]  # declared with nothing
        author.run("study", "create", "tagged", str(plan), "--tag", "v4", "--tag", "paper")
        assert listed("v4") == listed("v4", "paper") == ["tagged"]
        author.run("study", "create", "tagged", str(plan), "--tag", "again")  # the same plan
        assert re.search(
            r"^tags +again, paper, v4$", author.run("study", "show", "tagged").stdout, flags=re.M
        )
        assert "study tiny has the tags v4" in author.run("study", "tag", "tiny", "v4").stdout
        assert listed("v4") == ["tiny", "tagged"]
        assert listed("v4", "paper") == ["tagged"]
        assert "no study has the tag nobody" in author.run("study", "list", "--tag", "nobody").stdout
        assert "study tiny has no tag" in author.run("study", "tag", "tiny", "v4", "--remove").stdout
        assert listed("v4") == ["tagged"]
        assert "there is no study" in author.run("study", "tag", "nobody", "v4", check=False).stderr
    finally:
        tiny.query("DROP USER %s@%s", name, "%")
        administrator.run("study", "remove", "tagged", "--yes", "--why", "over")
        tiny.query("DELETE FROM deletion")
    assert tiny.query("SELECT COUNT(*) FROM study_tag") == [(0,)]


def test_who_may_not_remove_hears_it(tiny: ForkedLab) -> None:
    name = f"author_{uuid.uuid4().hex[:8]}"
    tiny.run("db", "grant", name, "--role", "author", DECORTEX_NEW_PASSWORD="write")
    words = ("study", "remove", "tiny", "--yes", "--why", "mistake")
    done = tiny.run(*words, check=False, DJ_USER=name, DJ_PASS="write")
    tiny.query("DROP USER %s@%s", name, "%")
    assert done.returncode == 1
    assert "It takes the role admin" in done.stderr
    assert tiny.query("SELECT COUNT(*) FROM `__clustering`") == [(8,)]
