from .database.deletions import Deletion
from .database.environment.provenance import Environment, SchemaVersion, UpgradeStep
from .database.schema import schema
from .database.session import connect
from .database.work.leases import WorkerLease
from .tables.clustering import Clustering
from .tables.datasets.datasets import Dataset
from .tables.datasets.label_sets import LabelSet, register_true_types
from .tables.embeddings import Embedding
from .tables.evaluation.adjusted import AdjustedPValue, GridAssociation
from .tables.evaluation.agreement.communities import (
    CoAssociation,
    CommunityRequest,
    PooledCoAssociation,
    request_communities,
)
from .tables.evaluation.agreement.cross_agreement import MethodAgreement, ModelAgreement
from .tables.evaluation.agreement.geometry import GeometryAgreement
from .tables.evaluation.agreement.labels import LabelAgreement, LabelDecoding
from .tables.evaluation.agreement.seed_agreement import SeedAgreement
from .tables.evaluation.agreement.shared_labelling import (
    SharedLabelling,
    SharedLabellingRequest,
    request_shared_labelling,
)
from .tables.evaluation.agreement.stability import ConsensusPartition, SubsampleStability
from .tables.evaluation.association import ClusterAssociation
from .tables.evaluation.carried import CarriedPartition
from .tables.evaluation.confounds import ClusterConfound
from .tables.evaluation.finetune_null import FinetunedNull
from .tables.evaluation.number.joint_nulls import AgreementNullRequest, SeedNullFit, request_agreement_null
from .tables.evaluation.number.k_criteria import KCriteria, NullFit
from .tables.evaluation.number.k_selection import KChoice, KSelection, record_choice
from .tables.evaluation.number.types import TypeCount
from .tables.evaluation.number.types_or_axes import AxesSpec, TypesOrAxes
from .tables.evaluation.quality import ClusterPerformance, ClusterQuality
from .tables.evaluation.retained import RetainedPerformance
from .tables.evaluation.scored import RecordingSummary
from .tables.evaluation.table_scores import TableScore, TableScoreAssociation
from .tables.finetuning import ContinuedTraining, DECFinetune
from .tables.networks.network_states import NetworkState
from .tables.networks.networks import ModelTask, TrainedModel
from .tables.networks.null_networks import NullDataset, NullRecordings, NullStudy
from .tables.networks.performance import Performance
from .tables.specs import (
    ClusterCount,
    ClusteringMethod,
    CovariateSet,
    EmbeddingSpec,
    FinetuneSpec,
    Metric,
    ModelSpec,
    NullModel,
    Seed,
    SplitSpec,
    Tier,
    TrainingSchedule,
)
from .tables.studies.frozen import FrozenStudy, freeze_study
from .tables.studies.studies import StateStudy, Study, StudyPlan, declare_study
from .tables.studies.study_tags import StudyTag
from .tables.subsamples import SubsampleClustering
from .tables.tuning import ClusterStimuli, InSilicoTuning, StimuliRequest, TuningRequest, TuningSpec
from .tables.views import EmbeddingView, ViewRequest, ViewSpec, request_view

__all__ = [
    "AdjustedPValue",
    "AgreementNullRequest",
    "AxesSpec",
    "CarriedPartition",
    "ClusterAssociation",
    "ClusterConfound",
    "ClusterCount",
    "ClusterPerformance",
    "ClusterQuality",
    "ClusterStimuli",
    "Clustering",
    "ClusteringMethod",
    "CoAssociation",
    "CommunityRequest",
    "ConsensusPartition",
    "ContinuedTraining",
    "CovariateSet",
    "DECFinetune",
    "Dataset",
    "Deletion",
    "Embedding",
    "EmbeddingSpec",
    "EmbeddingView",
    "Environment",
    "FinetuneSpec",
    "FinetunedNull",
    "FrozenStudy",
    "GeometryAgreement",
    "GridAssociation",
    "InSilicoTuning",
    "KChoice",
    "KCriteria",
    "KSelection",
    "LabelAgreement",
    "LabelDecoding",
    "LabelSet",
    "MethodAgreement",
    "Metric",
    "ModelAgreement",
    "ModelSpec",
    "ModelTask",
    "NetworkState",
    "NullDataset",
    "NullFit",
    "NullModel",
    "NullRecordings",
    "NullStudy",
    "Performance",
    "PooledCoAssociation",
    "RecordingSummary",
    "RetainedPerformance",
    "SchemaVersion",
    "Seed",
    "SeedAgreement",
    "SeedNullFit",
    "SharedLabelling",
    "SharedLabellingRequest",
    "SplitSpec",
    "StateStudy",
    "StimuliRequest",
    "Study",
    "StudyPlan",
    "StudyTag",
    "SubsampleClustering",
    "SubsampleStability",
    "TableScore",
    "TableScoreAssociation",
    "Tier",
    "TrainedModel",
    "TrainingSchedule",
    "TuningRequest",
    "TuningSpec",
    "TypeCount",
    "TypesOrAxes",
    "UpgradeStep",
    "ViewRequest",
    "ViewSpec",
    "WorkerLease",
    "connect",
    "declare_study",
    "freeze_study",
    "record_choice",
    "register_true_types",
    "request_agreement_null",
    "request_communities",
    "request_shared_labelling",
    "request_view",
    "schema",
]
