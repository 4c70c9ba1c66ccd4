"""The plans of the study of joint training: made by one script, and asking for what they say."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from decortex.finetune import FinetuneConfig
from decortex_schemas.register import PlanFile

ROOT = Path(__file__).resolve().parents[3]
PLANS = ROOT / "docs" / "plans"


@pytest.fixture
def script(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks" / "finetune"))
    spec = importlib.util.spec_from_file_location(
        "dec_study", ROOT / "benchmarks" / "finetune" / "dec_study.py"
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "dec_study", module)
    spec.loader.exec_module(module)
    return module


def test_the_plans_in_docs_are_those_of_the_script(script: Any) -> None:
    made = script.plans()
    assert {path.stem for path in PLANS.glob("dec-study-*.json")} == set(made)
    for name, one in made.items():
        assert (PLANS / f"{name}.json").read_text(encoding="utf-8") == script.written(one), name
        plan = PlanFile.from_params(json.loads(script.written(one)))
        assert all(networks.dataset in script.simulations() for networks in plan.networks)


def test_five_generators_choose_and_ten_others_judge(script: Any) -> None:
    made = script.plans()
    asked = {
        name: {networks["dataset"] for networks in made[name]["networks"]}
        for name in ("dec-study-plain-choose", "dec-study-plain-judge", "dec-study-equivariant-judge")
    }
    assert [len(one) for one in asked.values()] == [4 * 5, 4 * 10, 4 * 10]
    assert not asked["dec-study-plain-choose"] & asked["dec-study-plain-judge"]
    names = {one["name"] for one in made["dec-study-plain-choose"]["finetunings"]}
    assert set(script.JUDGED) < names
    betas = {one["params"].get("beta") for one in made["dec-study-plain-choose"]["finetunings"]}
    assert {0.01, 0.1, 1.0, 10.0} <= betas


@pytest.mark.parametrize("name", ["v4-joint", "v4-joint-rotation"])
def test_v4_is_trained_jointly_from_epoch_4_of_24(name: str) -> None:
    plan = PlanFile.from_params(json.loads((PLANS / f"{name}.json").read_text()))
    (networks,) = plan.networks
    assert (networks.joint_from, networks.training, len(networks.seeds)) == (
        4,
        {"max_epochs": 24, "keep": "best"},
        3,
    )
    assert tuple(plan.counts) == (5, 8, 12)
    assert plan.states == "all"
    assert plan.finetuned_null is not None
    assert plan.finetuned_null.surrogates == 19
    configs = [FinetuneConfig.from_params(one.params) for one in plan.finetunings]
    for kind in ("december", "dec_joint"):
        assert len({one.beta for one in configs if one.kind == kind}) == 2


def test_three_networks_learn_from_each_other_in_two_rounds_from_epoch_5_of_30() -> None:
    plan = PlanFile.from_params(json.loads((PLANS / "mutual.json").read_text(encoding="utf-8")))
    (networks,) = plan.networks
    assert (networks.recipe, networks.seeds, networks.joint_from) == ("simulated_cortex", (0, 1, 2), 5)
    assert networks.training["max_epochs"] == 30
    assert tuple(plan.counts) == (8,)
    assert plan.states == "all"
    peers = {"peer_seeds": list(networks.seeds)}  # that registering the plan fills in
    configs = [FinetuneConfig.from_params({**one.params, **peers}) for one in plan.finetunings]
    assert [(one.kind, one.round) for one in configs] == [("mutual", 1), ("mutual", 2)]
    first, second = (one.model_dump(exclude={"round"}) for one in configs)
    assert first == second, "a round learns from the one before, which is the same fine-tuning"
