"""Assignments, targets and losses against literal transcriptions, closed-form gradients and scipy."""

import numpy as np
import pytest
import torch
from scipy.stats import multivariate_t

from decortex.finetune.losses import (
    log_target,
    mean_kl,
    squared_distances,
    student_log_q,
    student_t_log_density,
)


def points(n=30, k=4, d=6, seed=0):
    generator = torch.Generator().manual_seed(seed)
    z = torch.randn(n, d, generator=generator, dtype=torch.float64)
    return z, torch.randn(k, d, generator=generator, dtype=torch.float64)


def literal_q(z, mu, alpha, exponent, scale2=1.0):
    q = np.empty((len(z), len(mu)))
    for i in range(len(z)):
        for j in range(len(mu)):
            q[i, j] = (1 + np.sum((z[i] - mu[j]) ** 2) / (alpha * scale2)) ** (-exponent)
        q[i] /= q[i].sum()
    return q


def literal_p(q, power=2.0):
    p = q**power / q.sum(axis=0)
    return p / p.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(("alpha", "exponent", "scale2"), [(1.0, 1.0, 1.0), (3.0, 2.0, 0.4), (1.0, 3.5, 2.0)])
def test_assignment_target_and_loss_equal_the_published_formulas(alpha, exponent, scale2):
    z, mu = points()
    log_q = student_log_q(z, mu, alpha=alpha, exponent=exponent, scale2=scale2)
    q = literal_q(z.numpy(), mu.numpy(), alpha, exponent, scale2)
    np.testing.assert_allclose(log_q.exp().numpy(), q, atol=1e-12)
    p = literal_p(q)
    np.testing.assert_allclose(log_target(log_q).exp().numpy(), p, atol=1e-12)
    np.testing.assert_allclose(log_target(log_q, power=3.0).exp().numpy(), literal_p(q, 3.0), atol=1e-12)
    literal = np.mean([np.sum(p[i] * np.log(p[i] / q[i])) for i in range(len(q))])
    assert float(mean_kl(log_target(log_q), log_q)) == pytest.approx(literal, abs=1e-12)


@pytest.mark.parametrize("alpha", [1.0, 2.5])
def test_gradients_equal_the_closed_form(alpha):
    z, mu = (tensor.requires_grad_() for tensor in points())
    log_q = student_log_q(z, mu, alpha=alpha, exponent=(alpha + 1) / 2)
    log_p = log_target(log_q).detach()
    mean_kl(log_p, log_q).backward()
    difference = z.detach()[:, None] - mu.detach()[None]  # (N, K, D)
    kernel = 1 / (1 + (difference**2).sum(dim=2) / alpha)
    pull = (alpha + 1) / alpha * (kernel * (log_p.exp() - log_q.detach().exp()))[..., None] * difference
    # The published gradients are those of the sum over neurons; this loss is their mean.
    torch.testing.assert_close(z.grad, pull.sum(dim=1) / len(z), atol=1e-12, rtol=1e-9)
    torch.testing.assert_close(mu.grad, -pull.sum(dim=0) / len(z), atol=1e-12, rtol=1e-9)


@pytest.mark.parametrize("detach", [True, False])
def test_gradients_equal_finite_differences(detach):
    z, mu = (tensor.requires_grad_() for tensor in points(n=12, k=3, d=4))
    frozen = log_target(student_log_q(z, mu, alpha=1.0, exponent=1.0)).detach()

    def loss(z, mu):
        log_q = student_log_q(z, mu, alpha=1.0, exponent=1.0)
        return mean_kl(frozen if detach else log_target(log_q), log_q)

    assert torch.autograd.gradcheck(loss, (z, mu), eps=1e-6, atol=1e-6)


def test_gradient_of_the_mixture_loss_equals_finite_differences():
    z, mu = points(n=12, k=3, d=4)
    sigma, nu = (
        torch.rand(3, 4, dtype=torch.float64) + 0.5,
        torch.tensor([2.1, 5.0, 1.0], dtype=torch.float64),
    )

    def loss(z):
        log_q = torch.log_softmax(student_t_log_density(z, mu, sigma, nu)[0], dim=1)
        return mean_kl(log_target(log_q), log_q)

    assert torch.autograd.gradcheck(loss, (z.requires_grad_(),), eps=1e-6, atol=1e-6)


def test_density_equals_scipy():
    z, mu = points(seed=1)
    generator = torch.Generator().manual_seed(2)
    sigma = torch.rand(4, 6, generator=generator, dtype=torch.float64) + 0.1
    nu = torch.tensor([1.0, 2.1, 8.0, 100.0], dtype=torch.float64)
    log_f, delta = student_t_log_density(z, mu, sigma, nu)
    for j in range(4):
        expected = multivariate_t(mu[j].numpy(), np.diag(sigma[j].numpy()), df=float(nu[j])).logpdf(z.numpy())
        np.testing.assert_allclose(log_f[:, j].numpy(), expected, rtol=1e-10)
        literal = ((z - mu[j]) ** 2 / sigma[j]).sum(dim=1)
        torch.testing.assert_close(delta[:, j], literal)


