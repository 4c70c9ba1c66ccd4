"""Rotation-invariant losses: transcriptions, gradients, invariance to rolls, one orientation, shifts."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from rotation_starts import N_FEAT, N_ORI, K, identity, rolled_start
from scipy.stats import multivariate_t

from decortex.errors import ConfigError, InputError
from decortex.finetune import FinetuneConfig, RotationStart, finetune
from decortex.finetune.losses import (
    DECEMberTerm,
    DECTerm,
    RotationDECEMberTerm,
    RotationDECTerm,
    StartPoints,
    gauge,
    orbit_distances,
    rolled_by,
    rolls,
)
from decortex.finetune.losses.rotations import rotation


def dec(start, **params):
    config = FinetuneConfig(**{"kind": "rotation_dec", "tolerance": 0.0, **params})
    return RotationDECTerm(identity, start, config)


def december(start, **params):
    return RotationDECEMberTerm(identity, start, FinetuneConfig(kind="rotation_december", **params))


VARIANTS = {
    "sum": dec,
    "best": lambda start: dec(start, shift="best"),
    "scaled": lambda start: dec(start, kernel="scaled"),
    "december": december,
}


def turn(row, by):
    return np.roll(row.reshape(N_ORI, N_FEAT), by, axis=0).ravel()


def test_rolls_are_those_of_the_clustering():
    from decortex.clustering.mixtures import rolls as of_the_mixture

    x = torch.randn(5, N_ORI * N_FEAT, dtype=torch.float64)
    every = rolls(x, N_ORI)
    rolled = every.reshape(N_ORI, 5, -1)
    same = of_the_mixture(x.numpy(), N_ORI).reshape(5, N_ORI, -1)
    np.testing.assert_array_equal(rolled.transpose(0, 1).numpy(), same)
    by = torch.tensor([0, 1, 2, 3, 7])
    found = rolled_by(x, by, N_ORI)
    np.testing.assert_array_equal(found.numpy(), rolled[by % N_ORI, torch.arange(5)].numpy())
    torch.testing.assert_close(rolled_by(rolled_by(x, by, N_ORI), -by, N_ORI), x, rtol=0, atol=0)


@pytest.mark.parametrize(
    ("name", "shift", "scaled"), [("sum", "sum", 0), ("best", "best", 0), ("scaled", "sum", 1)]
)
def test_rotation_dec_is_the_formula_written_out(name, shift, scaled):
    start = rolled_start()
    term = VARIANTS[name](start)
    z, mu = start.points.numpy(), term.centres.detach().numpy()
    for j in range(K):
        members = [turn(z[i], -int(start.shifts[i])) for i in range(len(z)) if start.labels[i] == j]
        np.testing.assert_allclose(mu[j], np.mean(members, axis=0), atol=1e-12)
    s2, exponent = float(term.scale2), (1 + N_ORI * N_FEAT) / 2 if scaled else 1.0
    q = np.empty((len(z), K))
    for i in range(len(z)):
        for j in range(K):
            terms = [(1 + np.sum((z[i] - turn(mu[j], o)) ** 2) / s2) ** -exponent for o in range(N_ORI)]
            q[i, j] = sum(terms) if shift == "sum" else max(terms)
        q[i] /= q[i].sum()
    p = q**2 / q.sum(axis=0)
    p /= p.sum(axis=1, keepdims=True)
    np.testing.assert_allclose(term.log_q(start.points).exp().detach().numpy(), q, atol=1e-12)
    assert term.loss(start.points).item() == pytest.approx(
        float((p * np.log(p / q)).sum() / len(z)), abs=1e-12
    )


def test_a_rotation_december_step_is_the_formula_written_out():
    start = rolled_start(n=24)
    term = december(start, learn_weights=True)
    term.log_weights.copy_(torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64).log())
    z, d = start.points.numpy(), N_ORI * N_FEAT
    mu, sigma = term.centres.numpy().copy(), term.scales.numpy().copy()
    nu, weights = 2.1, [0.2, 0.3, 0.5]
    joint, u = np.zeros((24, K, N_ORI)), np.zeros((24, K, N_ORI))
    for i in range(24):
        for j in range(K):
            for o in range(N_ORI):
                back = turn(z[i], -o)
                density = multivariate_t(mu[j], np.diag(sigma[j]), df=nu).pdf(back)
                joint[i, j, o] = weights[j] / N_ORI * density
                u[i, j, o] = (nu + d) / (nu + ((back - mu[j]) ** 2 / sigma[j]).sum())
    q = joint / joint.sum(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(term.log_q(start.points).exp().numpy(), q.sum(axis=2), atol=1e-10)
    new_mu, new_sigma = np.zeros_like(mu), np.zeros_like(sigma)
    for j in range(K):
        pairs = [(i, o) for i in range(24) for o in range(N_ORI)]
        pull = sum(q[i, j, o] * u[i, j, o] for i, o in pairs)
        new_mu[j] = sum(q[i, j, o] * u[i, j, o] * turn(z[i], -o) for i, o in pairs) / pull
        new_sigma[j] = sum(q[i, j, o] * u[i, j, o] * (turn(z[i], -o) - new_mu[j]) ** 2 for i, o in pairs)
        new_sigma[j] /= q[:, j].sum()
    log_likelihood = term.em_step(start.points)
    assert log_likelihood == pytest.approx(np.log(joint.sum(axis=(1, 2))).mean(), abs=1e-10)
    np.testing.assert_allclose(term.centres.numpy(), new_mu, atol=1e-10)
    np.testing.assert_allclose(term.scales.numpy(), new_sigma, atol=1e-10)
    np.testing.assert_allclose(term.log_weights.exp().numpy(), q.sum(axis=(0, 2)) / 24, atol=1e-10)


@pytest.mark.parametrize("name", VARIANTS)
def test_a_roll_of_every_neuron_changes_neither_loss_nor_labels(name):
    start = rolled_start()
    term = VARIANTS[name](start)
    by = torch.arange(len(start.points)) * 3 % N_ORI
    moved = rolled_by(start.points, by, N_ORI)
    torch.testing.assert_close(term.loss(moved), term.loss(start.points))
    torch.testing.assert_close(term.log_q(moved), term.log_q(start.points))
    turned = StartPoints(moved, start.labels, K, shifts=(start.shifts + by) % N_ORI, n_orientations=N_ORI)
    again = VARIANTS[name](turned)
    torch.testing.assert_close(again.loss(moved), term.loss(start.points))
    one, other = term.diagnose(start.points).as_floats(), again.diagnose(moved).as_floats()
    assert one == pytest.approx(other, abs=1e-10)
    order = np.arange(K)
    found, same = term.cluster_parameters(start.points, order), again.cluster_parameters(moved, order)
    np.testing.assert_allclose(found["centres"], same["centres"], atol=1e-12)
    np.testing.assert_array_equal((found["shifts"] + by.numpy()) % N_ORI, same["shifts"])
    if name == "december":
        for _ in range(3):
            assert term.em_step(start.points) == pytest.approx(again.em_step(moved), abs=1e-10)
        torch.testing.assert_close(term.centres, again.centres)


def test_one_orientation_is_the_plain_loss():
    start = rolled_start(n_orientations=1)
    plain = StartPoints(start.points, start.labels, K)
    joint = FinetuneConfig(kind="dec_joint", beta=2.0)
    for shift in ("sum", "best"):
        pairs = [(dec(start, beta=2.0, shift=shift), DECTerm(identity, plain, joint))]
        for kernel in ("published", "scaled"):
            config = joint.model_copy(update={"kernel": kernel})
            pairs.append((dec(start, beta=2.0, kernel=kernel, shift=shift), DECTerm(identity, plain, config)))
        for one, other in pairs:
            gradients = []
            for term in (one, other):
                z = start.points.clone().requires_grad_()
                loss = term.loss(z)
                loss.backward()
                gradients.append((loss.detach(), z.grad, term.centres.grad))
            for a, b in zip(*gradients, strict=True):
                torch.testing.assert_close(a, b, rtol=0, atol=1e-6)
    for learned in (False, True):
        one = december(start, learn_nu=learned, learn_weights=learned)
        config = FinetuneConfig(kind="december", learn_nu=learned, learn_weights=learned)
        other = DECEMberTerm(identity, plain, config)
        for _ in range(3):
            assert float(one.loss(start.points)) == pytest.approx(float(other.loss(start.points)), abs=1e-6)
            assert one.em_step(start.points) == pytest.approx(other.em_step(start.points), abs=1e-6)
        for name in ("centres", "scales", "nu", "log_weights"):
            torch.testing.assert_close(getattr(one, name), getattr(other, name), rtol=0, atol=1e-6)


@pytest.mark.parametrize("name", VARIANTS)
@pytest.mark.parametrize("blocks", ["one", "cached", "computed twice"])
def test_gradients_equal_finite_differences_in_one_block_and_in_many(name, blocks, monkeypatch):
    start = rolled_start(n=9)
    term = VARIANTS[name](start)
    if blocks == "cached":
        monkeypatch.setattr(rotation, "CACHED_ROWS", 4)
    if blocks == "computed twice":
        monkeypatch.setattr(rotation, "BLOCK_ENTRIES", 4 * K * N_ORI)
    z = start.points.clone().requires_grad_()
    term.loss(z)
    term.after_step(start.points)  # the target stays as it is from now on
    if name == "december":
        assert torch.autograd.gradcheck(term.loss, (z,), eps=1e-6, atol=1e-6)
        return

    def loss(z, centres):
        return torch.func.functional_call(_Loss(term), {"term.centres": centres}, (z,))

    centres = term.centres.detach().clone().requires_grad_()
    assert torch.autograd.gradcheck(loss, (z, centres), eps=1e-6, atol=1e-6)


class _Loss(torch.nn.Module):
    def __init__(self, term):
        super().__init__()
        self.term = term

    def forward(self, z):
        return self.term.loss(z)


@pytest.mark.parametrize("name", ["sum", "scaled", "december"])
def test_gradients_equal_the_closed_form(name):
    start = rolled_start(spread=2.0)  # no posterior near the floor of 1e-8
    term = VARIANTS[name](start) if name != "december" else december(start, detach_target=True)
    z = start.points.clone().requires_grad_()
    term.loss(z).backward()
    log_q = term.log_q(start.points).detach()
    q = log_q.exp()
    p = q**2 / q.sum(dim=0)
    p = p / p.sum(dim=1, keepdim=True)
    away = start.points[:, None, None] - rolls(term.centres.detach(), N_ORI).reshape(
        1, N_ORI, K, -1
    ).transpose(1, 2)
    joint = term._mixture().joint if name == "december" else term._joint()
    within = joint(start.points).detach().reshape(-1, N_ORI, K).transpose(1, 2).softmax(dim=2)
    if name == "december":
        weighed = away / rolls(term.scales, N_ORI).reshape(1, N_ORI, K, -1).transpose(1, 2)
        u = (2.1 + N_ORI * N_FEAT) / (2.1 + (away * weighed).sum(dim=3))
    else:
        s2 = float(term.scale2)
        weighed, u = away * 2 * term.exponent / s2, 1 / (1 + (away**2).sum(dim=3) / s2)
    pull = ((p - q)[:, :, None] * within * u)[..., None] * weighed
    torch.testing.assert_close(z.grad, pull.sum(dim=(1, 2)) / len(z), atol=1e-10, rtol=1e-8)


def test_blocks_change_neither_the_step_nor_the_shifts(monkeypatch):
    start = rolled_start()
    whole, split = december(start, learn_nu=True), december(start, learn_nu=True)
    kept = whole.em_step(start.points)
    order = np.arange(K)
    expected = whole.cluster_parameters(start.points, order)
    monkeypatch.setattr(rotation, "BLOCK_ENTRIES", 5 * K * N_ORI)
    assert split.em_step(start.points) == pytest.approx(kept, abs=1e-12)
    found = split.cluster_parameters(start.points, order)
    assert set(found) == {"centres", "scales", "weights", "nu", "shifts", "n_orientations"}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, atol=1e-12)


@pytest.mark.parametrize("learned", [False, True])
def test_em_never_lowers_the_likelihood(learned):
    start = rolled_start(n=300, spread=1.0)
    shuffled = StartPoints(
        start.points,
        torch.arange(300) // 100,
        K,
        shifts=torch.zeros(300, dtype=torch.int64),
        n_orientations=N_ORI,
    )
    term = december(shuffled, learn_weights=learned, learn_nu=learned)
    likelihoods = [term.em_step(start.points) for _ in range(40)]
    assert (np.diff(likelihoods) > -1e-10).all()
    assert likelihoods[-1] > likelihoods[0] + 0.1


@pytest.mark.parametrize("name", VARIANTS)
def test_shifts_and_centres_are_reported_in_one_gauge_and_give_the_labels(name):
    start = rolled_start()
    term = VARIANTS[name](start)
    order = np.array([2, 0, 1])
    found = term.cluster_parameters(start.points, order)
    centres = torch.as_tensor(found["centres"])
    assert (gauge(centres, N_ORI) == 0).all()
    assert found["n_orientations"] == [N_ORI]
    new = np.argsort(order)[start.labels]
    back = rolled_by(start.points, -torch.as_tensor(found["shifts"].astype(int)), N_ORI)
    # The true shifts, up to one constant a cluster.
    for j in range(K):
        inside = new == j
        assert len(np.unique((found["shifts"][inside] - start.shifts.numpy()[inside]) % N_ORI)) == 1
        np.testing.assert_allclose(back[inside].mean(dim=0), centres[j], atol=1e-8)
    assert (term.log_q(start.points).argmax(dim=1) == start.labels).all()


def test_a_roll_of_a_centre_is_the_same_cluster_to_the_collapse_detector():
    start = rolled_start()
    term = dec(start)
    with torch.no_grad():
        every = rolls(term.centres[:1], N_ORI)
        term.centres.copy_(every[:K])
    assert orbit_distances(term.centres.detach(), N_ORI).max() < 1e-12
    values = term.end_epoch(start.points)
    assert (values["max_centre_distance"], term.stop()) == (0.0, "collapsed")


def test_no_array_of_neurons_times_clusters_times_orientations_times_features_is_made():
    start = rolled_start(n=240)
    largest = 0

    class Watch(torch.utils._python_dispatch.TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            for value in result if isinstance(result, (tuple, list)) else (result,):
                if isinstance(value, torch.Tensor):
                    largest = max(largest, value.numel())
            return result

    for build in (dec, december):
        term = build(start)
        z = start.points.clone().requires_grad_()
        with Watch():
            term.loss(z).backward()
            term.after_step(z.detach())
        assert largest == 240 * max(K * N_ORI, N_ORI * N_FEAT)


def with_rotation(
    network, recordings, schedule, config, *, shifts=None, embedding_map=None, k=2, labels=None
):
    class Plain:
        def apply_torch(self, weights):
            return weights

    n = recordings.n_neurons
    given = RotationStart(2, np.zeros(n, dtype=np.int16) if shifts is None else shifts)
    labels = (np.arange(n) % k).astype(np.int16) if labels is None else labels
    return finetune(
        network,
        recordings,
        embedding_map or Plain(),
        labels,
        config,
        schedule,
        n_clusters=k,
        seed=0,
        rotation=given,
        device="cpu",
    )


@pytest.mark.parametrize("kind", ["rotation_dec", "rotation_december"])
def test_a_network_is_fine_tuned_and_every_neuron_has_a_shift(kind, network, recordings, schedule):
    result = with_rotation(network, recordings, schedule, FinetuneConfig(kind=kind, beta_rule="balanced"))
    assert result.status in {"ok", "flat_target"}
    shifts = result.parameters["shifts"]
    assert shifts.shape == (recordings.n_neurons,)
    assert set(np.unique(shifts)) <= {0.0, 1.0}
    centres, x = result.parameters["centres"], result.points
    if kind == "rotation_dec":
        every = rolls(torch.as_tensor(centres), 2).numpy().reshape(2, 2, -1).swapaxes(0, 1)
        distances = ((x[:, None, None] - every) ** 2).sum(axis=3)
        expected = (1 / (1 + distances)).sum(axis=2).argmax(axis=1)
        np.testing.assert_array_equal(result.labels, expected)
        own = distances[np.arange(len(x)), result.labels]
        np.testing.assert_array_equal(shifts, own.argmin(axis=1))
    assert math.isfinite(result.epochs[-1].term["kl"])


def test_an_empty_start_cluster_is_a_status(network, recordings, schedule):
    labels = (np.arange(recordings.n_neurons) % 2).astype(np.int16)
    config = FinetuneConfig(kind="rotation_dec")
    result = with_rotation(network, recordings, schedule, config, k=3, labels=labels)
    assert (result.status, result.stop_reason) == ("empty_start", "not_started")
    assert np.isnan(result.parameters["centres"][2]).all()


def test_what_does_not_fit_is_refused(network, recordings, schedule):
    class Mixes:
        def apply_torch(self, weights):
            return weights * torch.arange(weights.shape[1])

    config = FinetuneConfig(kind="rotation_dec")
    with pytest.raises(ConfigError, match="mixes orientations"):
        with_rotation(network, recordings, schedule, config, embedding_map=Mixes())
    with pytest.raises(InputError, match="one shift for each of the 24 neurons"):
        with_rotation(network, recordings, schedule, config, shifts=np.zeros(3, dtype=int))
    with pytest.raises(ConfigError, match="came with orientations"):
        with_rotation(network, recordings, schedule, FinetuneConfig(kind="dec"))
    with pytest.raises(InputError, match="between 0 and 1, but reach from 0 to 2"):
        RotationStart(2, np.array([0, 2]))
    labels = (np.arange(recordings.n_neurons) % 2).astype(np.int16)
    with pytest.raises(ConfigError, match="came without orientations"):
        finetune(network, recordings, None, labels, config, schedule, n_clusters=2, seed=0)
