"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does.

>>> import decortex_schemas as schemas
>>> schemas.connect()                                     # doctest: +SKIP
>>> schemas.Clustering.populate(reserve_jobs=True)        # doctest: +SKIP
"""

import warnings

# decortex takes its settings from the environment; DataJoint's advice to write a file does not apply.
warnings.filterwarnings("ignore", message="No datajoint.json found")

from decortex_schemas.adjusted import AdjustedPValue, GridAssociation  # noqa: E402
from decortex_schemas.association import ClusterAssociation  # noqa: E402
from decortex_schemas.clustering import Clustering  # noqa: E402
from decortex_schemas.comparison import SeedAgreement  # noqa: E402
from decortex_schemas.confounds import ClusterConfound  # noqa: E402
from decortex_schemas.cross_agreement import MethodAgreement, ModelAgreement  # noqa: E402
from decortex_schemas.database import connect, schema  # noqa: E402
from decortex_schemas.datasets import Dataset  # noqa: E402
from decortex_schemas.deletions import Deletion  # noqa: E402
from decortex_schemas.embeddings import Embedding  # noqa: E402
from decortex_schemas.evaluation import ClusterPerformance, ClusterQuality  # noqa: E402
from decortex_schemas.finetune import ContinuedTraining, DECFinetune  # noqa: E402
from decortex_schemas.frozen import FrozenStudy, freeze_study  # noqa: E402
from decortex_schemas.leases import WorkerLease  # noqa: E402
from decortex_schemas.models import ModelTask, Performance, TrainedModel  # noqa: E402
from decortex_schemas.null_comparison import FinetunedNull  # noqa: E402
from decortex_schemas.null_networks import NullDataset, NullRecordings, NullStudy  # noqa: E402
from decortex_schemas.nulls import KCriteria, NullFit  # noqa: E402
from decortex_schemas.price import RetainedPerformance  # noqa: E402
from decortex_schemas.provenance import Environment  # noqa: E402
from decortex_schemas.scored import RecordingSummary  # noqa: E402
from decortex_schemas.seed_nulls import SeedNullFit  # noqa: E402
from decortex_schemas.selection import KChoice, KSelection, record_choice  # noqa: E402
from decortex_schemas.specs import (  # noqa: E402
    ClusterCount,
    ClusteringMethod,
    CovariateSet,
    EmbeddingSpec,
    FinetuneSpec,
    Metric,
    ModelSpec,
    NullModel,
    Seed,
    Tier,
    TrainingSchedule,
)
from decortex_schemas.stability import ConsensusPartition, SubsampleStability  # noqa: E402
from decortex_schemas.studies import Study, StudyPlan, declare_study  # noqa: E402
from decortex_schemas.subsamples import SubsampleClustering  # noqa: E402
from decortex_schemas.views import EmbeddingView, ViewRequest, ViewSpec, request_view  # noqa: E402

__all__ = [
    "AdjustedPValue",
    "ClusterAssociation",
    "ClusterConfound",
    "ClusterCount",
    "ClusterPerformance",
    "ClusterQuality",
    "Clustering",
    "ClusteringMethod",
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
    "GridAssociation",
    "KChoice",
    "KCriteria",
    "KSelection",
    "MethodAgreement",
    "Metric",
    "ModelAgreement",
    "ModelSpec",
    "ModelTask",
    "NullDataset",
    "NullFit",
    "NullModel",
    "NullRecordings",
    "NullStudy",
    "Performance",
    "RecordingSummary",
    "RetainedPerformance",
    "Seed",
    "SeedAgreement",
    "SeedNullFit",
    "Study",
    "StudyPlan",
    "SubsampleClustering",
    "SubsampleStability",
    "Tier",
    "TrainedModel",
    "TrainingSchedule",
    "ViewRequest",
    "ViewSpec",
    "WorkerLease",
    "connect",
    "declare_study",
    "freeze_study",
    "record_choice",
    "request_view",
    "schema",
]
