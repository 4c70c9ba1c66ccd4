"""What each cluster's neurons answer to most: an optimised stimulus, and the best of those that were shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.figures.style import NORMAL, SMALL, TWO_COLUMNS, new_figure

_MOST = 12  # clusters that print has room for


def cluster_stimuli(
    optimised: NDArray[np.floating],
    shown: NDArray[np.floating],
    clusters: Sequence[int],
    *,
    title: str = "",
) -> Figure:
    """Draw a column of images per cluster, grey at the mean of the training images.

    Parameters
    ----------
    optimised : ndarray, shape (n_clusters, n_frames, height, width)
        Most exciting stimuli; of clips the last frame is drawn.
    shown : ndarray, shape (n_clusters, n_shown, n_frames, height, width)
        The best of the test stimuli; n_shown may be 0.
    clusters : sequence of int
        Their numbers.
    title : str
        Which partition this is.

    Returns
    -------
    Figure
        At most twelve clusters.

    Raises
    ------
    InputError
        If there is no cluster, or the arrays are of different clusters.
    """
    if not len(clusters) or not len(clusters) == len(optimised) == len(shown):
        raise InputError(
            f"stimuli of {len(clusters)} clusters were expected, got {len(optimised)} optimised and {len(shown)} shown."
        )
    n, rows = min(len(clusters), _MOST), 1 + shown.shape[1]
    figure = new_figure(TWO_COLUMNS, 0.5 + 0.62 * rows, title)
    axes = figure.subplots(rows, n, squeeze=False)
    for place in range(n):
        images = [optimised[place, -1], *shown[place, :, -1]]
        for row, image in enumerate(images):
            limit = float(np.abs(image).max()) or 1.0
            one = axes[row, place]
            one.imshow(image, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest")
            one.set_xticks([])
            one.set_yticks([])
        axes[0, place].set_title(f"cluster {clusters[place]}", fontsize=SMALL)
    axes[0, 0].set_ylabel("optimised", fontsize=NORMAL)
    for rank in range(1, rows):
        axes[rank, 0].set_ylabel(f"shown {rank}", fontsize=SMALL)
    return figure
