"""The toy problem: what every clustering loss must do there, over seeds of data and start.

Twelve joint epochs and half of the neurons show what the published sixty and all do: the benchmark of the
documentation runs those.
"""

from __future__ import annotations

import math

import pytest
import torch

from decortex.finetune import (
    FinetuneConfig,
    RotationToyConfig,
    RotationToyProblem,
    ToyConfig,
    ToyProblem,
    rotation_toy_variants,
    toy_variants,
)

TRUE_SMALL, TRUE_LARGE = math.sqrt(128), 1.5 * math.sqrt(128)
VARIANTS = toy_variants()


@pytest.fixture(scope="module", params=[0, 1, 2])
def problem(request):
    torch.set_num_threads(1)
    return ToyProblem(ToyConfig(sizes=(150, 350), epochs_joint=12), seed=request.param)


@pytest.mark.parametrize("beta", [1.0, 1000.0])
def test_december_keeps_types_centres_and_performance(problem, beta):
    result = problem.run("december", FinetuneConfig(kind="december", beta=beta))
    assert result.ari >= 0.92
    assert result.norm_small == pytest.approx(TRUE_SMALL, rel=0.1)
    assert result.norm_large == pytest.approx(TRUE_LARGE, rel=0.1)
    assert result.correlation_after == pytest.approx(result.correlation_before, abs=0.005)
    assert result.status == "ok"


def test_dec_with_a_detached_target_keeps_the_types_while_its_centres_drift_apart(problem):
    result = problem.run("dec_joint", VARIANTS["dec_joint"])
    assert result.ari >= 0.9
    assert result.distance > 2 * (TRUE_LARGE - TRUE_SMALL)
    assert result.correlation_after == pytest.approx(result.correlation_before, abs=0.005)
    assert result.status != "collapsed"


def test_dec_with_an_undetached_target_collapses_and_is_reported(problem):
    result = problem.run("dec_undetached", VARIANTS["dec_undetached"])
    assert result.status == "collapsed"
    assert result.ari < 0.5 < result.ari_start
    assert result.distance < 0.1


def test_equal_seeds_give_equal_results():
    small = ToyConfig(sizes=(20, 30), n_train=100, n_test=20, epochs_alone=2, epochs_joint=2)
    one, other = (ToyProblem(small, seed=3).run("december", VARIANTS["december"]) for _ in range(2))
    assert one == other


@pytest.fixture(scope="module", params=[0, 1, 2])
def rotated(request):
    torch.set_num_threads(1)
    problem = RotationToyProblem(RotationToyConfig(), seed=request.param)
    return {name: problem.run(name, config) for name, config in rotation_toy_variants().items()}


@pytest.mark.parametrize("name", ["rotation_december", "rotation_dec_best", "rotation_dec_scaled"])
def test_rotation_variants_keep_types_that_differ_in_relative_orientation(rotated, name):
    result = rotated[name]
    assert result.ari >= 0.95
    assert result.shift_error <= 0.03
    assert result.correlation_after == pytest.approx(result.correlation_before, abs=0.005)
    assert result.status in {"ok", "flat_target"}


def test_without_rolls_these_types_cannot_be_seen(rotated):
    assert rotated["december"].ari < 0.05


def test_the_published_kernel_summed_over_rolls_blurs_the_types(rotated):
    assert rotated["rotation_dec"].ari < rotated["rotation_dec_scaled"].ari - 0.05
    assert rotated["rotation_dec"].status == "flat_target"
