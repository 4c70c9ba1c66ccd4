from .alignment import Alignment, align_rotations
from .config import EmbeddingConfig
from .mapping import EmbeddingMap, Excluded, fit_map
from .orientation import fft_magnitude, smooth_orientations
from .views import ALGORITHM_VERSION, QUALITY_NEIGHBOURS, View, ViewConfig, draw_view

__all__ = [
    "ALGORITHM_VERSION",
    "QUALITY_NEIGHBOURS",
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
