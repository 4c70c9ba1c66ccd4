"""What `decortex demo` asks for: the same questions of images and of movies. Nothing is computed."""

from __future__ import annotations

import pytest

from decortex.models import RECIPES
from decortex_ops.demo import simulated_plan, video_plan


@pytest.mark.parametrize(("plan_of", "is_video"), [(simulated_plan, False), (video_plan, True)])
def test_a_simulated_demo_asks_for_every_answer(plan_of, is_video) -> None:  # type: ignore[no-untyped-def]
    plan = plan_of("simulated")
    assert {one.params["kind"] for one in plan.finetunings} == {"dec", "dec_joint", "december"}
    assert plan.states == "controls"
    assert plan.agreement_null is not None
    assert plan.tuning is not None
    assert bool(plan.tuning.stimuli) == (not is_video)  # clips take minutes to optimise
    (network,) = plan.networks
    assert len(network.seeds) >= 2  # agreement between networks needs two
    assert (RECIPES[network.recipe]()[0].space_time is not None) == is_video
