"""The kernels on a real, wide embedding: the published one is flat there, the others are not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from decortex.clustering import fit
from decortex.finetune import FinetuneConfig, build_term
from decortex.finetune.losses import StartPoints
from decortex.models.checkpoints import read_checkpoint

pytestmark = pytest.mark.real_data


@pytest.fixture(scope="module")
def start(shared_data):
    found = read_checkpoint(shared_data / "mouse_v1_sensorium" / "sensorium_sota_model.pth")
    points = np.asarray(found.embedding, dtype=np.float32)
    assert points.shape == (7776, 64)
    labels = fit(points, "kmeans", n_clusters=20, seed=0, n_init=1).labels
    return StartPoints(torch.as_tensor(points), torch.as_tensor(labels.astype(np.int64)), 20)


@pytest.mark.parametrize(
    ("params", "mean_max_q", "is_flat"),
    [
        ({"kind": "dec", "kernel": "published"}, 0.061, True),
        ({"kind": "dec", "kernel": "scaled"}, 0.85, False),
        ({"kind": "dec", "kernel": "pca10"}, 0.56, False),
        ({"kind": "december"}, 0.87, False),
    ],
)
def test_the_published_kernel_is_flat_on_mouse_v1(start, params, mean_max_q, is_flat):
    term = build_term(lambda weights: weights, start, FinetuneConfig(**params))
    # k-means itself ends elsewhere from another start: a tenth covers that.
    assert term.start.mean_max_q == pytest.approx(mean_max_q, rel=0.1)
    assert term.start.is_flat is is_flat
    assert not term.start.is_collapsed(term.start)
