"""Rotation: types that differ in relative orientation only, invariance to rolls, alignment, smoothing."""

import numpy as np
import pytest
from scipy.optimize import check_grad
from sklearn.metrics import adjusted_rand_score

from decortex.clustering import fit, method_config, shift_kmeans
from decortex.clustering.mixtures import Mixture, em_step, first_mixture, rolls, run_em
from decortex.embeddings import align_rotations, fft_magnitude, smooth_orientations
from decortex.embeddings.alignment import _AlignmentProblem
from decortex.errors import InputError

N_ORI, N_FEAT = 8, 4


def roll_each(x, by):
    return np.stack(
        [np.roll(row.reshape(N_ORI, -1), o, axis=0).ravel() for row, o in zip(x, by, strict=True)]
    )


@pytest.fixture(scope="module")
def types():
    """Three types: feature 1 is tuned at 0, 45 or 90 degrees from feature 0; the whole is rolled at random."""
    rng = np.random.default_rng(0)
    truth = rng.integers(3, size=450)
    angle = 2 * np.pi * np.arange(N_ORI) / N_ORI

    def bump(at):
        return np.exp(2 * np.cos(angle - 2 * np.pi * at / N_ORI) - 2)

    x = np.zeros((450, N_ORI, N_FEAT))
    x[:, :, 0] = bump(0)
    x[:, :, 1] = np.stack([bump((0, 2, 4)[kind]) for kind in truth])
    x[:, :, 2] = 0.5 * bump(0)
    x += 0.1 * rng.normal(size=x.shape)
    shifts = rng.integers(N_ORI, size=450)
    return roll_each(x.reshape(450, -1), shifts), truth, shifts


def test_shift_em_finds_what_kmeans_and_magnitudes_cannot_see(types):
    x, truth, _ = types
    found = fit(x, "rotation_tmixture", n_clusters=3, n_orientations=N_ORI, n_init=10)
    assert adjusted_rand_score(truth, found.labels) == 1
    assert adjusted_rand_score(truth, fit(x, "kmeans", n_clusters=3).labels) < 0.2
    assert adjusted_rand_score(truth, fit(fft_magnitude(x, N_ORI), "kmeans", n_clusters=3).labels) < 0.2


def test_shifts_are_reported_up_to_the_gauge_of_a_cluster(types):
    x, truth, shifts = types
    found = fit(x, "rotation_tmixture", n_clusters=3, n_orientations=N_ORI, n_init=10)
    for kind in range(3):
        inside = truth == kind
        offset = (found.parameters["shifts"][inside] - shifts[inside]) % N_ORI
        assert len(np.unique(offset)) == 1
    energy = (found.parameters["centres"].reshape(3, N_ORI, N_FEAT) ** 2).sum(axis=2)
    np.testing.assert_array_equal(np.argmax(energy, axis=1), 0)


def test_a_roll_of_every_neuron_changes_no_label(types):
    x = types[0]
    by = np.random.default_rng(7).integers(N_ORI, size=len(x))
    settings = {"n_clusters": 3, "n_orientations": N_ORI, "n_init": 3}
    before = fit(x, "rotation_tmixture", **settings)
    after = fit(roll_each(x, by), "rotation_tmixture", **settings)
    np.testing.assert_array_equal(before.labels, after.labels)
    np.testing.assert_array_equal((before.parameters["shifts"] + by) % N_ORI, after.parameters["shifts"])
    assert before.objective == pytest.approx(after.objective, abs=1e-8)
    np.testing.assert_allclose(before.soft, after.soft, atol=1e-6)


def test_one_orientation_is_the_plain_mixture(blobs):
    x, _ = blobs(400, 6, 4)
    plain = fit(x, "tmixture", n_clusters=4)
    rotating = fit(x, "rotation_tmixture", n_clusters=4, n_orientations=1)
    np.testing.assert_array_equal(plain.labels, rotating.labels)
    assert plain.objective == pytest.approx(rotating.objective, abs=1e-4)
    config, same = method_config("tmixture"), method_config("rotation_tmixture", {"n_orientations": 1})
    start = first_mixture(x, plain.labels.astype(int), 4, config)
    for a, b in zip(em_step(x, start, config), em_step(x, start, same), strict=True):
        if isinstance(a, float):
            assert a == b
        else:
            np.testing.assert_array_equal(a.centres, b.centres)


def test_a_shift_em_step_is_the_formula_written_out():
    rng = np.random.default_rng(3)
    n, k, nu = 30, 2, 3.0
    x = rng.normal(size=(n, N_ORI * N_FEAT))
    config = method_config("rotation_tmixture", {"n_orientations": N_ORI, "nu": nu, "reg": 0.0})
    mixture = Mixture(
        rng.normal(size=(k, N_ORI * N_FEAT)),
        rng.uniform(0.5, 2, (k, N_ORI * N_FEAT)),
        np.array([0.4, 0.6]),
        np.full(k, nu),
        N_ORI,
    )
    new, _ = em_step(x, mixture, config)
    d = N_ORI * N_FEAT
    q, u = np.zeros((n, k, N_ORI)), np.zeros((n, k, N_ORI))
    back = np.stack([roll_each(x, np.full(n, -o)) for o in range(N_ORI)], axis=1)  # T_-o z_i
    for j in range(k):
        for o in range(N_ORI):
            delta = ((back[:, o] - mixture.centres[j]) ** 2 / mixture.scales[j]).sum(axis=1)
            u[:, j, o] = (nu + d) / (nu + delta)
            q[:, j, o] = (
                mixture.weights[j] * np.prod(mixture.scales[j]) ** -0.5 * (1 + delta / nu) ** (-(nu + d) / 2)
            )
    q /= q.sum(axis=(1, 2), keepdims=True)
    for j in range(k):
        pull = q[:, j] * u[:, j]
        centre = np.einsum("io,iod->d", pull, back) / pull.sum()
        scale = np.einsum("io,iod->d", pull, (back - centre) ** 2) / pull.sum()
        np.testing.assert_allclose(new.centres[j], centre, atol=1e-12)
        np.testing.assert_allclose(new.scales[j], scale, atol=1e-12)
    np.testing.assert_allclose(new.weights, q.sum(axis=2).mean(axis=0))


