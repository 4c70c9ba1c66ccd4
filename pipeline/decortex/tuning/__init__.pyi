from .config import TUNING_VERSION, TuningConfig
from .discriminative import (
    DiscriminativeConfig,
    DiscriminativeStimuli,
    aligned_features,
    discriminative_stimuli,
)
from .experiment import TuningResult, measure_tuning
from .fields import LinearFields, linear_fields, separate
from .indices import (
    CIRCLES,
    INDICES,
    GratingIndices,
    TuningIndices,
    grating_indices,
    sign_index,
    size_indices,
)
from .stimuli import angles_of, discs, gratings, periods_of, radii_of

__all__ = [
    "CIRCLES",
    "INDICES",
    "TUNING_VERSION",
    "DiscriminativeConfig",
    "DiscriminativeStimuli",
    "GratingIndices",
    "LinearFields",
    "TuningConfig",
    "TuningIndices",
    "TuningResult",
    "aligned_features",
    "angles_of",
    "discriminative_stimuli",
    "discs",
    "grating_indices",
    "gratings",
    "linear_fields",
    "measure_tuning",
    "periods_of",
    "radii_of",
    "separate",
    "sign_index",
    "size_indices",
]
