from .cross_agreement import (
    MethodAgreement,
    ModelAgreement,
)
from .labels import (
    LabelAgreement,
    LabelDecoding,
)
from .seed_agreement import (
    SeedAgreement,
)
from .stability import (
    ConsensusPartition,
    SubsampleStability,
)

__all__ = [
    "ConsensusPartition",
    "LabelAgreement",
    "LabelDecoding",
    "MethodAgreement",
    "ModelAgreement",
    "SeedAgreement",
    "SubsampleStability",
]
