"""Plans as files: grids of parameters become methods of their own; the plans in docs are plans."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from decortex.clustering import method_config
from decortex.errors import ConfigError
from decortex_schemas.register import MethodPlan, PlanFile

PLANS = sorted((Path(__file__).parents[3] / "docs" / "plans").glob("*.json"))


def test_every_combination_of_a_grid_is_a_method_named_by_its_values() -> None:
    plan = MethodPlan.from_params(
        {"method": "sec", "params": {"gamma": 2.0}, "grid": {"mu": [1e-8, 1.0], "n_neighbors": [15, 30]}}
    )
    variants = plan.variants()
    assert list(variants) == [
        "sec mu=1e-08 n_neighbors=15",
        "sec mu=1e-08 n_neighbors=30",
        "sec mu=1.0 n_neighbors=15",
        "sec mu=1.0 n_neighbors=30",
    ]
    assert variants["sec mu=1.0 n_neighbors=15"] == {"gamma": 2.0, "mu": 1.0, "n_neighbors": 15}


def test_without_a_grid_there_is_one() -> None:
    assert MethodPlan(method="gmm", name="mixture").variants() == {"mixture": {}}


@pytest.mark.parametrize("path", PLANS, ids=lambda path: path.stem)
def test_the_documented_plans_name_methods_and_parameters_that_exist(path: Path) -> None:
    plan = PlanFile.from_params(json.loads(path.read_text()))
    names = [name for one in plan.methods for name in one.variants()]
    assert len(names) == len(set(names))
    for one in plan.methods:
        for params in one.variants().values():
            method_config(one.method, params)


def test_a_grid_over_an_unknown_parameter_is_refused() -> None:
    (params,) = MethodPlan(method="sec", grid={"nu": [2.1]}).variants().values()
    with pytest.raises(ConfigError, match="nu"):
        method_config("sec", params)


def test_a_name_that_a_plan_does_not_have_is_told_with_the_one_that_was_meant() -> None:
    plan = json.loads(PLANS[0].read_text())
    plan["methods"][0]["methd"] = plan["methods"][0].pop("method")
    with pytest.raises(ConfigError) as caught:
        PlanFile.from_params({**plan, "count": [2], "colour": "blue"})
    told = str(caught.value)
    assert "count: there is no such name; did you mean 'counts'? (got [2])" in told
    assert "methods.0.methd: there is no such name; did you mean 'method'?" in told
    assert "methods.0.method: is missing and must be given" in told
    assert "colour: there is no such name; the names there are description, networks" in told
    for pydantics in ("Extra inputs", "Field required", "after validation"):
        assert pydantics not in told
