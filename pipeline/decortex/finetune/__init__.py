"""Fine-tuning of the network by a clustering loss, its control and its diagnostics."""

from decortex.finetune.config import FinetuneConfig
from decortex.finetune.losses.diagnostics import Diagnostics
from decortex.finetune.losses.rotation import RotationStart
from decortex.finetune.result import ContinuedResult, FinetuneResult
from decortex.finetune.run import continue_training, finetune

__all__ = [
    "ContinuedResult",
    "Diagnostics",
    "FinetuneConfig",
    "FinetuneResult",
    "RotationStart",
    "continue_training",
    "finetune",
]
