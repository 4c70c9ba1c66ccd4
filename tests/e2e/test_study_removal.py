"""What studies need: listed, removed with a reason by who may, and nothing else with it."""

from __future__ import annotations

import json
import re
import uuid
from dataclasses import replace
from pathlib import Path

import pytest
from forked_commands import ForkedLab, Yard
from tiny_chain import dump

PLAN = {
    "networks": [{"dataset": "tiny", "imported": "tiny"}],
    "embeddings": [{"name": "raw", "params": {"kind": "raw"}}, {"name": "cosine", "params": {"kind": "l2"}}],
    "methods": [{"method": "kmeans"}],
    "counts": [2, 4],
    "seeds": [0],
}


@pytest.fixture(autouse=True, scope="module")
def deletions_loaded(yard: Yard) -> None:
    """DataJoint loads its diagrams, and with them matplotlib, where it deletes."""
    yard.load("datajoint.diagram")


def test_a_study_is_removed_with_what_only_it_needs(
    tiny: ForkedLab, administrator: ForkedLab, tmp_path: Path
) -> None:
    before = dump(tiny)
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(PLAN))
    said = administrator.run("study", "create", "trial", str(plan), "--dry-run").stdout
    assert re.search(r"study trial would take \d+ jobs, about .* of one worker, .* in the store", said)
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
