from .config import ROTATION_KINDS, FinetuneConfig
from .losses.diagnostics import Diagnostics
from .losses.mutual import PeerPartition
from .losses.rotations.rotation import RotationStart
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
from .result import ContinuedResult, FinetuneResult, HeadResult
from .run import continue_training, finetune
from .states import (
    OWN_LABELS,
    STATES,
    State,
    StateComparison,
    StatePartition,
    carry_partition,
    cluster_state,
    compare_states,
    embed,
)
from .terms import build_term
from .toy import ToyConfig, ToyProblem, dying_toy_variants, further_toy_variants, toy_variants
from .toy_rotation import RotationToyConfig, RotationToyProblem, rotation_toy_variants

__all__ = [
    "OWN_LABELS",
    "ROTATION_KINDS",
    "STATES",
    "ContinuedResult",
    "Diagnostics",
    "FinetuneConfig",
    "FinetuneResult",
    "HeadResult",
    "NoiseRule",
    "PeerPartition",
    "RotationStart",
    "RotationToyConfig",
    "RotationToyProblem",
    "State",
    "StateComparison",
    "StatePartition",
    "ToyConfig",
    "ToyProblem",
    "build_term",
    "carry_partition",
    "choose_noise",
    "cluster_state",
    "compare_states",
    "continue_training",
    "draw_null",
    "draw_responses",
    "dying_toy_variants",
    "embed",
    "finetune",
    "further_toy_variants",
    "null_recordings",
    "readout_on_core",
    "recorded_dispersion",
    "rotation_toy_variants",
    "surrogate_network",
    "toy_variants",
]
