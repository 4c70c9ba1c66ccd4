from .communities import (
    CoAssociation,
    CommunityRequest,
    PooledCoAssociation,
    request_communities,
)
from .cross_agreement import (
    MethodAgreement,
    ModelAgreement,
)
from .geometry import (
    GeometryAgreement,
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
    "CoAssociation",
    "CommunityRequest",
    "ConsensusPartition",
    "GeometryAgreement",
    "LabelAgreement",
    "LabelDecoding",
    "MethodAgreement",
    "ModelAgreement",
    "PooledCoAssociation",
    "SeedAgreement",
    "SharedLabelling",
    "SharedLabellingRequest",
    "SubsampleStability",
    "request_communities",
    "request_shared_labelling",
]
