"""The Slurm scripts: what they ask for, and an array on a real one-node Slurm (`make slurm`)."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from forked_commands import ForkedLab
from one_node_slurm import missing, one_node, slurm
from other_processes import Lab

SCRIPTS = Path(__file__).resolve().parents[2] / "populate_scripts" / "slurm"
WORKERS = ("worker-cpu.sbatch", "worker-gpu.sbatch")
N_KEYS = 18
# Keys of some seconds each, of which no task can be between two for long.
ASK = """
import tempfile, torch
from pathlib import Path
from decortex.embeddings import EmbeddingConfig
from decortex_schemas.register.checkpoints import register_checkpoint
from decortex_schemas.tables.specs import register_embedding_spec, register_method
from decortex_schemas.tables.studies import StudyPlan, declare_study
path = Path(tempfile.mkdtemp()) / "cells.pth"
torch.save({"readout.weight": torch.randn(6000, 32, generator=torch.Generator().manual_seed(0))}, path)
declare_study("sweep", StudyPlan(
    models=(register_checkpoint(path, embedding_key="readout.weight"),),
    embedding_spec_ids=(register_embedding_spec("raw", EmbeddingConfig(kind="raw")),),
    method_ids=(register_method("kmeans", {"n_init": 10}, name="slow")["method_id"],),
    counts=(20, 30, 40),
    seeds=tuple(range(6)),
))
"""


@pytest.mark.parametrize("name", [*WORKERS, "scheduler.sbatch"])
def test_a_script_is_safe_to_preempt_and_requeue(name: str) -> None:
    script = (SCRIPTS / name).read_text()
    assert "#SBATCH --requeue" in script
    assert "#SBATCH --open-mode=append" in script  # a second start does not overwrite the log of the first
    if name in WORKERS:
        assert re.search(r"^exec decortex work ", script, flags=re.M)  # signals reach the worker itself
        assert "--tables" not in script.partition("set -euo")[2]  # every stage
        assert "#SBATCH --array=" in script
        assert "#SBATCH --signal=B:TERM@" in script
    assert subprocess.run(["bash", "-n", SCRIPTS / name], check=False).returncode == 0
    assert ("--gres=gpu" in script) == ("gpu" in name)


@pytest.mark.parametrize("name", WORKERS)
def test_a_script_starts_a_worker(name: str, declared: ForkedLab) -> None:
    """As the first task of an array would, without Slurm; its command is forked."""
    environment = {**declared.environment, "DECORTEX_IDLE": "0", "SLURM_CPUS_PER_TASK": "1"}
    environment["PATH"] = os.pathsep.join([str(declared.yard.programs), environment["PATH"]])
    declared.yard.await_ready()
    done = subprocess.run(
        ["bash", SCRIPTS / name], env=environment, capture_output=True, text=True, check=False, timeout=1200
    )
    if (
        name == "worker-gpu.sbatch" and not torch.cuda.is_available()
    ):  # it never trains on a processor instead
        assert done.returncode == 1
        assert "--device cuda" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "0 done, 0 failed" in done.stdout


@pytest.mark.parametrize("name", [*WORKERS, "scheduler.sbatch"])
def test_without_a_database_it_stops_at_once(name: str, tmp_path: Path) -> None:
    """A job of its own would start a private server on the node, find nothing to do and end well."""
    mine = {key: value for key, value in os.environ.items() if not key.startswith(("DJ_", "DECORTEX_"))}
    mine |= {"HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path / "data"), "SLURM_JOB_ID": "1"}
    mine["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), mine["PATH"]])
    done = subprocess.run(
        ["bash", SCRIPTS / name], env=mine, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 2
    assert "DJ_HOST is not set" in done.stderr
    assert list(tmp_path.iterdir()) == []  # nothing was started


@pytest.fixture
def pretending(tmp_path: Path) -> dict[str, str]:
    """An environment in which `decortex` and `scontrol` write down their words; `decortex schedule` goes on."""
    tools = tmp_path / "tools"
    tools.mkdir()
    go_on = '[ "$1" = schedule ] && while :; do sleep 0.1; done; exit 0'
    for name, body in (("decortex", go_on), ("scontrol", "exit 0")):
        first = '#!/bin/bash\ntrap "exit 0" TERM\n'
        (tools / name).write_text(f'{first}echo "{name} $*" >> {tmp_path}/calls\n{body}\n')
        (tools / name).chmod(0o755)
    path = os.pathsep.join([str(tools), os.environ["PATH"]])
    return {**os.environ, "PATH": path, "DJ_HOST": "db.lab", "SLURM_JOB_ID": "4711"}


@pytest.mark.parametrize("name", WORKERS)
@pytest.mark.parametrize(
    ("granted", "expected"),
    [
        ({"SLURM_MEM_PER_NODE": "6144"}, "--max-memory 5529M"),
        ({"SLURM_MEM_PER_CPU": "2000", "SLURM_CPUS_PER_TASK": "4"}, "--max-memory 7200M"),
        ({}, None),
    ],
)
def test_a_worker_takes_what_fits_into_its_memory(
    pretending: dict[str, str], tmp_path: Path, name: str, granted: dict[str, str], expected: str | None
) -> None:
    words = ["bash", str(SCRIPTS / name), "--tables", "Clustering"]
    subprocess.run(words, env={**pretending, **granted}, check=True, timeout=120)
    (call,) = (tmp_path / "calls").read_text().splitlines()
    assert call.startswith("decortex work ")
    assert call.endswith("--tables Clustering")
    assert expected in call if expected else "--max-memory" not in call


@pytest.mark.parametrize(("sign", "again"), [(signal.SIGUSR1, True), (signal.SIGTERM, False)])
def test_the_scheduler_outlives_the_time_limit(
    pretending: dict[str, str], tmp_path: Path, sign: signal.Signals, again: bool
) -> None:
    calls = tmp_path / "calls"
    job = subprocess.Popen(
        ["bash", SCRIPTS / "scheduler.sbatch"], env=pretending, stdout=subprocess.PIPE, text=True
    )
    wait_for(lambda: calls.exists() and "schedule" in calls.read_text(), "the scheduler", seconds=120)
    job.send_signal(sign)
    said = job.communicate(timeout=120)[0]
    assert job.returncode == 0
    assert ("scontrol requeue 4711" in calls.read_text()) == again
    assert ("the scheduler is queued again" in said) == again


@pytest.mark.skipif(bool(missing()), reason=missing())
def test_the_scheduler_is_queued_again_by_slurm_itself(declared: ForkedLab, tmp_path: Path) -> None:
    folder = tmp_path / "one-node"
    folder.mkdir()
    with one_node(folder) as cluster:
        environment = {**declared.environment, "SLURM_CONF": cluster["SLURM_CONF"], "DECORTEX_EVERY": "1"}
        environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), cluster["PATH"]])
        options = ("--mem=0", "--chdir", str(tmp_path), "--parsable", "--time=10", "--signal=B:USR1@570")
        job = slurm(environment, "sbatch", *options, str(SCRIPTS / "scheduler.sbatch")).strip()
        wait_for(
            lambda: "Restarts=1" in slurm(environment, "scontrol", "show", "job", job),
            "its return",
        )
        slurm(environment, "scancel", job)
    said = (tmp_path / f"decortex-schedule-{job}.log").read_text()
    assert "the time limit is near: the scheduler is queued again" in said
    assert "Traceback" not in said


@pytest.mark.skipif(
    not os.environ.get("DECORTEX_TEST_SLURM") or bool(missing()),
    reason=missing() or "takes minutes: `make slurm` runs it",
)
def test_an_array_completes_every_key_once(make_lab: Callable[[str], Lab], tmp_path: Path) -> None:
    lab = make_lab("slurm")
    lab.run("init")
    lab.python(ASK)
    folder = tmp_path / "one-node"
    folder.mkdir()
    scheduler = lab.start("schedule", "--every", "1")
    try:
        with one_node(folder) as cluster:
            cluster |= {**lab.environment, "PATH": cluster["PATH"], "SLURM_CONF": cluster["SLURM_CONF"]}
            cluster |= {"DECORTEX_IDLE": "20"}
            cluster["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), cluster["PATH"]])
            options = ("--array=0-2", "--mem=0", "--chdir", str(lab.folder), "--parsable")
            job = slurm(cluster, "sbatch", *options, str(SCRIPTS / WORKERS[0])).strip()
            wait_for(lambda: reserved(lab) == 3, "three tasks amid a make")
            slurm(cluster, "scancel", f"{job}_0")
            slurm(cluster, "scontrol", "requeue", f"{job}_1")
            wait_for(lambda: rows(lab) == N_KEYS, "every key")
            assert "Restarts=1" in slurm(cluster, "scontrol", "show", "job", f"{job}_1")
            wait_for(lambda: not slurm(cluster, "squeue", "-h", "-j", job).strip(), "the end of the array")
            assert "JobState=CANCELLED" in slurm(cluster, "scontrol", "show", "job", f"{job}_0")
    finally:
        scheduler.terminate()
        scheduler.communicate(timeout=120)
    assert rows(lab) == N_KEYS
    assert lab.query("SELECT COUNT(*) FROM `~~clustering`") == [(0,)]
    said = "".join(log.read_text() for log in sorted(lab.folder.glob("decortex-*.log")))
    made = [int(number) for number in re.findall(r"^(\d+) done, 0 failed", said, flags=re.M)]
    assert len(made) == 4, said  # three tasks, one of them twice
    assert sum(made) == N_KEYS + 2, said  # the network and its embedding too; no key by two tasks
    assert said.count("1 handed back") == 2, said


def reserved(lab: Lab) -> int:
    return int(lab.query("SELECT COUNT(*) FROM `~~clustering` WHERE status = 'reserved'")[0][0])


def rows(lab: Lab) -> int:
    return int(lab.query("SELECT COUNT(*) FROM `__clustering`")[0][0])


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 900) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.2)
