"""A database that version 2 filled, upgraded: the same answers, interrupted anywhere, and the tables of a new one."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import os
import re
import signal
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from forked_commands import ForkedLab, Yard
from support.servers import drop_database

from decortex_schemas.database import SCHEMA_VERSION
from decortex_schemas.migrations import migrations

DATA = Path(__file__).resolve().parents[1] / "data" / "version_2"
# What the documented questions (docs/how-to/questions.md) answer; the same lines ran on the code that filled the
# database.
ASK = """
import json, sys
import numpy as np
from decortex_schemas import queries
from decortex_schemas.queries import agreement, best_k, confounds, front, improvement, predictability, price, results
from decortex_schemas.tables import check_frozen
queries.connect_to_read()
def plain(value):
    if isinstance(value, dict):
        return {str(name): plain(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    if isinstance(value, np.generic):
        return plain(value.item())
    if isinstance(value, float) and value != value:
        return 'nan'
    if isinstance(value, (bytes, np.ndarray)):
        return None
    return value if value is None or isinstance(value, (str, int, float, bool)) else str(value)
answers = {}
for study in ('small-study', 'selection-study'):
    check_frozen(study)
    for ask in (results, agreement, best_k, predictability, confounds, front, improvement, price):
        if (ask.__name__, study) != ('best_k', 'small-study'):
            answers[f'{ask.__name__} {study}'] = plain(ask(study))
for name, question in {
    'SeedAgreement': schemas.SeedAgreement.proj('ari_seeds', 'ari_clustering_seeds', 'n_pairs_seeds'),
    'ConsensusPartition.Cluster': schemas.ConsensusPartition.Cluster & 'recovered > 0.9',
    'FinetunedNull.Measure': schemas.FinetunedNull.Measure,
    'KSelection': schemas.KSelection.proj('decision_k', 'decision_reason', 'n_networks'),
    'KSelection.Count': schemas.KSelection.Count,
    'KSelection.Excess': schemas.KSelection.Excess.proj('observed', 'null_mean', 'z', 'p', 'n_used')
    & {'criterion': 'stability'},
    'ClusterAssociation.Population': schemas.ClusterAssociation.Population,
    'AdjustedPValue.Partition': schemas.AdjustedPValue.Partition,
    'RetainedPerformance': schemas.RetainedPerformance.proj('equivalent'),
    'RetainedPerformance.Cluster': schemas.RetainedPerformance.Cluster & 'high < -0.005',
}.items():
    answers[name] = plain(question.to_dicts(order_by='KEY'))
json.dump(answers, sys.stdout)
"""
STOP = """
from decortex_schemas.database import open_connection, read_settings, database_name
from decortex_schemas.migrations import upgrade
connection = open_connection(read_settings())
left = [{after}]
def on_step(migration, step):
    if not left[0]:
        print('stopped before ' + step.name)
        raise SystemExit(1)
    left[0] -= 1
upgrade(connection, database_name(), backup='/backups/before', on_step=on_step)
"""


# kill -9 of the process itself before one of the statements that change something, whichever step it is of.
KILLED = """
import os, signal
import pymysql
execute, changing = pymysql.cursors.Cursor.execute, []
def counted(self, query, args=None):
    if query.lstrip().partition(' ')[0].upper() in {{'ALTER', 'CREATE', 'INSERT', 'REPLACE', 'UPDATE', 'DELETE'}}:
        changing.append(query)
        if len(changing) == {nth}:
            os.kill(os.getpid(), signal.SIGKILL)
    return execute(self, query, args)
pymysql.cursors.Cursor.execute = counted
"""


def load_version_2(lab: ForkedLab) -> None:
    """Make a database as version 2 left it."""
    name = lab.environment["DECORTEX_DATABASE"]
    with lab.link_without_database() as link, link.cursor() as cursor:
        cursor.execute(f"CREATE DATABASE `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
        cursor.execute(f"USE `{name}`")
        cursor.execute("SET FOREIGN_KEY_CHECKS = 0, UNIQUE_CHECKS = 0, TIME_ZONE = '+00:00'")
        cursor.execute("SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'")
        with gzip.open(DATA / "dump.sql.gz", "rt", encoding="utf-8", newline="\n") as lines:
            for line in lines:
                if not line.startswith("--"):
                    cursor.execute(line.rstrip(";\n"))


@pytest.fixture
def old(server: dict[str, str], yard: Yard, tmp_path: Path) -> Iterator[ForkedLab]:
    """A database of version 2; the server of a run goes with its databases."""
    environment = {
        **os.environ,
        **server,
        "DECORTEX_DATABASE": f"old_{uuid.uuid4().hex[:12]}",
        "DECORTEX_STORE": str(tmp_path / "store"),
        "OMP_NUM_THREADS": "1",
    }
    (tmp_path / "store").mkdir()
    lab = ForkedLab(environment, tmp_path, yard)
    load_version_2(lab)
    yield lab
    with lab.link_without_database() as link:
        drop_database(link, environment["DECORTEX_DATABASE"])


def definitions(lab: ForkedLab) -> dict[str, list[str]]:
    """Every table as MySQL writes it, without the words of comments (their types stay) and the order of columns."""
    name = lab.environment["DECORTEX_DATABASE"]
    found = {}
    with lab.link() as link, link.cursor() as cursor:
        cursor.execute("SHOW TABLES")
        tables = [row[0] for row in cursor.fetchall()]
        statements = {}
        for table in tables:
            cursor.execute(f"SHOW CREATE TABLE `{table}`")
            statements[table] = str(cursor.fetchone()[1]).replace(name, "DATABASE")
    for table, created in statements.items():
        plain = re.sub(r" AUTO_INCREMENT=\d+", "", created.replace("CHARACTER SET utf8mb4 ", ""))
        bare = re.sub(r"COMMENT[ =]'(:[^:]*:)?(?:[^']|'')*'", r"\1", plain)
        found[table] = sorted(line.rstrip(",") for line in bare.splitlines())
    return found


# Names that answers of version 2 have, and those of today.
RENAMED = {
    f"{index}_restarts": f"{index}_clustering_seeds"
    for index in ("ari", "ami", "v_measure", "fowlkes_mallows", "matched", "n_pairs")
}


# Two networks have one change of agreement: the interval that version 2 gave had no width.
WITHDRAWN = {"ari_networks_low", "ari_networks_high"}


def renamed(answer: Any) -> Any:
    """An answer of version 2 under today's names."""
    if isinstance(answer, dict):
        return {
            RENAMED.get(name, name): None if name in WITHDRAWN else renamed(value)
            for name, value in answer.items()
        }
    return [renamed(one) for one in answer] if isinstance(answer, list) else answer


def same_order(then: list[Any], now: list[Any]) -> tuple[list[Any], list[Any]]:
    """Rows by what they are rows of: tables are printed in another order than in version 2."""
    if not all(isinstance(one, dict) for one in (*then, *now)):
        return then, now
    names = [name for name, value in then[0].items() if isinstance(value, str | int)] if then else []

    def order(row: dict[str, Any]) -> tuple[str, ...]:
        floats = sorted(f"{value:.9g}" for name in then[0] if isinstance(value := row.get(name), float))
        return (*(str(row.get(name)) for name in names), *floats)

    return sorted(then, key=order), sorted(now, key=order)


def differing(then: Any, now: Any, where: str = "") -> list[str]:
    """Where an answer is not what it was; what it says beyond that is left alone."""
    if isinstance(then, dict) and isinstance(now, dict):
        return [
            line
            for name, value in then.items()
            for line in (
                differing(value, now[name], f"{where}.{name}") if name in now else [f"{where}.{name} is gone"]
            )
        ]
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        return [
            line
            for i, pair in enumerate(zip(*same_order(then, now), strict=True))
            for line in differing(*pair, f"{where}[{i}]")
        ]
    if isinstance(then, float) and isinstance(now, float) and math.isclose(then, now, rel_tol=1e-12):
        return []  # the server averages rows in whatever order it meets them
    return [] if then == now else [f"{where}: {then!r} is now {now!r}"]


def test_an_upgraded_database_gives_the_same_answers(old: ForkedLab, tmp_path: Path) -> None:
    refused = old.run("results", "small-study", check=False)
    assert refused.returncode == 1
    assert "are of schema version 2" in refused.stderr
    assert "decortex db upgrade" in refused.stderr

    # A dry run changes nothing, and names every step.
    before = definitions(old)
    said = json.loads(old.run("db", "upgrade", "--dry-run", "--json").stdout)
    assert [row["step"] for row in said["steps"]] == [step.name for one in migrations() for step in one.steps]
    assert definitions(old) == before

    # Without a backup, and while somebody computes, nothing is changed either.
    assert "--backup FOLDER" in old.run("db", "upgrade", check=False).stderr
    old.query(
        "INSERT INTO worker_lease VALUES (%s, 'elsewhere', 7, CURRENT_TIMESTAMP(3), CURRENT_TIMESTAMP(3), 0)",
        "0" * 32,
    )
    living = old.run("db", "upgrade", "--backup", str(tmp_path / "backup"), check=False)
    assert living.returncode == 1
    assert "elsewhere:7" in living.stderr
    assert not (tmp_path / "backup").exists()
    assert definitions(old) == before
    old.query("DELETE FROM worker_lease")

    # The dump comes without its files: the backup names them, and saves every row.
    done = old.run("db", "upgrade", "--backup", str(tmp_path / "backup"))
    assert "not saved, because missing" in done.stderr
    manifest = json.loads((tmp_path / "backup" / "manifest.json").read_text())
    assert manifest["schema_version"] == 2
    assert manifest["rows"]["__clustering"] == 16
    assert "nothing to do" in old.run("db", "upgrade").stdout

    answers = json.loads(gzip.decompress((DATA / "answers.json.gz").read_bytes()))
    now = json.loads(old.python(ASK))
    then = {name: renamed(answer) for name, answer in answers.items() if answer is not None}
    assert then.keys() == now.keys()
    found = differing(then, now)
    assert found == [], "\n".join(found)

    # What older computations made is told, and a table that is missing is told as what it is, until `init` declares it.
    said = old.run("stats", "small-study").stderr
    assert "another computation: ClusterPerformance holds 20 rows of version 0" in said
    assert "Clustering holds" not in said
    old.query("DROP TABLE state_study")
    missing = old.run("price", "small-study", check=False)
    assert missing.returncode == 1
    assert "run `decortex init` as an administrator" in missing.stderr
    old.run("init")
    old.run("price", "small-study")

    # The backup of before comes back as what it was, and says what must follow.
    old.query(f"DROP DATABASE `{old.environment['DECORTEX_DATABASE']}`")
    assert "they are of schema version 2" in old.run("db", "restore", str(tmp_path / "backup")).stdout
    assert old.query("SELECT MAX(version) FROM `#schema_version`") == [(2,)]
    assert definitions(old) == before


def test_the_tables_are_those_of_a_new_database_and_an_interrupted_upgrade_goes_on(
    old: ForkedLab, server: dict[str, str], tmp_path: Path
) -> None:
    steps = [step.name for one in migrations() for step in one.steps]
    for done in range(2):
        stopped = old.start(code=STOP.format(after=1))
        assert stopped.wait(300) == 1
        assert f"stopped before {steps[done + 1]}" in stopped.stdout
        assert [row[0] for row in old.query("SELECT step FROM upgrade_step ORDER BY finished_at")] == steps[
            : done + 1
        ]
        # Meanwhile nobody takes it for whole: neither this version nor the one that made it.
        refused = old.run("init", check=False)
        assert refused.returncode == 1
        assert "an upgrade to it is not finished" in refused.stderr
        assert old.query("SELECT MAX(version) FROM `#schema_version`") == [(SCHEMA_VERSION,)]
    said = json.loads(old.run("db", "upgrade", "--dry-run", "--json").stdout)
    assert said["done"] == 2
    assert [row["step"] for row in said["steps"]] == steps[2:]
    # The end needs no second backup: the first one is kept with the steps. Nor does it matter where it is killed.
    kills = 0
    for nth in itertools.count(2, 13):
        upgrading = old.start("db", "upgrade", code=KILLED.format(nth=nth))
        if upgrading.wait(300) == 0:
            break
        assert upgrading.returncode == -signal.SIGKILL, upgrading.communicate()[0]
        assert "an upgrade to it is not finished" in old.run("init", check=False).stderr
        kills += 1
    assert kills >= 4
    assert old.query("SELECT version FROM `#schema_version`") == [(SCHEMA_VERSION,)]
    assert {row[0] for row in old.query("SELECT backup FROM upgrade_step")} == {"/backups/before"}

    environment = {**old.environment, "DECORTEX_DATABASE": f"new_{uuid.uuid4().hex[:12]}"}
    new = ForkedLab(environment, tmp_path, old.yard)
    new.run("init")
    try:
        found, wanted = definitions(old), definitions(new)
        assert found.keys() == wanted.keys()
        assert {table: found[table] for table in found if found[table] != wanted[table]} == {}
    finally:
        with new.link_without_database() as link:
            drop_database(link, environment["DECORTEX_DATABASE"])
    # Rows of computations that changed are of no version of today's.
    assert old.query("SELECT DISTINCT computation_version FROM __cluster_performance") == [(0,)]
    assert old.query("SELECT DISTINCT computation_version FROM __clustering") == [(1,)]
    assert old.query("SELECT DISTINCT permutation_statistic FROM __cluster_performance") == [("share",)]
