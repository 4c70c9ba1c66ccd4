"""docker-compose.yml without a Docker engine: it says what a lab needs, and every service's command runs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml
from other_processes import Lab

from decortex_ops.server import find_mysqld

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    """The services, with what they inherit."""
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8"))
    return loaded


def test_it_is_what_the_lab_needs(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert services["mysql"]["image"] == "mysql:8.4"
    assert "mysqladmin ping" in services["mysql"]["healthcheck"]["test"][1]
    assert services["init"]["depends_on"] == {"mysql": {"condition": "service_healthy"}}
    for name in ("schedule", "worker"):
        assert services[name]["depends_on"] == {"init": {"condition": "service_completed_successfully"}}
        assert services[name]["environment"]["DJ_HOST"] == "mysql"
    # `--scale worker=8` needs a service without a fixed name or port.
    assert not {"container_name", "ports"} & set(services["worker"])


def test_no_secret_is_in_the_file(compose: dict[str, Any]) -> None:
    for service in compose["services"].values():
        for name, value in service["environment"].items():
            assert "PASS" not in name or value.startswith("/run/secrets/"), name
    assert "secrets/" in (ROOT / ".gitignore").read_text()
    assert "secrets" in (ROOT / ".dockerignore").read_text().splitlines()


def test_mysqld_takes_its_flags(compose: dict[str, Any]) -> None:
    flags = compose["services"]["mysql"]["command"]
    assert "--collation-server=utf8mb4_bin" in flags
    as_root = ["--user=root"] if os.geteuid() == 0 else []
    done = subprocess.run(
        [*find_mysqld().command, "--no-defaults", *as_root, *flags, "--validate-config"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("service", "more"), [("init", []), ("schedule", []), ("worker", ["--stop-when-idle", "0"])]
)
def test_every_service_runs(
    compose: dict[str, Any], declared: Lab, tmp_path: Path, service: str, more: list[str]
) -> None:
    words = [str(word) for word in compose["services"][service]["command"]]
    secret = tmp_path / "mysql_password"
    secret.write_text(declared.environment["DJ_PASS"] + "\n")
    environment = {name: value for name, value in declared.environment.items() if name != "DJ_PASS"}
    lab = Lab({**environment, "DJ_PASS_FILE": str(secret)}, declared.folder)
    if service == "schedule":
        assert words[1:] == ["--every", "5"]
        running = lab.start(*words)
        try:
            with pytest.raises(subprocess.TimeoutExpired):
                running.communicate(timeout=12)
        finally:
            running.terminate()
            running.wait(20)
    else:
        lab.run(*words, *more)
