"""What each cluster's neurons answer to most: an optimised stimulus, and the best of those that were shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.figures.style import SMALL, TWO_COLUMNS, beside, inches, new_figure

_MOST = 12  # clusters that print has room for


def cluster_stimuli(
    optimised: NDArray[np.floating],
    shown: NDArray[np.floating],
    clusters: Sequence[int],
    *,
    title: str = "",
    width: float | None = None,
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
    width : float, optional
        Millimetres; print takes 89 (one column) or 183 (two, the default).

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
    size = inches(width, TWO_COLUMNS)
    # Clusters that do not fit beside each other stand in a block below.
    across = beside(size, n, each=0.58)
    blocks = -(-n // across)
    figure = new_figure(size, 0.5 + 0.62 * rows * blocks, title)
    axes = figure.subplots(rows * blocks, across, squeeze=False)
    for one in axes.ravel():
        one.set_xticks([])
        one.set_yticks([])
    for place in range(n):
        top, column = rows * (place // across), place % across
        images = [optimised[place, -1], *shown[place, :, -1]]
        for row, image in enumerate(images):
            limit = float(np.abs(image).max()) or 1.0
            axes[top + row, column].imshow(
                image, cmap="gray", vmin=-limit, vmax=limit, interpolation="nearest"
            )
        axes[top, column].set_title(f"cluster {clusters[place]}", fontsize=SMALL)
        if column == 0:
            axes[top, 0].set_ylabel("optimised", fontsize=SMALL)
            for rank in range(1, rows):
                axes[top + rank, 0].set_ylabel(f"shown {rank}", fontsize=SMALL)
    for spare in range(n, across * blocks):
        for row in range(rows):
            axes[rows * (spare // across) + row, spare % across].set_axis_off()
    return figure
