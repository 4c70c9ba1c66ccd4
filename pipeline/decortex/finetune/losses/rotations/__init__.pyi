from .rotation import (
    RotationStart,
    gauge,
    orbit_distances,
    rolled_by,
    rolls,
)
from .rotation_dec import (
    RotationDECTerm,
)
from .rotation_december import (
    RotationDECEMberTerm,
)
from .tied_mixture import (
    Kept,
    TiedMixture,
    passes_of,
    tied_mixture_scores,
)

__all__ = [
    "Kept",
    "RotationDECEMberTerm",
    "RotationDECTerm",
    "RotationStart",
    "TiedMixture",
    "gauge",
    "orbit_distances",
    "passes_of",
    "rolled_by",
    "rolls",
    "tied_mixture_scores",
]
