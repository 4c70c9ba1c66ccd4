from .annihilation import (
    annihilating_step,
    length_penalty,
    living,
)
from .assignment import (
    log_target,
    mean_kl,
    squared_distances,
    student_log_q,
    student_t_log_density,
)
from .base import (
    ClusteringTerm,
    StartPoints,
    ToPoints,
)
from .dec import (
    DECTerm,
    principal_axes,
)
from .december import (
    RESTART_STARTS,
    DECEMberTerm,
    learned_nu,
)
from .diagnostics import (
    Diagnostics,
    diagnose,
)
from .graph.cut import (
    embedded_cut,
)
from .graph.discriminants import (
    local_discriminant,
)
from .graph.neighbours import (
    neighbours_of,
)
from .graph.term import (
    GraphTerm,
)
from .heads import (
    HeadsTerm,
    head_starts,
)
from .mutual import (
    MutualTerm,
    PeerPartition,
    peer_log_target,
)
from .rotations.rotation import (
    RotationStart,
    gauge,
    orbit_distances,
    rolled_by,
    rolls,
)
from .rotations.rotation_dec import (
    RotationDECTerm,
)
from .rotations.rotation_december import (
    RotationDECEMberTerm,
)
from .rotations.tied_mixture import (
    Kept,
    TiedMixture,
    passes_of,
    tied_mixture_scores,
)
from .tell import (
    TELLTerm,
)
from .transport import (
    balanced_log_target,
)

__all__ = [
    "RESTART_STARTS",
    "ClusteringTerm",
    "DECEMberTerm",
    "DECTerm",
    "Diagnostics",
    "GraphTerm",
    "HeadsTerm",
    "Kept",
    "MutualTerm",
    "PeerPartition",
    "RotationDECEMberTerm",
    "RotationDECTerm",
    "RotationStart",
    "StartPoints",
    "TELLTerm",
    "TiedMixture",
    "ToPoints",
    "annihilating_step",
    "balanced_log_target",
    "diagnose",
    "embedded_cut",
    "gauge",
    "head_starts",
    "learned_nu",
    "length_penalty",
    "living",
    "local_discriminant",
    "log_target",
    "mean_kl",
    "neighbours_of",
    "orbit_distances",
    "passes_of",
    "peer_log_target",
    "principal_axes",
    "rolled_by",
    "rolls",
    "squared_distances",
    "student_log_q",
    "student_t_log_density",
    "tied_mixture_scores",
]
