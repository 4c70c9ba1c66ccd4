"""The Slurm scripts: what they ask for, and an array on a real one-node Slurm (`make slurm`)."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
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
    assert re.search(
        r"^exec decortex (work|schedule) ", script, flags=re.M
    )  # signals reach the worker itself
    if name in WORKERS:
        assert "#SBATCH --array=" in script
        assert "#SBATCH --signal=B:TERM@" in script
    assert subprocess.run(["bash", "-n", SCRIPTS / name], check=False).returncode == 0
    assert ("--gres=gpu" in script) == ("gpu" in name)


@pytest.mark.parametrize("name", WORKERS)
def test_a_script_starts_a_worker(name: str, declared: Lab) -> None:
    """As the first task of an array would, without Slurm."""
    environment = {**declared.environment, "DECORTEX_IDLE": "0", "SLURM_CPUS_PER_TASK": "1"}
    environment["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), environment["PATH"]])
    done = subprocess.run(
        ["bash", SCRIPTS / name], env=environment, capture_output=True, text=True, check=False, timeout=300
    )
    if (
        name == "worker-gpu.sbatch" and not torch.cuda.is_available()
    ):  # it never trains on a processor instead
        assert done.returncode == 1
        assert "--device cuda" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "0 done, 0 failed" in done.stdout


@pytest.mark.skipif(
    not os.environ.get("DECORTEX_TEST_SLURM") or bool(missing()),
    reason=missing() or "takes minutes and starts daemons: `make slurm` runs it",
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
        scheduler.communicate(timeout=30)
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
