"""Most exciting stimuli of networks whose filters are known: the filter itself, and the image that holds it."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from decortex.data import InMemoryTrials, Recordings, Session
from decortex.errors import InputError
from decortex.tuning import ExcitingConfig, exciting_among, exciting_stimuli

from .conftest import KERNEL, SIDE, BuildNetwork, centre_surround, gabor

FILTERS = np.stack([gabor(0.0), gabor(0.0, angle=2.0), centre_surround()])
FEATURES = np.repeat(np.eye(3), 4, axis=0)
LABELS = np.repeat(np.arange(3), 4)


def at_the_middle(kernel: np.ndarray) -> np.ndarray:
    image = np.zeros((SIDE, SIDE))
    begin = (SIDE - KERNEL) // 2
    image[begin : begin + KERNEL, begin : begin + KERNEL] = kernel
    return (image - image.mean()) / image.std()


def test_the_most_exciting_image_of_a_linear_neuron_is_its_filter(network_of: BuildNetwork) -> None:
    found = exciting_stimuli(network_of(FILTERS, FEATURES), LABELS, device="cpu")
    assert found.stimuli.shape == (3, 1, SIDE, SIDE)
    for own, kernel in zip(found.stimuli[:, 0], FILTERS, strict=True):
        assert np.corrcoef(own.ravel(), at_the_middle(kernel).ravel())[0, 1] > 0.95
    assert (found.responses.argmax(axis=1) == np.arange(3)).all()


def test_the_contrast_is_bounded_and_used(network_of: BuildNetwork) -> None:
    found = exciting_stimuli(
        network_of(FILTERS, FEATURES), LABELS, config=ExcitingConfig(contrast=0.5), device="cpu"
    )
    np.testing.assert_allclose(found.stimuli.std(axis=(1, 2, 3), ddof=1), 0.5, rtol=1e-3)
    np.testing.assert_allclose(found.stimuli.mean(axis=(1, 2, 3)), 0, atol=1e-5)


def test_no_noise_image_of_its_contrast_drives_a_cluster_as_much(network_of: BuildNetwork) -> None:
    network = network_of(FILTERS, FEATURES)
    best = exciting_stimuli(network, LABELS, device="cpu").stimuli[:, 0]
    noise = np.random.default_rng(0).standard_normal((200, SIDE, SIDE))
    noise = (noise - noise.mean(axis=(1, 2), keepdims=True)) / noise.std(axis=(1, 2), keepdims=True)
    middle = slice((SIDE - KERNEL) // 2, (SIDE + KERNEL) // 2)
    for image, kernel in zip(best, FILTERS, strict=True):
        assert (image[middle, middle] * kernel).sum() > (noise[:, middle, middle] * kernel).sum((1, 2)).max()


def test_equal_seeds_give_equal_stimuli_and_the_network_is_left_as_it_was(network_of: BuildNetwork) -> None:
    network = network_of(FILTERS, FEATURES).train()
    first, second = (exciting_stimuli(network, LABELS, seed=3, device="cpu").stimuli for _ in range(2))
    np.testing.assert_array_equal(first, second)
    assert network.training
    with pytest.raises(InputError, match="of each of 12 neurons"):
        exciting_stimuli(network, LABELS[:5], device="cpu")


def shown(images: np.ndarray) -> Recordings:
    """Recordings whose test trials show images, each twice, in both sessions of the network."""
    sessions = []
    for name in ("a", "b"):
        pixels = np.concatenate([images, images])[:, None].astype(np.float32)
        n = len(pixels)
        neurons = pd.DataFrame(
            {"session": name, "unit_id": range(6), "animal": name, "scan": 0, "area": "V1"}
        )
        sessions.append(
            Session(
                name=name,
                images=InMemoryTrials(pixels),
                responses=InMemoryTrials(np.ones((n, 6), dtype=np.float32)),
                tiers=np.array(["test"] * n),
                image_ids=np.tile(np.arange(len(images)), 2),
                neurons=neurons,
            )
        )
    return Recordings(sessions, (1, SIDE, SIDE), "0" * 64)


def test_the_image_that_holds_the_filter_is_found_among_those_shown(network_of: BuildNetwork) -> None:
    rng = np.random.default_rng(1)
    noise = rng.standard_normal((20, SIDE, SIDE))
    own = np.stack([at_the_middle(kernel) for kernel in FILTERS])
    images = 110 + 40 * np.concatenate([noise[:10], own, noise[10:]])
    network = network_of(FILTERS, FEATURES)
    found = exciting_among(network, LABELS, shown(images), n_shown=4, device="cpu")
    assert found.stimuli.shape == (3, 4, 1, SIDE, SIDE)
    for place in range(3):
        np.testing.assert_allclose(found.stimuli[place, 0, 0], own[place], atol=1e-4)
        assert list(found.responses[place]) == sorted(found.responses[place], reverse=True)
        distinct = {one.tobytes() for one in found.stimuli[place]}
        assert len(distinct) == 4, "an image that was shown twice counts once"
    none = exciting_among(network, LABELS, shown(images), tier="train", device="cpu")
    assert none.stimuli.shape == (3, 0, 1, SIDE, SIDE)
