from .cluster_responses import aligned_features
from .config import TUNING_VERSION, TuningConfig
from .discriminative import DiscriminativeConfig, DiscriminativeStimuli, discriminative_stimuli
from .exciting import ExcitingConfig, ExcitingStimuli, ShownStimuli, exciting_among, exciting_stimuli
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
    "ExcitingConfig",
    "ExcitingStimuli",
    "GratingIndices",
    "LinearFields",
    "ShownStimuli",
    "TuningConfig",
    "TuningIndices",
    "TuningResult",
    "aligned_features",
    "angles_of",
    "discriminative_stimuli",
    "discs",
    "exciting_among",
    "exciting_stimuli",
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
