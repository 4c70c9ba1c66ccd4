from .averaging import (
    Snapshot,
    WeightAverage,
)
from .optimisation import (
    build_optimiser,
    build_schedule,
    mean_correlation,
    only_trained,
    own_randomness,
    prediction_loss,
)
from .penalties import (
    log_norm_penalty,
    penalty,
    roughness,
)

__all__ = [
    "Snapshot",
    "WeightAverage",
    "build_optimiser",
    "build_schedule",
    "log_norm_penalty",
    "mean_correlation",
    "only_trained",
    "own_randomness",
    "penalty",
    "prediction_loss",
    "roughness",
]