def test_shift_em_never_lowers_the_likelihood(types):
    x = types[0]
    config = method_config("rotation_tmixture", {"n_orientations": N_ORI, "reg": 0.0, "tol": 1e-12})
    labels, aligned = shift_kmeans(x, 4, N_ORI, np.random.default_rng(0))
    start = first_mixture(aligned, labels, 4, config)
    start = Mixture(start.centres, start.scales, start.weights, start.nu, N_ORI)
    run = run_em(x, start, config, 60)
    assert np.diff(run.log_likelihoods).min() > -1e-9


def test_rolls_are_numpys():
    x = np.random.default_rng(0).normal(size=(3, N_ORI * N_FEAT))
    rolled = rolls(x, N_ORI).reshape(3, N_ORI, -1)
    for o in range(N_ORI):
        np.testing.assert_array_equal(rolled[:, o], roll_each(x, np.full(3, o)))


@pytest.mark.parametrize("orientations", [1, 7, 8])
def test_magnitudes_are_invariant_and_keep_the_length(orientations):
    x = np.random.default_rng(0).normal(size=(5, orientations * 3))
    magnitude = fft_magnitude(x, orientations)
    assert magnitude.shape == (5, (orientations // 2 + 1) * 3)
    rolled = np.roll(x.reshape(5, orientations, 3), 2, axis=1).reshape(5, -1)
    np.testing.assert_allclose(fft_magnitude(rolled, orientations), magnitude, atol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(magnitude, axis=1), np.linalg.norm(x, axis=1))


def test_smoothing_is_a_circular_average_and_commutes_with_rolls():
    x = np.zeros((1, N_ORI, N_FEAT))
    x[0, 0, 1] = 1
    smooth = smooth_orientations(x.reshape(1, -1), N_ORI).reshape(N_ORI, N_FEAT)
    np.testing.assert_allclose(smooth[[7, 0, 1], 1], [0.25, 0.5, 0.25])
    assert smooth.sum() == pytest.approx(1)
    y = np.random.default_rng(0).normal(size=(6, N_ORI * N_FEAT))
    by = np.arange(6)
    np.testing.assert_allclose(
        smooth_orientations(roll_each(y, by), N_ORI), roll_each(smooth_orientations(y, N_ORI), by), atol=1e-15
    )
    np.testing.assert_array_equal(smooth_orientations(y, N_ORI, neighbour_weight=0.0), y)


def test_alignment_turns_one_type_together(types):
    x, truth, _ = types
    one = x[truth == 1]
    found = align_rotations(one, N_ORI, rng=np.random.default_rng(0))
    assert found.converged
    spread = found.aligned.var(axis=0).sum() / (found.aligned**2).sum(axis=1).mean()
    before = one.var(axis=0).sum() / (one**2).sum(axis=1).mean()
    assert spread < 0.2 * before
    assert found.temperature == pytest.approx(1.5)


def test_the_gradient_of_the_alignment_is_right():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(6, N_ORI * N_FEAT))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    problem = _AlignmentProblem(
        rolls(x, N_ORI).reshape(6, N_ORI, -1), 2 * np.pi * np.arange(N_ORI) / N_ORI, 1.5
    )
    point = np.append(rng.uniform(0, 6, 6), 1.1)
    assert check_grad(lambda p: problem(p)[0], lambda p: problem(p)[1], point) < 1e-6


def test_the_alignment_objective_is_the_formula_written_out():
    rng = np.random.default_rng(1)
    x = rng.normal(size=(5, N_ORI * N_FEAT))
    x /= np.linalg.norm(x, axis=1, keepdims=True)
    angles, temperature = rng.uniform(0, 6, 5), 0.8
    grid = 2 * np.pi * np.arange(N_ORI) / N_ORI
    value, _ = _AlignmentProblem(rolls(x, N_ORI).reshape(5, N_ORI, -1), grid, 1.5)(
        np.append(angles, temperature)
    )

    def turned(row, angle):
        weights = np.exp(temperature * np.cos(grid - angle))
        weights /= weights.sum()
        return sum(w * np.roll(row.reshape(N_ORI, N_FEAT), i, axis=0).ravel() for i, w in enumerate(weights))

    aligned = [turned(row, angle) for row, angle in zip(x, angles, strict=True)]
    pairs = np.mean([((a - b) ** 2).sum() for a in aligned for b in aligned])
    blur = np.mean([((turned(row, 0.0) - row) ** 2).sum() for row in x])
    assert value == pytest.approx(pairs + 1.5 * blur)


@pytest.mark.parametrize("function", [fft_magnitude, smooth_orientations])
def test_features_must_divide_into_orientations(function):
    with pytest.raises(
        InputError, match="n_orientations = 5 should divide the number of features, which is 32"
    ):
        function(np.ones((2, 32)), 5)
    with pytest.raises(InputError, match="should divide"):
        align_rotations(np.ones((2, 32)), 5, rng=np.random.default_rng(0))


def test_smoothing_weights_are_bounded():
    with pytest.raises(InputError, match=r"between 0 and 0\.5"):
        smooth_orientations(np.ones((2, 32)), N_ORI, neighbour_weight=0.6)
