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
from .shared_labelling import (
    SharedLabelling,
    SharedLabellingRequest,
    request_shared_labelling,
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
    "SharedLabelling",
    "SharedLabellingRequest",
    "SubsampleStability",
    "request_shared_labelling",
]
