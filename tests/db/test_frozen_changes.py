"""A frozen study that lost a member: named before, said by every reader, and brought back by computing again."""

from __future__ import annotations

import functools
import importlib
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from small_lab import fill
from typer.testing import CliRunner

import decortex_schemas as schemas
from decortex.errors import ConfigError
from decortex_ops.cli import app
from decortex_ops.dashboard.router import BY_PATH, view_of
from decortex_ops.reports import draw_figure, export_study, report
from decortex_schemas import queries
from decortex_schemas.database import delete_rows, frozen_studies_hit
from decortex_schemas.tables import (
    FrozenStudyChanged,
    changes_since_freezing,
    looking_once,
    members_of,
    recompute_frozen,
)
from decortex_schemas.tables.studies import frozen_state

READERS = {
    "answers": queries.answers,
    "results": queries.results,
    "agreement": queries.agreement,
    "stats": queries.predictability,
    "confounds": queries.confounds,
    "price": queries.price,
    "improvement": queries.improvement,
    "partitions": queries.partitions,
    "about": queries.about_study,
    "report": report,
    "figure": lambda study: draw_figure("agreement", study, {"k": "3", "finetune": "none"}),
}


@pytest.fixture(scope="module", autouse=True)
def unrendered() -> Iterator[None]:
    """Figures of the report are drawn, from rows that are read, and not written: no test here looks at one."""
    with pytest.MonkeyPatch.context() as patch:
        module = importlib.import_module("decortex_ops.reports.report")
        patch.setattr(module, "figure_bytes", lambda *_one, **_more: b"")
        yield


@pytest.fixture(scope="module")
def lost(lab: str) -> Iterator[dict[str, Any]]:
    """Key of a fine-tuned partition that somebody deleted with what rests on it; computed again at the end."""
    key = dict((schemas.DECFinetune * schemas.FinetuneSpec & {"finetune": "dec", "model_seed": 0}).keys()[0])
    key = {name: key[name] for name in schemas.DECFinetune().primary_key}
    assert changes_since_freezing(lab) == []
    assert frozen_studies_hit("DECFinetune", key) == {lab: 1}
    with pytest.raises(ConfigError, match=rf"would lose members: {lab} \(1 members\)"):
        delete_rows("DECFinetune", key, "an administrator's mistake")
    assert len(schemas.DECFinetune & key) == 1
    shown = CliRunner().invoke(app, ["delete", "DECFinetune", ",".join(f"{n}={v}" for n, v in key.items())])
    assert f"the frozen study {lab} would lose 1 members" in shown.output
    delete_rows("DECFinetune", key, "an administrator's mistake", break_frozen=True)
    yield key
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FrozenStudyChanged)
        fill()
    assert changes_since_freezing(lab) == []
    schemas.schema.connection.query(f"DELETE FROM `{schemas.schema.database}`.deletion")


def test_nothing_is_said_of_a_study_that_is_what_was_frozen(lab: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FrozenStudyChanged)
        for read in READERS.values():
            read(lab)
    assert queries.frozen_changes(lab) == ""


def test_one_reading_looks_once_at_each_study(lab: str, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[str] = []
    look = frozen_state._changes
    monkeypatch.setattr(frozen_state, "_changes", lambda study: looked.append(study) or look(study))
    for read in (report, queries.answers):
        read(lab)
    assert looked == [lab, lab]
    with looking_once():
        found = changes_since_freezing(lab)
        found.append({"problem": "a reader's own"})
        assert changes_since_freezing(lab) == []
    assert changes_since_freezing(lab) == []
    assert looked == [lab] * 4  # what is seen is forgotten with the reading


def test_what_is_above_a_member_is_its_too(lab: str) -> None:
    """Deleting a network would take all that was computed from it."""
    network = {"dataset": "small", "model_seed": 1}
    n_members = len(members_of(lab) & network)
    assert frozen_studies_hit("TrainedModel", network)[lab] == n_members > 1
    assert frozen_studies_hit("Study", {"study": lab})[lab] > n_members
    scores = dict((schemas.ClusterPerformance & network).keys()[0])
    assert lab not in frozen_studies_hit("ClusterPerformance", scores)  # computed from members, no member


@pytest.mark.parametrize("name", READERS)
def test_every_reader_says_so(lab: str, lost: dict[str, Any], name: str) -> None:
    read_of_changed(lab, name)


@functools.cache
def read_of_changed(lab: str, name: str) -> Any:
    """What a reader finds in the study that lost a member, which it says."""
    with pytest.warns(
        FrozenStudyChanged, match=r"no longer what was frozen: 1 of its members missing, the first DECF"
    ):
        return READERS[name](lab)


def test_pages_and_the_report_say_so_where_they_are_read(
    lab: str, lost: dict[str, Any], tmp_path: Path
) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FrozenStudyChanged)
        assert "No longer what was frozen" in read_of_changed(lab, "report")
        for row in read_of_changed(lab, "answers"):
            assert row["sentence"].startswith("Of a study that is no longer what was frozen: ")
            assert "1 of its members missing" in row["missing"]
        with pytest.raises(ConfigError, match="not those that were frozen"):
            export_study(lab, tmp_path / "bundle")

        def ask(question: Any, *args: Any, **options: Any) -> Any:
            return question(*args, **options)

        for path in ("/agreement", "/performance"):
            view = view_of(BY_PATH[path], f"?study={lab}", ask)
            assert view.panels[0].name == "changed"
            assert "1 of its members missing" in view.panels[0].empty.why


def test_the_missing_member_is_named(lab: str, lost: dict[str, Any]) -> None:
    (problem,) = changes_since_freezing(lab)
    assert (problem["problem"], problem["table"]) == ("missing", "DECFinetune")
    assert problem["key"] == {name: v if isinstance(v, str) else int(v) for name, v in lost.items()}


def test_computing_again_restores_it_and_the_digest_says_so(lab: str, lost: dict[str, Any]) -> None:
    found = recompute_frozen(lab)
    assert len(found["before"]) == 1
    assert found["after"] == []
    assert len(schemas.DECFinetune & lost) == 1
    said = CliRunner().invoke(app, ["recompute", "FrozenStudy", f"study={lab}"])
    assert said.exit_code == 0
    assert f"study {lab} is what was frozen" in said.output.replace("\n", " ")


def test_a_member_with_other_labels_is_a_change(lab: str, lost: dict[str, Any]) -> None:
    recompute_frozen(lab)
    right = (schemas.DECFinetune & lost).fetch1("labels_sha256")
    schemas.DECFinetune.update1({**lost, "labels_sha256": "0" * 64})
    try:
        (problem,) = changes_since_freezing(lab)
        assert problem["problem"] == "changed"
        assert problem["key"]["k"] == lost["k"]
        assert "1 groups of members changed" in queries.frozen_changes(lab)
        said = CliRunner().invoke(app, ["recompute", "FrozenStudy", f"study={lab}"])
        assert said.exit_code == 1
    finally:
        schemas.DECFinetune.update1({**lost, "labels_sha256": right})
    assert changes_since_freezing(lab) == []
