from .config import ROTATION_KINDS, FinetuneConfig
from .losses.diagnostics import Diagnostics
from .losses.rotation import RotationStart
from .null import (
    NoiseRule,
    choose_noise,
    draw_null,
    draw_responses,
    null_recordings,
    readout_on_core,
    recorded_dispersion,
    surrogate_network,
)
from .result import ContinuedResult, FinetuneResult
from .run import build_term, continue_training, finetune
from .toy import ToyConfig, ToyProblem, toy_variants
from .toy_rotation import RotationToyConfig, RotationToyProblem, rotation_toy_variants

__all__ = [
    "ROTATION_KINDS",
    "ContinuedResult",
    "Diagnostics",
    "FinetuneConfig",
    "FinetuneResult",
    "NoiseRule",
    "RotationStart",
    "RotationToyConfig",
    "RotationToyProblem",
    "ToyConfig",
    "ToyProblem",
    "build_term",
    "choose_noise",
    "continue_training",
    "draw_null",
    "draw_responses",
    "finetune",
    "null_recordings",
    "readout_on_core",
    "recorded_dispersion",
    "rotation_toy_variants",
    "surrogate_network",
    "toy_variants",
]
