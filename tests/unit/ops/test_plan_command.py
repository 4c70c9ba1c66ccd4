"""Plans in words: ranges, a plan from flags, and the schema by which editors check one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decortex.errors import ConfigError
from decortex_ops.cli import main
from decortex_ops.plan_files import example_plans, read_plan
from decortex_schemas.register import PlanFile, check_plan

PLAN = {
    "networks": [{"dataset": "v4", "recipe": "macaque_v4", "seeds": "0..2"}],
    "embeddings": [{"name": "l2"}],
    "methods": [{"method": "kmeans"}],
}


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2..5", (2, 3, 4, 5)),
        ("2..2", (2,)),
        ("2..30:7", (2, 9, 16, 23, 30)),
        ([2, "4..8:2", 20], (2, 4, 6, 8, 20)),
        ([8, 2], (8, 2)),
    ],
)
def test_a_range_is_written_out(written: object, meant: tuple[int, ...]) -> None:
    plan = PlanFile.from_params({**PLAN, "counts": written, "seeds": written})
    assert plan.counts == plan.seeds == meant
    assert plan.networks[0].seeds == (0, 1, 2)
    assert PlanFile.from_params(plan.resolved()) == plan  # one study, however it is written


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("5..2", r"'5\.\.2' holds no number; the smaller end comes first: '2\.\.5'"),
        ("2-5", r"'2-5' is no range; one is written '2\.\.30'"),
        ([2, "x"], "'x' is no range"),
        ("0..99999", "holds 100000 numbers"),
        ("2..5:0", "holds no number"),
    ],
)
def test_what_is_no_range_is_told(written: object, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        PlanFile.from_params({**PLAN, "counts": written})


def run(monkeypatch: pytest.MonkeyPatch, *words: str) -> int:
    monkeypatch.setattr("sys.argv", ["decortex", *words])
    with pytest.raises(SystemExit) as ended:
        main()
    return int(ended.value.code or 0)


def test_a_plan_is_written_from_flags(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "plan.json"
    words = ["plan", "--dataset", "v4", "--recipe", "macaque_v4", "--method", "kmeans", "--method", "gmm"]
    words += ["--counts", "2..4,8", "--finetune", "dec", "--select", "--subsamples", "3", "-o", str(file)]
    assert run(monkeypatch, *words) == 0
    plan = PlanFile.from_params(read_plan(str(file)))
    assert (plan.counts, plan.seeds, plan.subsamples) == ((2, 3, 4, 8), (0, 1, 2), 3)
    assert [one.method for one in plan.methods] == ["kmeans", "gmm"]
    assert (plan.finetunings[0].params, plan.finetunings[0].counts) == ({"kind": "dec"}, (2,))
    assert plan.selection is not None
    assert run(monkeypatch, *words) == 1  # never over another file
    assert "is not written over" in capsys.readouterr().err
    assert run(monkeypatch, "plan", "--dataset", "v4") == 1
    assert "either --recipe or --imported" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (["--recipe", "nope"], "no recipe 'nope'; there are"),
        (["--method", "kmean"], "kmean"),
        (["--embedding", "l3"], "l3"),
        (["--finetune", "dek"], "dek"),
        (["--finetune", "rotation_dec"], "only clusterings by rotation_tmixture"),
    ],
)
def test_a_plan_that_no_study_could_be_declared_by_is_not_written(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    changed: list[str],
    said: str,
) -> None:
    """As `study create` refuses it, with no database."""
    words = ["plan", "--dataset", "nodata", "--recipe", "macaque_v4", "--counts", "2..3", *changed]
    assert run(monkeypatch, *words, "-o", str(tmp_path / "plan.json")) == 1
    assert said in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "plan.json").exists()


def test_a_plan_that_is_no_file_or_no_json_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"there is no file .*`decortex plan -o nofile.json`.*example:"):
        read_plan(str(tmp_path / "nofile.json"))
    (tmp_path / "plan.json").write_text("{")
    with pytest.raises(ConfigError, match="cannot be read as JSON"):
        read_plan(str(tmp_path / "plan.json"))


def test_one_specification_in_two_parts_of_a_plan_is_one_family() -> None:
    """Mutual learning needs seeds that every family has: those of one recipe count together."""
    parts = [{**PLAN["networks"][0], "seeds": [seed]} for seed in (0, 1)]
    mutual = {"name": "mutual", "params": {"kind": "mutual"}, "counts": [2], "seeds": [0]}
    check_plan(PlanFile.from_params({**PLAN, "networks": parts, "counts": [2], "finetunings": [mutual]}))
    parts[1]["training"] = {"max_epochs": 3}
    with pytest.raises(ConfigError, match="'mutual'"):
        check_plan(PlanFile.from_params({**PLAN, "networks": parts, "counts": [2], "finetunings": [mutual]}))


def test_the_schema_names_what_a_plan_has_and_examples_are_plans(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "plan", "--schema") == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) == set(PlanFile.model_fields)
    assert schema["additionalProperties"] is False  # a name that is wrong is marked
    assert schema["required"] == ["networks", "embeddings", "methods", "counts"]
    for file in example_plans().values():
        assert set(json.loads(file.read_text())) <= set(schema["properties"])
        marked = tmp_path / file.name
        marked.write_text(json.dumps({"$schema": "plan.schema.json", **json.loads(file.read_text())}))
        PlanFile.from_params(read_plan(str(marked)))
