"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does.

>>> import decortex_schemas as schemas
>>> schemas.connect()                                     # doctest: +SKIP
>>> schemas.Clustering.populate(reserve_jobs=True)        # doctest: +SKIP
"""

import warnings

# decortex takes its settings from the environment; DataJoint's advice to write a file does not apply.
warnings.filterwarnings("ignore", message="No datajoint.json found")

from decortex_schemas.database.deletions import Deletion  # noqa: E402
from decortex_schemas.database.leases import WorkerLease  # noqa: E402
from decortex_schemas.database.provenance import Environment  # noqa: E402
from decortex_schemas.database.schema import connect, schema  # noqa: E402
from decortex_schemas.tables.clustering import Clustering  # noqa: E402
from decortex_schemas.tables.datasets import Dataset  # noqa: E402
from decortex_schemas.tables.embeddings import Embedding  # noqa: E402
from decortex_schemas.tables.evaluation.adjusted import AdjustedPValue, GridAssociation  # noqa: E402
from decortex_schemas.tables.evaluation.association import ClusterAssociation  # noqa: E402
from decortex_schemas.tables.evaluation.confounds import ClusterConfound  # noqa: E402
from decortex_schemas.tables.evaluation.cross_agreement import MethodAgreement, ModelAgreement  # noqa: E402
from decortex_schemas.tables.evaluation.finetune_null import FinetunedNull  # noqa: E402
from decortex_schemas.tables.evaluation.joint_nulls import SeedNullFit  # noqa: E402
from decortex_schemas.tables.evaluation.k_criteria import KCriteria, NullFit  # noqa: E402
from decortex_schemas.tables.evaluation.k_selection import KChoice, KSelection, record_choice  # noqa: E402
from decortex_schemas.tables.evaluation.quality import ClusterPerformance, ClusterQuality  # noqa: E402
from decortex_schemas.tables.evaluation.retained import RetainedPerformance  # noqa: E402
from decortex_schemas.tables.evaluation.scored import RecordingSummary  # noqa: E402
from decortex_schemas.tables.evaluation.seed_agreement import SeedAgreement  # noqa: E402
from decortex_schemas.tables.evaluation.stability import ConsensusPartition, SubsampleStability  # noqa: E402
from decortex_schemas.tables.finetuning import ContinuedTraining, DECFinetune  # noqa: E402
from decortex_schemas.tables.frozen import FrozenStudy, freeze_study  # noqa: E402
from decortex_schemas.tables.networks import ModelTask, Performance, TrainedModel  # noqa: E402
from decortex_schemas.tables.null_networks import NullDataset, NullRecordings, NullStudy  # noqa: E402
from decortex_schemas.tables.specs import (  # noqa: E402
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
from decortex_schemas.tables.studies import Study, StudyPlan, declare_study  # noqa: E402
from decortex_schemas.tables.subsamples import SubsampleClustering  # noqa: E402
from decortex_schemas.tables.views import EmbeddingView, ViewRequest, ViewSpec, request_view  # noqa: E402

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
