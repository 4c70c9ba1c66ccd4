"""Embeddings of neurons: how features out of a network are turned and scaled before they are clustered."""

from decortex.embeddings.alignment import Alignment, align_rotations
from decortex.embeddings.mapping import EmbeddingConfig, EmbeddingMap, Excluded, fit_map
from decortex.embeddings.orientation import fft_magnitude, smooth_orientations
from decortex.embeddings.views import View, ViewConfig, draw_view

__all__ = [
    "Alignment",
    "EmbeddingConfig",
    "EmbeddingMap",
    "Excluded",
    "View",
    "ViewConfig",
    "align_rotations",
    "draw_view",
    "fft_magnitude",
    "fit_map",
    "smooth_orientations",
]
