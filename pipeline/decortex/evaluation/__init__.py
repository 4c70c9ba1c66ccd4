"""What a network, a partition or a fine-tuning is worth, from arrays alone. No training, no tables."""

from decortex.evaluation.agreement import (
    Agreement,
    MatchedConfusion,
    PairAgreement,
    agreement,
    matched_confusion,
    pairwise_agreement,
)
from decortex.evaluation.association import (
    AssociationResult,
    ClusterSummary,
    associate,
    summarise_clusters,
)
from decortex.evaluation.consensus import Consensus, consensus
from decortex.evaluation.pairwise import PairTest, pairwise_tests
from decortex.evaluation.performance import (
    METRICS,
    Scores,
    Summary,
    concatenate_scores,
    score_neurons,
    summarise,
)
from decortex.evaluation.permutation import within_session_null
from decortex.evaluation.quality import QualityResult, cluster_quality
from decortex.evaluation.retained import RetainedResult, SessionChange, retained_performance
from decortex.evaluation.stability import Stability, draw_subsample, stability

__all__ = [
    "METRICS",
    "Agreement",
    "AssociationResult",
    "ClusterSummary",
    "Consensus",
    "MatchedConfusion",
    "PairAgreement",
    "PairTest",
    "QualityResult",
    "RetainedResult",
    "Scores",
    "SessionChange",
    "Stability",
    "Summary",
    "agreement",
    "associate",
    "cluster_quality",
    "concatenate_scores",
    "consensus",
    "draw_subsample",
    "matched_confusion",
    "pairwise_agreement",
    "pairwise_tests",
    "retained_performance",
    "score_neurons",
    "stability",
    "summarise",
    "summarise_clusters",
    "within_session_null",
]
