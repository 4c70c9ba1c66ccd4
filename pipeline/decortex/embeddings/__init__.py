"""Embeddings of neurons: how features out of a network are turned and scaled before they are clustered."""

from decortex.embeddings.alignment import Alignment, align_rotations
from decortex.embeddings.mapping import EmbeddingConfig, EmbeddingMap, Excluded, fit_map
from decortex.embeddings.orientation import fft_magnitude, smooth_orientations

__all__ = [
    "Alignment",
    "EmbeddingConfig",
    "EmbeddingMap",
    "Excluded",
    "align_rotations",
    "fft_magnitude",
    "fit_map",
    "smooth_orientations",
]
