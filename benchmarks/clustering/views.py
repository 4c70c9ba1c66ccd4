"""What a view costs and what it keeps, on neurons with types and on neurons without any.

Run: python benchmarks/clustering/views.py [--neurons 2000 7000] [--kinds pca tsne umap]; one JSON object per line.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.metrics import silhouette_score

from decortex.embeddings import ViewConfig, draw_view

N_FEATURES = 32
N_TYPES = 8
SEPARATION = 5.0  # distance of a centre from the origin, in standard deviations of a feature


def neurons(n: int, *, types: bool, seed: int = 0) -> NDArray[np.float64]:
    """Draw one Gaussian cloud, or eight of them about centres on axes of their own."""
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(n, N_FEATURES))
    if types:
        x += SEPARATION * np.eye(N_FEATURES)[rng.integers(N_TYPES, size=n)]
    return x


def silhouette(x: NDArray[np.floating]) -> float:
    """Mean silhouette of k-means at the number of types, on at most 2,000 neurons."""
    labels = KMeans(N_TYPES, n_init=5, random_state=0).fit_predict(x)
    return float(silhouette_score(x, labels, sample_size=min(len(x), 2000), random_state=0))


def main() -> None:
    """Print one line a size, kind and population."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--neurons", type=int, nargs="+", default=[2000])
    parser.add_argument("--kinds", nargs="+", default=["pca", "tsne"])
    words = parser.parse_args()
    for n in words.neurons:
        for types in (True, False):
            x = neurons(n, types=types)
            for kind in words.kinds:
                began = time.process_time()
                view = draw_view(x, ViewConfig(kind=kind), seed=0)
                line = {
                    "neurons": n,
                    "types": N_TYPES if types else 0,
                    "kind": kind,
                    "cpu_seconds": round(time.process_time() - began, 1),
                    "neighbours_kept": round(view.neighbours_kept, 3),
                    "distance_spearman": round(view.distance_spearman or 0.0, 3),
                    "silhouette_embedding": round(silhouette(x), 3),
                    "silhouette_view": round(silhouette(view.points), 3),
                }
                print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
