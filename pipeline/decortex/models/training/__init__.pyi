from .batches import (
    Batch,
    Batches,
    TierBatches,
    shift_images,
)
from .clips import (
    ClipBatches,
)
from .config import (
    TrainingConfig,
)
from .feature_cache import (
    MapMemory,
)
from .freed_memory import (
    freed_memory_kept,
)
from .handover import (
    Handover,
    check_carried,
)
from .history import (
    EpochRecord,
)
from .inputs import (
    tier_batches,
)
from .loop import (
    AuxiliaryTerm,
    TrainingOutcome,
    fit_network,
)
from .resume import (
    RunState,
    StateFile,
    discard_stale,
)
from .steps.averaging import (
    Snapshot,
    WeightAverage,
)
from .steps.optimisation import (
    mean_correlation,
    only_trained,
    prediction_loss,
)
from .steps.penalties import (
    log_norm_penalty,
    penalty,
    roughness,
)

__all__ = [
    "AuxiliaryTerm",
    "Batch",
    "Batches",
    "ClipBatches",
    "EpochRecord",
    "Handover",
    "MapMemory",
    "RunState",
    "Snapshot",
    "StateFile",
    "TierBatches",
    "TrainingConfig",
    "TrainingOutcome",
    "WeightAverage",
    "check_carried",
    "discard_stale",
    "fit_network",
    "freed_memory_kept",
    "log_norm_penalty",
    "mean_correlation",
    "only_trained",
    "penalty",
    "prediction_loss",
    "roughness",
    "shift_images",
    "tier_batches",
]
