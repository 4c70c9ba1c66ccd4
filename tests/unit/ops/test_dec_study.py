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


def a_row(generator: int, network: int, state: str, labels: list[int], **more: Any) -> dict[str, Any]:
    own = state == "fine_tuned"
    return {
        "part": "state", "core": "plain", "spread": 0.0, "generator": generator, "surrogate": None, "network": network,
        "m": 5, "k": 2, "state": state,
        "variant": "december 1" if own else "none", "method": "own" if own else "kmeans",
        "labels": labels, "truth": 0.5, "validation": 0.7, "test": 0.9 if own else 1.0, **more,
    }  # fmt: skip


def test_gains_are_differences_within_generators(script: Any) -> None:
    """Own labels of two networks agree wholly, of the control not at all in one generator and wholly in two."""
    summary = sys.modules["dec_joint_summary"]
    half, other = [0, 0, 1, 1], [0, 1, 0, 1]
    rows = []
    for generator, second in ((100, other), (101, half), (102, half)):
        for network, labels in ((0, half), (1, second)):
            rows += [
                a_row(generator, network, "control", labels),
                a_row(generator, network, "fine_tuned", half, moved=0.25, truth=0.8),
            ]
    (gain,) = [row for row in summary.gains(rows) if row["against"] == "control kmeans"]
    assert (gain["of"], gain["variant"], gain["role"], gain["n_generators"]) == (
        "own labels",
        "december 1",
        "judge",
        3,
    )
    # adjusted Rand index of halves that cross: -.5
    assert gain["agreement"] == pytest.approx(0.5)
    assert gain["agreement_low"] == pytest.approx(0.5 - 4.30265 * 0.5, abs=1e-4)
    assert gain["agreement_detectable"] > 1.5
    assert (gain["truth"], gain["retained"]) == (pytest.approx(0.3), pytest.approx(-0.1))
    assert gain["truth_low"] == pytest.approx(0.3)
    text = summary.tables(rows)
    assert "| december 1 | fine_tuned | own | 3 | 1.000 | 0.800 | 0.900 | 0.250 | ok |" in text
    assert "+0.500 (-1.651 to +2.651; " in text


def test_the_choice_reads_no_types_and_no_agreement_by_construction(script: Any) -> None:
    summary = sys.modules["dec_joint_summary"]
    half, other = [0, 0, 1, 1], [0, 1, 0, 1]
    rows = []
    for network, labels in ((0, half), (1, other)):
        rows += [
            a_row(0, network, "control", labels),
            a_row(0, network, "fine_tuned", labels, truth=1.0),
            a_row(0, network, "fine_tuned", half, variant="restarts 1", truth=0.0),
            a_row(0, network, "fine_tuned", half, variant="tell 1", validation=0.6),
            a_row(0, network, "fine_tuned", half, variant="mutual 1"),
        ]
    (chosen,) = summary.choose(summary.summarise(rows))
    assert (chosen["variant"], chosen["agreement"]) == ("restarts 1", 1.0)


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
