"""The commands as a user runs them: from a folder of recordings to the results, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from small_lab import SMALL, plan_for

from decortex.data import write_filetree
from decortex.data.simulation import SimulationConfig, simulate


@pytest.fixture
def recordings(tmp_path: Path, yard: Yard) -> Path:
    """A folder of recordings as a lab has them; networks are trained on them."""
    yard.load("torch._dynamo")
    out = tmp_path / "two sessions"
    write_filetree(simulate(SimulationConfig.from_params(SMALL), 5), out)
    return out


def test_from_a_folder_to_the_results(make_forked_lab: Callable[[str], ForkedLab], recordings: Path) -> None:
    lab = make_forked_lab("chain")
    lab.run("init")
    assert (
        "36 neurons, 2 sessions" in lab.run("register", "dataset", str(recordings), "--name", "mine").stdout
    )
    plan = lab.folder / "plan.json"
    plan.write_text(
        plan_for("mine", counts=[2], seeds=[0], finetunings=[]).model_dump_json(exclude_none=True)
    )
    assert "4 partitions asked for, 0 done" in lab.run("study", "create", "sweep", str(plan)).stdout
    frozen_early = lab.run("study", "freeze", "sweep", check=False)
    assert frozen_early.returncode == 1
    assert "4 of 4 members of study 'sweep' are neither computed nor failed" in frozen_early.stderr.replace(
        "\n", " "
    )

    scheduler = lab.start("schedule", "--every", "0.5")
    try:
        lab.run("work", "--quiet", "--stop-when-idle", "15")
    finally:
        scheduler.terminate()
        scheduler.communicate(timeout=120)
    status = {row["table"]: row for row in json.loads(lab.run("status", "--json").stdout)}
    assert status["Clustering"] == {
        "table": "Clustering", "done": 4, "pending": 0, "reserved": 0, "error": 0, "ignore": 0
    }  # fmt: skip
    assert json.loads(lab.run("study", "freeze", "sweep", "--json").stdout)["n_members"] == 4
    lab.run("schedule")
    lab.run("work", "--quiet", "--stop-when-idle", "0")

    rows = json.loads(lab.run("results", "sweep", "--json").stdout)
    assert [(row["method"], row["k"], row["finetune"]) for row in rows] == [
        ("kmeans", 2, "none"),
        ("gmm", 2, "none"),
    ]


def test_a_failed_key_is_shown_and_retried(
    make_declared_lab: Callable[[str], ForkedLab], recordings: Path
) -> None:
    lab = make_declared_lab("failing")
    lab.run("register", "dataset", str(recordings), "--name", "mine")
    plan = lab.folder / "plan.json"
    plan.write_text(
        plan_for("mine", counts=[2], seeds=[0], finetunings=[]).model_dump_json(exclude_none=True)
    )
    lab.run("study", "create", "sweep", str(plan))
    moved = recordings.with_name("elsewhere")
    recordings.rename(moved)
    lab.run("schedule")
    done = lab.run("work", "--stop-when-idle", "0", check=False)
    assert done.returncode == 3
    failed = json.loads(lab.run("errors", "--json").stdout)
    assert sorted(row["table"] for row in failed) == ["RecordingSummary", "TrainedModel", "TrainedModel"]
    assert "DatasetError" in failed[0]["message"]
    assert "Traceback" in lab.run("errors", "--trace").stdout
    moved.rename(recordings)
    assert "0 queued again" in lab.run("retry", "--match", "something else").stdout
    assert "3 queued again" in lab.run("retry", "--match", "DatasetError").stdout
    lab.run("work", "--quiet", "--stop-when-idle", "0")
    assert json.loads(lab.run("errors", "--json").stdout) == []


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"DJ_PORT": "1"}, "no MySQL server answers at 127.0.0.1:1"),
        ({"DJ_PASS": "wrong-password-of-a-test"}, "refused user"),
        ({"DJ_PASS_FILE": "/nowhere", "DJ_PASS": ""}, "refused user"),
        ({"DECORTEX_DATABASE": "not; a name"}, "expected at most 48 letters"),
    ],
)
def test_a_database_that_does_not_serve_is_named(
    make_forked_lab: Callable[[str], ForkedLab], changed: dict[str, str], message: str
) -> None:
    done = make_forked_lab("named").run("status", check=False, **changed)
    assert done.returncode == 1
    assert message in done.stderr.replace("\n", " ")
    assert "Traceback" not in done.stderr
    assert "wrong-password-of-a-test" not in done.stderr
