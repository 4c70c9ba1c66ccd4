from .config import TuningConfig
from .discriminative import (
    DiscriminativeConfig,
    DiscriminativeStimuli,
    aligned_features,
    discriminative_stimuli,
)
from .experiment import TUNING_VERSION, TuningResult, measure_tuning
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
from .stimuli import discs, gratings

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
    "discriminative_stimuli",
    "discs",
    "grating_indices",
    "gratings",
    "linear_fields",
    "measure_tuning",
    "separate",
    "sign_index",
    "size_indices",
]
