"""docker-compose.yml without a Docker engine: a real parser reads it, and every service's command runs as its role."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
import pytest
import yaml
from forked_commands import ForkedLab

from decortex_ops.server import find_mysqld

ROOT = Path(__file__).resolve().parents[2]
ROLES = {"scheduler": "worker", "worker": "worker", "dashboard": "viewer"}
PARSERS = (("docker", "compose"), ("docker-compose",))


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The services, with what they inherit."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def parser() -> list[str] | None:
    """A real implementation of compose, which needs no engine to read a file."""
    for words in PARSERS:
        found = shutil.which(words[0])
        if found and not subprocess.run([*words, "version"], capture_output=True, check=False).returncode:
            return list(words)
    return None


def test_a_real_parser_reads_it(tmp_path: Path) -> None:
    words = parser()
    if words is None:
        pytest.skip("no docker compose and no docker-compose here (apt-get install docker-compose)")
    own = {
        "DECORTEX_UID": "1234",
        "DECORTEX_GID": "99",
        "DECORTEX_STORE_FOLDER": str(tmp_path),
        "DECORTEX_BUFFER_POOL": "9G",
    }
    done = subprocess.run(
        [*words, "-f", str(ROOT / "docker-compose.yml"), "config"],
        env={**os.environ, **own},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    read = yaml.safe_load(done.stdout)["services"]
    assert {"mysql", "init", *ROLES} <= set(read)
    assert "--innodb-buffer-pool-size=9G" in read["mysql"]["command"]
    for name in ROLES:
        assert read[name]["user"] == "1234:99"
        assert str(tmp_path) in json.dumps(read[name]["volumes"])
        assert read[name]["depends_on"]["init"]["condition"] == "service_completed_successfully"
    assert read["init"]["depends_on"]["mysql"]["condition"] == "service_healthy"


def test_each_service_has_its_role_and_its_secret_alone(compose: dict[str, Any]) -> None:
    services = compose["services"]
    for name in (*ROLES, "worker-gpu"):
        account = name.removesuffix("-gpu")
        own = services[name]
        assert own["environment"]["DJ_USER"] == account
        assert own["environment"]["DJ_PASS_FILE"] == f"/run/secrets/{account}"
        assert own["secrets"] == [account]
    root = {name for name, one in services.items() if one["environment"].get("DJ_USER") == "root"}
    assert root == {"init", "backup"}
    assert services["dashboard"]["volumes"][0].endswith(":/store:ro")
    for one in services.values():
        for name, value in one["environment"].items():
            assert "PASS" not in name or value.startswith("/run/secrets/"), name
    # `--scale worker=8` needs a service without a fixed name or port.
    assert not {"container_name", "ports"} & set(services["worker"])
    assert services["worker-gpu"]["profiles"] == ["gpu"]
    assert "cuda" in services["worker-gpu"]["command"]
    assert {"secrets", "store", "backups"} <= set((ROOT / ".dockerignore").read_text().splitlines())
    assert {"/secrets/", "/store/", "/backups/"} <= set((ROOT / ".gitignore").read_text().splitlines())


def test_the_image_has_the_dashboard_and_no_cuda() -> None:
    text = (ROOT / "Dockerfile").read_text()
    assert "ARG TORCH_BACKEND=cpu" in text
    assert '--torch-backend "$TORCH_BACKEND"' in text
    assert "assert torch.version.cuda is None" in text
    assert re.search(r"'\.\[[^]]*dash[^]]*\]'", text)


def test_mysqld_takes_its_flags(compose: dict[str, Any]) -> None:
    flags = [re.sub(r"\$\{\w+:-(\w+)\}", r"\1", flag) for flag in compose["services"]["mysql"]["command"]]
    assert "--collation-server=utf8mb4_bin" in flags
    assert "--require-secure-transport=ON" in flags
    assert "--innodb-buffer-pool-size=2G" in flags
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*find_mysqld().command, "--no-defaults", *as_root, *flags, "--validate-config"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@dataclass
class Composed:
    """Runs a service's own words with its own environment, on a server and folders of this test."""

    services: dict[str, Any]
    lab: ForkedLab
    folder: Path

    def command(self, service: str, *more: str) -> tuple[list[str], dict[str, str]]:
        one = self.services[service]
        words = [*one.get("entrypoint", ["decortex"]), *map(str, one["command"]), *more]
        words = [self._here(word) for word in words]
        own = {name: self._here(str(value)) for name, value in one["environment"].items()}
        own |= {name: self.lab.environment[name] for name in ("DJ_HOST", "DJ_PORT", "DECORTEX_DATABASE")}
        if own["DJ_USER"] == "root":
            own["DJ_USER"] = self.lab.environment["DJ_USER"]
        base = {
            name: value for name, value in self.lab.environment.items() if name not in ("DJ_PASS", "DJ_USER")
        }
        base["PATH"] = os.pathsep.join([str(self.lab.yard.programs), base["PATH"]])
        return words, {**base, **own}

    def _here(self, text: str) -> str:
        for there in ("/run/secrets", "/store", "/backups"):
            text = re.sub(rf"{there}\b", str(self.folder / there.strip("/")), text)
        return text.replace("$$", "$")

    def run(self, service: str, *more: str) -> subprocess.CompletedProcess[str]:
        words, environment = self.command(service, *more)
        done = subprocess.run(
            words, env=environment, cwd=self.folder, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, f"{service}: {done.stdout}{done.stderr}"
        return done

    def start(self, service: str, *more: str) -> subprocess.Popen[str]:
        words, environment = self.command(service, *more)
        return subprocess.Popen(
            words,
            env=environment,
            cwd=self.folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )


@pytest.fixture(scope="module")
def composed(
    compose: dict[str, Any], declared: ForkedLab, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Composed]:
    folder = tmp_path_factory.mktemp("composed")
    for name in ("run/secrets", "store", "backups"):
        (folder / name).mkdir(parents=True)
    for name in ROLES:
        (folder / "run" / "secrets" / name).write_text(f"{name}-secret-5f1\n")
    (folder / "run" / "secrets" / "mysql_root").write_text(declared.environment["DJ_PASS"] + "\n")
    made = Composed(compose["services"], declared, folder)
    made.run("init")
    yield made
    for name in ROLES:
        declared.query("DROP USER %s@%s", name, "%")


def test_init_makes_the_accounts_and_may_be_repeated(composed: Composed) -> None:
    again = composed.run("init").stdout
    for name, role in ROLES.items():
        assert f"{name}@% is {role} of" in again
    rows = json.loads(composed.lab.run("db", "users", "--json").stdout)
    assert {row["user"]: row["role"] for row in rows if row["user"] in ROLES} == ROLES
    required = composed.lab.query(
        "SELECT user, ssl_type FROM mysql.user WHERE user IN ('worker', 'dashboard')"
    )
    assert set(required) == {("worker", "ANY"), ("dashboard", "ANY")}


def test_none_of_them_may_do_more(composed: Composed) -> None:
    own = composed.lab.environment
    where = {"host": own["DJ_HOST"], "port": int(own["DJ_PORT"]), "database": own["DECORTEX_DATABASE"]}
    for name in ROLES:
        with (
            pymysql.connect(**where, user=name, password=f"{name}-secret-5f1") as link,
            link.cursor() as cursor,
            pytest.raises(pymysql.MySQLError, match="command denied"),
        ):
            cursor.execute("DROP TABLE `__clustering`")


def test_the_worker_works(composed: Composed) -> None:
    assert "0 done, 0 failed" in composed.run("worker", "--stop-when-idle", "0").stdout


def test_the_scheduler_goes_on_and_ends_when_told(composed: Composed) -> None:
    running = composed.start("scheduler")
    at_work = "SELECT COUNT(*) FROM worker_lease WHERE program = 'scheduler' AND ended = 0"
    deadline = time.monotonic() + 300
    try:
        while composed.lab.query(at_work) == [(0,)]:
            assert running.poll() is None
            assert time.monotonic() < deadline, "it never said that it is at work"
            time.sleep(0.1)
        with pytest.raises(subprocess.TimeoutExpired):
            running.communicate(timeout=3)
    finally:
        running.terminate()
        said = running.communicate(timeout=120)[0]
    assert "Traceback" not in said


def test_the_dashboard_answers_its_own_health_check(composed: Composed) -> None:
    words, environment = composed.command("dashboard")
    assert words[-1] == "8050"
    show = subprocess.Popen(
        [*words[:-1], "0"], env=environment, cwd=composed.folder, stdout=subprocess.PIPE, text=True
    )
    try:
        assert show.stdout is not None
        port = show.stdout.readline().strip().rstrip("/").rpartition(":")[2]
        check = composed.services["dashboard"]["healthcheck"]["test"]
        probe = check[-1].replace("8050", port)
        assert subprocess.run([sys.executable, "-c", probe], check=False).returncode == 0
        metrics = urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=120).read().decode()
        assert "decortex_database_up 1" in metrics
    finally:
        show.terminate()
        show.wait(120)


def test_a_backup_is_a_folder_by_its_time(composed: Composed) -> None:
    composed.run("backup")
    (folder,) = (composed.folder / "backups").iterdir()
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d{6}Z", folder.name)
    assert (folder / "manifest.json").is_file() or list(folder.glob("*.json"))
