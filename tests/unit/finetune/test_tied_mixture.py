"""One pass over a tied mixture: its scores, gradient and moments against densities and automatic differentiation."""

from __future__ import annotations

import math

import pytest
import torch
from rotation_starts import N_FEAT, N_ORI, K, identity, rolled_start

from decortex.finetune import FinetuneConfig
from decortex.finetune.losses import (
    Kept,
    RotationDECEMberTerm,
    TiedMixture,
    passes_of,
    rolls,
    student_t_log_density,
    tied_mixture_scores,
)
from decortex.finetune.losses.rotations import rotation

N = 30


@pytest.fixture
def parameters():
    generator = torch.Generator().manual_seed(0)
    draw = {"generator": generator, "dtype": torch.float64}
    return {
        "centres": torch.randn(K, N_ORI * N_FEAT, **draw),
        "scales": 0.2 + torch.rand(K, N_ORI * N_FEAT, **draw),
        "nu": torch.tensor([2.1, 5.0, 40.0], dtype=torch.float64),
        "log_weights": torch.log_softmax(torch.randn(K, **draw), dim=0),
    }


@pytest.fixture
def points():
    return torch.randn(N, N_ORI * N_FEAT, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def by_densities(points, parameters):
    """Scores from the density of every roll, left to automatic differentiation; and q, u of every roll."""
    centres, scales = rolls(parameters["centres"], N_ORI), rolls(parameters["scales"], N_ORI)
    nu = parameters["nu"].repeat(N_ORI)
    log_f, delta = student_t_log_density(points, centres, scales, nu)
    joint = log_f + parameters["log_weights"].repeat(N_ORI) - math.log(N_ORI)
    return torch.logsumexp(joint.view(-1, N_ORI, K), dim=1), joint, (nu + N_ORI * N_FEAT) / (nu + delta)


@pytest.mark.parametrize("blocks", ["kept", "computed twice"])
def test_scores_and_gradient_are_those_of_the_densities(points, parameters, blocks, monkeypatch):
    monkeypatch.setattr(rotation, "CACHED_ROWS", 7)
    if blocks == "computed twice":
        monkeypatch.setattr(rotation, "BLOCK_ENTRIES", 7 * K * N_ORI)
    weigh = torch.randn(N, K, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    one, other = points.clone().requires_grad_(), points.clone().requires_grad_()
    expected, _, _ = by_densities(one, parameters)
    found, kept = tied_mixture_scores(other, TiedMixture(**parameters, n_orientations=N_ORI))
    assert (kept.passes is None) == (blocks == "computed twice")
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=1e-12)
    (expected * weigh).sum().backward()
    (found * weigh).sum().backward()
    torch.testing.assert_close(other.grad, one.grad, atol=1e-10, rtol=1e-10)


def test_a_gradient_can_be_asked_for_twice(points, parameters):
    z = points.clone().requires_grad_()
    scores, _ = tied_mixture_scores(z, TiedMixture(**parameters, n_orientations=N_ORI))
    (first,) = torch.autograd.grad(scores.sum(), z, retain_graph=True)
    (second,) = torch.autograd.grad(scores.sum(), z)
    assert torch.equal(first, second)


def test_weights_and_spread_are_what_the_em_step_sums(points, parameters):
    mixture = TiedMixture(**parameters, n_orientations=N_ORI, with_spread=True)
    _, joint, u = by_densities(points, parameters)
    share = joint.view(-1, N_ORI, K).softmax(dim=1).reshape(N, -1)
    ((_, found),) = passes_of(mixture, Kept(points))
    torch.testing.assert_close(found.weights, share * u)
    torch.testing.assert_close(found.spread, (share * (u.log() - u)).view(N, N_ORI, K).sum(dim=1))
    torch.testing.assert_close(mixture.joint(points), joint)


@pytest.mark.parametrize("learned", [False, True])
def test_the_step_after_a_loss_is_the_step_from_scratch(learned):
    start = rolled_start()
    config = FinetuneConfig(kind="rotation_december", learn_nu=learned, learn_weights=learned)
    one, other = (RotationDECEMberTerm(identity, start, config) for _ in range(2))
    z = start.points.clone().requires_grad_()
    one.loss(z).backward()
    one.after_step(start.points + 1.0)  # where the readouts went meanwhile does not matter
    other.em_step(start.points)
    for name in ("centres", "scales", "nu", "log_weights"):
        torch.testing.assert_close(getattr(one, name), getattr(other, name), atol=1e-12, rtol=1e-12)
    before = one.centres.clone()
    one.after_step(start.points)
    assert torch.equal(one.centres, before), "without a loss in between there is nothing to follow"