def test_the_scaled_kernel_is_the_posterior_of_a_t_mixture_of_equal_spheres():
    z, mu = points(seed=3)
    alpha, scale2 = 2.1, 0.7
    log_q = student_log_q(z, mu, alpha=alpha, exponent=(alpha + 6) / 2, scale2=scale2)
    nu = torch.full((4,), alpha, dtype=torch.float64)
    log_f, _ = student_t_log_density(z, mu, torch.full_like(mu, scale2), nu)
    torch.testing.assert_close(log_q, torch.log_softmax(log_f, dim=1))


def test_moving_or_turning_everything_changes_nothing():
    z, mu = points(seed=4)
    turn = torch.linalg.qr(
        torch.randn(6, 6, dtype=torch.float64, generator=torch.Generator().manual_seed(5))
    )[0]
    one = student_log_q(z, mu, alpha=1.0, exponent=1.0)
    torch.testing.assert_close(student_log_q(z @ turn + 3, mu @ turn + 3, alpha=1.0, exponent=1.0), one)


def test_far_from_the_origin_single_precision_suffices():
    z, mu = points(seed=6)
    far = squared_distances((z + 1000).float(), (mu + 1000).float())
    literal = ((z[:, None] - mu[None]) ** 2).sum(dim=2)
    torch.testing.assert_close(far.double(), literal, rtol=1e-3, atol=1e-3)
    assert (squared_distances(mu.float(), mu.float()).diagonal() < 1e-5).all()


def test_no_array_of_neurons_times_clusters_times_features_is_made():
    n, k, d = 300, 20, 64
    z = torch.randn(n, d, generator=torch.Generator().manual_seed(7)).requires_grad_()
    mu = z.detach()[:k].clone().requires_grad_()
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            for value in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(value, torch.Tensor):
                    largest = max(largest, value.numel())
            return result

    with Watch():
        log_q = student_log_q(z, mu, alpha=1.0, exponent=1.0)
        log_f, _ = student_t_log_density(z, mu, torch.ones_like(mu).detach(), torch.ones(k))
        (mean_kl(log_target(log_q), log_q) + log_f.mean()).backward()
    assert largest == n * d


@pytest.mark.parametrize("far", [1e4, 1e5, 1e9])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_one_far_neuron_with_a_centre_of_its_own_moves_no_other_assignment(far, dtype):
    z, mu = points(n=200, k=5, d=8)
    z[0] = far
    mu[2] = far
    expected = literal_q(z.numpy(), mu.numpy(), 1.0, 1.0)
    found = student_log_q(z.to(dtype), mu.to(dtype), alpha=1.0, exponent=1.0).exp().double()
    np.testing.assert_allclose(found.numpy(), expected, atol=2e-3 if dtype == torch.float32 else 1e-7)
    assert (found.argmax(dim=1).numpy() == expected.argmax(axis=1)).mean() > 0.99


def test_distances_from_differences_keep_values_and_gradients():
    z, mu = points(n=50, k=4, d=6)
    z, mu = z + 1e7, mu + 1e7
    z[:4] = mu
    z[5:8] = mu[:3] + 1e-3
    z.requires_grad_(True)
    mu.requires_grad_(True)
    exact = ((z[:, None] - mu) ** 2).sum(dim=2)
    expected = torch.autograd.grad((exact + 1).log().sum(), (z, mu))
    distances = squared_distances(z, mu)
    torch.testing.assert_close(distances, exact, rtol=1e-6, atol=1e-12)
    for one, other in zip(torch.autograd.grad((distances + 1).log().sum(), (z, mu)), expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_t_densities_stand_a_far_component_and_narrow_scales(dtype):
    z, mu = points(n=100, k=4, d=6)
    z[:25] = mu[0] + 1e-3 * z[:25]
    mu[3] = 1e6
    z[99] = 1e6
    sigma = torch.ones(4, 6, dtype=torch.float64)
    sigma[0] = 1e-6
    nu = torch.full((4,), 3.0, dtype=torch.float64)
    z, mu, sigma, nu = (one.to(dtype) for one in (z, mu, sigma, nu))
    log_f, delta = student_t_log_density(z, mu, sigma, nu)
    exact = ((z[:, None].double() - mu.double()) ** 2 / sigma.double()).sum(dim=2)
    near = exact < 1e4
    torch.testing.assert_close(delta.double()[near], exact[near], rtol=5e-3, atol=1e-3)
    assert bool(torch.isfinite(log_f).all())
