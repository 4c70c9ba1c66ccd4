from .adjusted import (
    AdjustedPValue,
    GridAssociation,
)
from .agreement.communities import (
    CoAssociation,
    CommunityRequest,
    PooledCoAssociation,
    request_communities,
)
from .agreement.cross_agreement import (
    MethodAgreement,
    ModelAgreement,
)
from .agreement.geometry import (
    GeometryAgreement,
)
from .agreement.labels import (
    LabelAgreement,
    LabelDecoding,
)
from .agreement.seed_agreement import (
    SeedAgreement,
)
from .agreement.shared_labelling import (
    SharedLabelling,
    SharedLabellingRequest,
    request_shared_labelling,
)
from .agreement.stability import (
    ConsensusPartition,
    SubsampleStability,
)
from .association import (
    ClusterAssociation,
    associated,
)
from .carried import (
    OWN_START,
    CarriedPartition,
)
from .confounds import (
    ClusterConfound,
)
from .finetune_null import (
    MEASURES,
    STATES,
    FinetunedNull,
)
from .number.joint_nulls import (
    SURROGATES,
    AgreementNullRequest,
    SeedNullFit,
    asked_seed_nulls,
    network_groups,
    request_agreement_null,
    requested_seed_nulls,
)
from .number.k_criteria import (
    SELECTION,
    KCriteria,
    NullFit,
    asked_criteria,
    asked_nulls,
)
from .number.k_selection import (
    KChoice,
    KSelection,
    record_choice,
)
from .number.types import (
    TypeCount,
)
from .number.types_or_axes import (
    AxesSpec,
    TypesOrAxes,
    register_axes_spec,
)
from .quality import (
    EVALUATION_SEED,
    MAIN_METRIC,
    MAIN_TIER,
    N_PERMUTATIONS,
    ClusterPerformance,
    ClusterQuality,
    scores_after,
    scores_before,
)
from .retained import (
    RetainedPerformance,
    scores_of_control,
)
from .scored import (
    RecordingSummary,
    animals_of,
    comparison,
)
from .table_scores import (
    TABLE_PERMUTATIONS,
    TableScore,
    TableScoreAssociation,
    insert_table_scores,
    table_associations,
)

__all__ = [
    "EVALUATION_SEED",
    "MAIN_METRIC",
    "MAIN_TIER",
    "MEASURES",
    "N_PERMUTATIONS",
    "OWN_START",
    "SELECTION",
    "STATES",
    "SURROGATES",
    "TABLE_PERMUTATIONS",
    "AdjustedPValue",
    "AgreementNullRequest",
    "AxesSpec",
    "CarriedPartition",
    "ClusterAssociation",
    "ClusterConfound",
    "ClusterPerformance",
    "ClusterQuality",
    "CoAssociation",
    "CommunityRequest",
    "ConsensusPartition",
    "FinetunedNull",
    "GeometryAgreement",
    "GridAssociation",
    "KChoice",
    "KCriteria",
    "KSelection",
    "LabelAgreement",
    "LabelDecoding",
    "MethodAgreement",
    "ModelAgreement",
    "NullFit",
    "PooledCoAssociation",
    "RecordingSummary",
    "RetainedPerformance",
    "SeedAgreement",
    "SeedNullFit",
    "SharedLabelling",
    "SharedLabellingRequest",
    "SubsampleStability",
    "TableScore",
    "TableScoreAssociation",
    "TypeCount",
    "TypesOrAxes",
    "animals_of",
    "asked_criteria",
    "asked_nulls",
    "asked_seed_nulls",
    "associated",
    "comparison",
    "insert_table_scores",
    "network_groups",
    "record_choice",
    "register_axes_spec",
    "request_agreement_null",
    "request_communities",
    "request_shared_labelling",
    "requested_seed_nulls",
    "scores_after",
    "scores_before",
    "scores_of_control",
    "table_associations",
]
