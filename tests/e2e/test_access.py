"""Access by role: a viewer reads everything and writes nothing, a worker computes and drops nothing."""

from __future__ import annotations

import gzip
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path

import pymysql
import pytest
import torch
from forked_commands import ForkedLab
from support.people import PASSWORD
from tiny_chain import dump

from decortex_ops.admin.roles import role_name

REFUSALS = (1044, 1142, 1143, 1227, 1370)


def refused(lab: ForkedLab, sql: str) -> bool:
    """Whether the server refuses a statement for lack of rights."""
    try:
        lab.query(sql)
    except pymysql.MySQLError as error:
        if error.args[0] not in REFUSALS:
            raise
        return True
    return False


READ = [
    ("status", "--json"),
    ("errors", "--json"),
    ("study", "show", "--json"),
    ("provenance", "Embedding", "dataset=tiny,embedding_spec_id=1", "--json"),
    ("verify", "--json"),
]


def test_a_viewer_reads_what_the_owner_reads(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    before = tiny.query("CHECKSUM TABLE environment, worker_lease")
    for words in READ:
        assert json.loads(people["viewer"].run(*words).stdout) == json.loads(tiny.run(*words).stdout), words
    assert tiny.query("CHECKSUM TABLE environment, worker_lease") == before  # reading leaves no trace


WRITES = [
    "INSERT INTO `#seed` VALUES (4711)",
    "UPDATE `__clustering` SET iterations = 0",
    "DELETE FROM `__clustering`",
    "UPDATE `~~clustering` SET status = 'ignore'",
    "INSERT INTO worker_lease SELECT * FROM worker_lease WHERE FALSE",
    "CREATE TABLE mine (a INT)",
    "ALTER TABLE study ADD COLUMN a INT",
    "DROP TABLE `__cluster_quality`",
    "TRUNCATE TABLE `__cluster_quality`",
]


def test_a_viewer_cannot_write(people: dict[str, ForkedLab]) -> None:
    viewer = people["viewer"]
    assert [sql for sql in WRITES if not refused(viewer, sql)] == []
    assert refused(viewer, f"DROP DATABASE `{viewer.environment['DECORTEX_DATABASE']}`")
    assert refused(viewer, "SELECT * FROM mysql.user")
    done = viewer.run("work", "--stop-when-idle", "0", check=False)
    assert done.returncode == 1
    assert "may not" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_worker_computes_and_can_neither_drop_nor_delete_a_result(
    tiny: ForkedLab, people: dict[str, ForkedLab]
) -> None:
    worker = people["worker"]
    assert [sql for sql in WRITES if not refused(worker, sql)] == [
        "UPDATE `~~clustering` SET status = 'ignore'",
        "INSERT INTO worker_lease SELECT * FROM worker_lease WHERE FALSE",
    ]
    before = dump(tiny)
    admin = people["admin"]
    for table in ("__cluster_quality__space", "__cluster_quality"):
        admin.query(f"DELETE FROM `{table}`")
    worker.run("schedule")
    worker.run("work", "--stop-when-idle", "0", "--quiet")
    assert dump(tiny) == before
    assert {row[0].partition("@")[0] for row in tiny.query("SELECT db_user FROM __cluster_quality")} == {
        worker.environment["DJ_USER"]
    }


# A computation that fails with the password in its hands: as an argument, and in a message of the server's.
FAIL = """
import os
import pymysql
import decortex_schemas as schemas
def make_compute(self, key, *rest):
    mine = os.environ
    server = {"host": mine["DJ_HOST"], "port": int(mine["DJ_PORT"])}
    pymysql.connect(**server, user=mine["DJ_USER"], password=mine["DJ_PASS"] + "?")
schemas.ClusterQuality.make_compute = make_compute
"""


def test_a_password_is_in_no_log_traceback_or_table(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    before, worker = dump(tiny), people["worker"]
    for table in ("__cluster_quality__space", "__cluster_quality"):
        people["admin"].query(f"DELETE FROM `{table}`")
    worker.run("schedule")
    failing = worker.start("work", "--stop-when-idle", "0", "--log", "json", code=FAIL)
    said = failing.communicate()[0]
    assert failing.returncode == 3
    traces = tiny.run("errors", "--trace").stdout
    saved = tiny.folder / "with errors"
    tiny.run("db", "backup", str(saved))
    everything = gzip.decompress((saved / "dump.sql.gz").read_bytes()).decode()
    for text in (said, traces, everything):
        assert "Access denied" in text
        assert PASSWORD not in text
    assert tiny.environment["DJ_PASS"] not in everything
    shutil.rmtree(saved)
    assert "8 queued again" in worker.run("retry", "--match", "Access denied").stdout
    worker.run("work", "--stop-when-idle", "0", "--quiet")
    assert dump(tiny) == before


def test_a_grant_gives_every_role_the_rights_that_it_lacks(
    tiny: ForkedLab, people: dict[str, ForkedLab]
) -> None:
    """Whether a table is new, or somebody took a right away."""
    database, worker, author = tiny.environment["DECORTEX_DATABASE"], people["worker"], people["author"]
    beats = "INSERT INTO worker_lease SELECT * FROM worker_lease WHERE FALSE"
    waits = "UPDATE study SET priority = priority"
    assert not refused(worker, beats)
    assert not refused(author, waits)
    tiny.query(f"REVOKE INSERT, DELETE ON `{database}`.worker_lease FROM %s", role_name(database, "worker"))
    tiny.query(f"REVOKE UPDATE (priority) ON `{database}`.study FROM %s", role_name(database, "author"))
    assert refused(worker, beats)
    assert refused(author, waits)
    tiny.run("db", "grant", people["viewer"].environment["DJ_USER"], "--role", "viewer")
    assert not refused(worker, beats)
    assert not refused(worker, "DELETE FROM worker_lease WHERE FALSE")
    assert not refused(author, waits)


def test_an_author_declares_and_deletes_nothing(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    author = people["author"]
    plan = author.folder / "plan.json"
    plan.write_text(
        json.dumps(
            {
                "networks": [{"dataset": "tiny", "imported": "tiny"}],
                "embeddings": [{"name": "zscore", "params": {"kind": "zscore"}}],
                "methods": [{"method": "kmeans"}],
                "counts": [4],
            }
        )
    )
    author.run("study", "create", "mine", str(plan))
    assert refused(author, "DELETE FROM study WHERE study = 'mine'")
    assert refused(author, "DROP TABLE study")
    viewer = people["viewer"].run("study", "create", "other", str(plan), check=False)
    assert viewer.returncode == 1
    people["admin"].query("DELETE FROM view_request WHERE study = 'mine'")
    people["admin"].query("DELETE FROM study__model WHERE study = 'mine'")
    for part in ("embedding", "method", "count", "clustering_seed", "finetuning"):
        people["admin"].query(f"DELETE FROM study__{part} WHERE study = 'mine'")
    people["admin"].query("DELETE FROM study WHERE study = 'mine'")


def test_a_reader_in_a_notebook_reads(tiny: ForkedLab, people: dict[str, ForkedLab]) -> None:
    viewer = people["viewer"]
    done = viewer.program("read_in_a_notebook")
    said, name = done.stdout, viewer.environment["DJ_USER"]
    assert said.startswith(f"8 connected for reading only: user {name!r} may not compute")
    assert f"decortex db grant {name} --role worker" in said
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("role", "words", "needed"),
    [
        ("viewer", ("work", "--stop-when-idle", "0"), "worker"),
        ("viewer", ("schedule",), "worker"),
        ("viewer", ("study", "create", "x", "{plan}"), "author"),
        ("worker", ("study", "create", "x", "{plan}"), "author"),
        ("viewer", ("gc", "--delete"), "admin"),
        ("worker", ("gc", "--delete"), "admin"),
        ("author", ("gc", "--delete"), "admin"),
        ("worker", ("delete", "Clustering", "k=2", "--yes", "--why", "a try that is refused"), "admin"),
        ("author", ("delete", "Clustering", "k=2", "--yes", "--why", "a try that is refused"), "admin"),
    ],
)
def test_a_refusal_says_who_one_is_which_role_it_takes_and_whom_to_ask(
    tiny: ForkedLab, people: dict[str, ForkedLab], role: str, words: tuple[str, ...], needed: str
) -> None:
    before, lab = tiny.checksums(), people[role]
    plan = lab.folder / "refused.json"
    plan.write_text(
        json.dumps(
            {
                "networks": [{"dataset": "tiny", "imported": "tiny"}],
                "embeddings": [{"name": "maxabs", "params": {"kind": "zscore"}}],
                "methods": [{"method": "kmeans"}],
                "counts": [5],
            }
        )
    )
    done = lab.run(*(word.format(plan=plan) for word in words), check=False, DECORTEX_ADMIN="grace@lab")
    assert done.returncode == 1
    assert f"the role {needed}" in done.stderr.replace("\n", " "), done.stderr
    assert lab.environment["DJ_USER"] in done.stderr
    if words[0] != "gc":
        assert f"role {role} of database" in done.stderr
        assert (
            f"ask grace@lab for `decortex db grant {lab.environment['DJ_USER']} --role {needed}`"
            in done.stderr
        )
    assert "Traceback" not in done.stderr
    assert tiny.checksums() == before


ACCESS = Path(__file__).resolve().parents[2] / "docs" / "operations" / "access.md"


def test_the_table_of_refusals_is_what_each_account_hears(
    tiny: ForkedLab, people: dict[str, ForkedLab], tmp_path: Path
) -> None:
    rows = re.findall(r"^\| ([a-z ]+) \| `decortex (.+?)` \| (.+?) \|$", ACCESS.read_text(), flags=re.M)
    assert len(rows) == 25
    tiny.query("CREATE USER stranger IDENTIFIED BY %s", PASSWORD)
    accounts = {
        **people,
        "without a role": replace(
            tiny, environment={**tiny.environment, "DJ_USER": "stranger", "DJ_PASS": PASSWORD}
        ),
        "a wrong password": replace(tiny, environment={**tiny.environment, "DJ_PASS": "wrong"}),
    }
    before = dump(tiny)
    names = {name: str(tmp_path / name) for name in ("network.pth", "eve.password")}
    features = torch.randn(45, 5, generator=torch.Generator().manual_seed(0))
    torch.save({"features": features}, names["network.pth"])
    other = []
    try:
        for account, command, told in rows:
            words = [names.get(word, word) for word in command.split()]
            done = accounts[account].run(*words, check=False, DECORTEX_ADMIN="grace@lab.example")
            said = done.stderr.replace("\n", " ")
            asks = "grace@lab.example for `decortex db grant" in said or "It takes the role" not in said
            if done.returncode != 1 or told not in said or not asks or "Traceback" in said:
                other.append((account, command, done.returncode, said[-600:]))
    finally:
        tiny.query("DROP USER stranger")
    assert other == []
    assert dump(tiny) == before
