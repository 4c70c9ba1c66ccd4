"""Linear fields and discriminative stimuli of networks whose filters are known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decortex.errors import InputError
from decortex.models import Network
from decortex.tuning import (
    DiscriminativeConfig,
    aligned_features,
    discriminative_stimuli,
    linear_fields,
    separate,
)

from .conftest import KERNEL, SIDE, BuildNetwork, centre_surround, gabor

FAST = DiscriminativeConfig(n_steps=40, n_starts=4)  # a rectified filter answers to half of them


def in_the_middle(kernel: np.ndarray) -> np.ndarray:
    field = np.zeros((SIDE, SIDE))
    first = (SIDE - KERNEL) // 2
    field[first : first + KERNEL, first : first + KERNEL] = kernel
    return field


@pytest.fixture
def three(network_of: BuildNetwork) -> Network:
    """Three filters, two neurons each, which answer to them and nothing else."""
    filters = np.stack([gabor(0.0), gabor(0.0, angle=2.0), centre_surround()])
    return network_of(filters, np.repeat(np.eye(3), 2, axis=0))


def test_the_field_of_an_open_rectifier_is_its_filter(network_of: BuildNetwork) -> None:
    """At the pixels that it reads, in the recordings' unit per standard deviation of a pixel."""
    kernel = gabor(0.7)
    network = network_of(np.stack([kernel, -kernel]), np.array([[3.0, -3.0], [1.0, -1.0], [0.0, 0.0]]))
    (convolution,) = [one for one in network.core.modules() if isinstance(one, torch.nn.Conv2d)]
    convolution.bias = torch.nn.Parameter(torch.full((2,), 0.1))  # both rectifiers are open at grey
    found = linear_fields(network)
    expected = in_the_middle(kernel)
    np.testing.assert_allclose(found.spatial[0], expected, atol=1e-5)
    assert found.temporal[0, 0] == pytest.approx(6.0, rel=1e-5)  # two open halves of 3 each
    assert found.temporal[1, 0] == pytest.approx(2.0, rel=1e-5)
    np.testing.assert_allclose(found.separable[:2], 1.0)
    assert np.isnan(found.separable[2])
    np.testing.assert_array_equal(found.temporal[2], 0.0)


def test_space_and_time_are_separated() -> None:
    rng = np.random.default_rng(0)
    time, space = rng.normal(size=5), rng.normal(size=(4, 6))
    space /= np.linalg.norm(space)
    product = np.einsum("t,ij->tij", time, space).astype(np.float32)
    moving = product + np.einsum("t,ij->tij", rng.normal(size=5), rng.normal(size=(4, 6))).astype(np.float32)
    found = separate(np.stack([product, moving]))
    sign = np.sign(time[np.abs(time).argmax()])
    np.testing.assert_allclose(found.temporal[0], sign * time, atol=1e-5)
    np.testing.assert_allclose(found.spatial[0], sign * space, atol=1e-5)
    assert found.separable[0] == pytest.approx(1.0)
    assert found.separable[1] < 0.99


def test_each_cluster_gets_the_stimulus_that_drives_it_alone(three: Network) -> None:
    labels = np.array([0, 0, 1, 1, 2, 2])
    found = discriminative_stimuli(three, labels, config=FAST)
    assert found.stimuli.shape == (3, 1, SIDE, SIDE)
    assert found.n_discriminated == 3
    assert (found.stimuli.std(axis=(1, 2, 3), ddof=1) <= 1.0001).all()
    for stimulus, kernel in zip(
        found.stimuli[:, 0], (gabor(0.0), gabor(0.0, angle=2.0), centre_surround()), strict=True
    ):
        field = in_the_middle(kernel)
        assert (stimulus * field).sum() / np.linalg.norm(stimulus) > 0.4  # of noise: 0, s.d. 0.04
    again = discriminative_stimuli(three, labels, config=FAST)
    np.testing.assert_array_equal(found.stimuli, again.stimuli)


def test_clusters_of_the_same_neurons_cannot_be_told_apart(three: Network) -> None:
    found = discriminative_stimuli(three, np.array([0, 1, 0, 1, 0, 1]), config=FAST)
    assert abs(found.confusion[0, 0] - found.confusion[0, 1]) < 1e-5
    assert (np.abs(found.objective) < 1e-5).all()


def test_the_confusion_matrix_is_the_mean_response(three: Network) -> None:
    """Written out: neurons read at the middle, above grey, in standard deviations over noise."""
    labels = np.array([0, 0, 1, 1, -1, -1])
    found = discriminative_stimuli(three, labels, config=FAST)
    shown = torch.from_numpy(found.stimuli) * three.pixel_std + three.pixel_mean
    rng = np.random.default_rng([0, 6])
    noise = torch.from_numpy(rng.standard_normal((200, 1, SIDE, SIDE)).astype(np.float32))
    noise = noise * three.pixel_std + three.pixel_mean
    with torch.no_grad():
        answers, spread = (
            torch.cat([three(images, name) for name in three.session_names], dim=1)
            for images in (shown, noise)
        )
    scaled = (answers / spread.std(dim=0)).numpy()
    expected = [[scaled[k][labels == c].mean() for c in (0, 1)] for k in (0, 1)]
    np.testing.assert_allclose(found.confusion, expected, rtol=1e-4)


def test_a_plain_core_has_nothing_to_align(three: Network) -> None:
    np.testing.assert_array_equal(aligned_features(three, seed=0), np.repeat(np.eye(3), 2, axis=0))


@pytest.mark.parametrize(
    ("labels", "message"),
    [(np.zeros(5, dtype=int), "cluster of each of 6 neurons"), (np.zeros(6, dtype=int), "at least two")],
)
def test_labels_that_do_not_belong_are_refused(three: Network, labels: np.ndarray, message: str) -> None:
    with pytest.raises(InputError, match=message):
        discriminative_stimuli(three, labels)
