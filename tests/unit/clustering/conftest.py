"""Fixtures of the clustering tests: digits as the papers scale them, and reference implementations."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linear_sum_assignment
from sklearn.datasets import load_digits
from sklearn.metrics import confusion_matrix


@pytest.fixture(scope="session")
def digits():
    """Digits of scikit-learn, (1797, 64) in [0, 1], and their classes."""
    data = load_digits()
    return data.data / 16, data.target


@pytest.fixture(scope="session")
def accuracy():
    """Clustering accuracy under the best matching of clusters to classes."""

    def of(truth, labels):
        table = confusion_matrix(truth, labels)
        rows, columns = linear_sum_assignment(-table)
        return table[rows, columns].sum() / len(truth)

    return of


@pytest.fixture
def blobs():
    """Make separated blobs: (n, d) neurons and their truth."""

    def make(n, d, k, *, spread=0.3, seed=0):
        rng = np.random.default_rng(seed)
        truth = rng.integers(k, size=n)
        return rng.normal(size=(k, d))[truth] * 2 + spread * rng.normal(size=(n, d)), truth

    return make
