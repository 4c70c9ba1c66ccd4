"""What tests of FileTreeDataset folders do to their files, and how they compare recordings."""

from collections.abc import Callable
from pathlib import Path

import numpy as np

from decortex.data import Recordings


def every(n: int) -> np.ndarray:
    return np.arange(n)


def assert_same(one: Recordings, other: Recordings) -> None:
    assert one.image_shape == other.image_shape
    assert one.neuron_order_sha256 == other.neuron_order_sha256
    for left, right in zip(one.sessions, other.sessions, strict=True):
        assert left.name == right.name
        for key in ("images", "responses"):
            left_values, right_values = (getattr(s, key).read(every(s.n_trials)) for s in (left, right))
            assert left_values.dtype == right_values.dtype == np.float32
            np.testing.assert_array_equal(left_values, right_values)
        np.testing.assert_array_equal(left.tiers, right.tiers)
        np.testing.assert_array_equal(left.image_ids, right.image_ids)
        assert left.neurons.to_dict("list") == right.neurons.to_dict("list")


def rewrite(path: Path, change: Callable[[np.ndarray], np.ndarray]) -> None:
    np.save(path, change(np.load(path)))
