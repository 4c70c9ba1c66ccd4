from .base import (
    GridPredictorConfig,
    ReadoutConfig,
)
from .build import (
    Readout,
    build_readout,
)
from .point import (
    GaussianReadout,
)
from .shifter import (
    ShifterConfig,
    build_shifter,
    with_pupil,
)

__all__ = [
    "GaussianReadout",
    "GridPredictorConfig",
    "Readout",
    "ReadoutConfig",
    "ShifterConfig",
    "build_readout",
    "build_shifter",
    "with_pupil",
]
