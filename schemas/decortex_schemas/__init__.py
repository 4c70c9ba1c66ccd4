"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does.

>>> import decortex_schemas as schemas
>>> schemas.connect()                                     # doctest: +SKIP
>>> schemas.Clustering.populate(reserve_jobs=True)        # doctest: +SKIP
"""

from decortex_schemas.clustering import Clustering
from decortex_schemas.comparison import FrozenStudy, SeedAgreement, freeze_study
from decortex_schemas.database import connect, schema
from decortex_schemas.datasets import Dataset
from decortex_schemas.embeddings import Embedding
from decortex_schemas.evaluation import ClusterPerformance, ClusterQuality, RetainedPerformance
from decortex_schemas.finetune import ContinuedTraining, DECFinetune
from decortex_schemas.leases import WorkerLease
from decortex_schemas.models import ModelTask, Performance, TrainedModel
from decortex_schemas.provenance import Environment
from decortex_schemas.specs import (
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    Metric,
    ModelSpec,
    Seed,
    Tier,
    TrainingSchedule,
)
from decortex_schemas.studies import Study, StudyPlan, declare_study

__all__ = [
    "ClusterCount",
    "ClusterPerformance",
    "ClusterQuality",
    "Clustering",
    "ClusteringMethod",
    "ContinuedTraining",
    "DECFinetune",
    "Dataset",
    "Embedding",
    "EmbeddingSpec",
    "Environment",
    "FinetuneSpec",
    "FrozenStudy",
    "Metric",
    "ModelSpec",
    "ModelTask",
    "Performance",
    "RetainedPerformance",
    "Seed",
    "SeedAgreement",
    "Study",
    "StudyPlan",
    "Tier",
    "TrainedModel",
    "TrainingSchedule",
    "WorkerLease",
    "connect",
    "declare_study",
    "freeze_study",
    "schema",
]
