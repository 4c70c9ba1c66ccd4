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
from decortex.evaluation.choose_k import KSelection, RawFeatures, choose_k, draw_surrogate, refits
from decortex.evaluation.consensus import Consensus, consensus
from decortex.evaluation.k_choices import CRITERIA, Excess, KDecision, Support, decide_k, exceeds, excess
from decortex.evaluation.k_config import CriterionValue, SelectionConfig
from decortex.evaluation.k_criteria import CountCriteria, count_criteria, partition_figures
from decortex.evaluation.nulls import NULL_KINDS, NullKind, surrogate, surrogate_embedding
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
from decortex.evaluation.subsamples import Clusterer, SubsampleStability, subsample_stability
from decortex.evaluation.valleys import PairValley, Valleys, density_valleys

__all__ = [
    "CRITERIA",
    "METRICS",
    "NULL_KINDS",
    "Agreement",
    "AssociationResult",
    "ClusterSummary",
    "Clusterer",
    "Consensus",
    "CountCriteria",
    "CriterionValue",
    "Excess",
    "KDecision",
    "KSelection",
    "MatchedConfusion",
    "NullKind",
    "PairAgreement",
    "PairTest",
    "PairValley",
    "QualityResult",
    "RawFeatures",
    "RetainedResult",
    "Scores",
    "SelectionConfig",
    "SessionChange",
    "Stability",
    "SubsampleStability",
    "Summary",
    "Support",
    "Valleys",
    "agreement",
    "associate",
    "choose_k",
    "cluster_quality",
    "concatenate_scores",
    "consensus",
    "count_criteria",
    "decide_k",
    "density_valleys",
    "draw_subsample",
    "draw_surrogate",
    "exceeds",
    "excess",
    "matched_confusion",
    "pairwise_agreement",
    "pairwise_tests",
    "partition_figures",
    "refits",
    "retained_performance",
    "score_neurons",
    "stability",
    "subsample_stability",
    "summarise",
    "summarise_clusters",
    "surrogate",
    "surrogate_embedding",
    "within_session_null",
]
