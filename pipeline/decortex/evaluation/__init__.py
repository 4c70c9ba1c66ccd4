"""What a network, a partition or a fine-tuning is worth, from arrays alone. No training, no tables."""

from decortex.evaluation.agreement import (
    Agreement,
    MatchedConfusion,
    PairAgreement,
    agreement,
    matched_confusion,
    pairwise_agreement,
)
from decortex.evaluation.association import AssociationResult, ClusterSummary, associate, summarise_clusters
from decortex.evaluation.by_unit import cluster_contrasts, unit_effects
from decortex.evaluation.choose_k import KSelection, RawFeatures, choose_k, draw_surrogate, refits
from decortex.evaluation.confounds import Confound, Transfer, confound, leave_one_out
from decortex.evaluation.consensus import Consensus, consensus
from decortex.evaluation.covariates import CovariateColumns, CovariateConfig, covariate_columns
from decortex.evaluation.equivalence import Equivalence, equivalence
from decortex.evaluation.k_choices import CRITERIA, Excess, KDecision, Support, decide_k, exceeds, excess
from decortex.evaluation.k_config import CriterionValue, SelectionConfig
from decortex.evaluation.k_criteria import CountCriteria, count_criteria, partition_figures
from decortex.evaluation.k_networks import JointSelection, NetworkFigures, select_jointly
from decortex.evaluation.multiplicity import benjamini_hochberg, holm
from decortex.evaluation.null_excess import NullExcess, excess_over_null
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
from decortex.evaluation.population import (
    MixedTest,
    PopulationTest,
    mixed_test,
    population_test,
)
from decortex.evaluation.quality import QualityResult, cluster_quality
from decortex.evaluation.retained import ClusterChange, RetainedResult, SessionChange, retained_performance
from decortex.evaluation.seed_nulls import joint_surrogates, null_seed_agreement, seed_agreement
from decortex.evaluation.stability import Stability, draw_subsample, stability
from decortex.evaluation.subsamples import Clusterer, SubsampleStability, subsample_stability
from decortex.evaluation.these_sessions import GridTest, SessionsTest, grid_test, sessions_test
from decortex.evaluation.valleys import PairValley, Valleys, density_valleys

__all__ = [
    "CRITERIA",
    "METRICS",
    "NULL_KINDS",
    "Agreement",
    "AssociationResult",
    "ClusterChange",
    "ClusterSummary",
    "Clusterer",
    "Confound",
    "Consensus",
    "CountCriteria",
    "CovariateColumns",
    "CovariateConfig",
    "CriterionValue",
    "Equivalence",
    "Excess",
    "GridTest",
    "JointSelection",
    "KDecision",
    "KSelection",
    "MatchedConfusion",
    "MixedTest",
    "NetworkFigures",
    "NullExcess",
    "NullKind",
    "PairAgreement",
    "PairTest",
    "PairValley",
    "PopulationTest",
    "QualityResult",
    "RawFeatures",
    "RetainedResult",
    "Scores",
    "SelectionConfig",
    "SessionChange",
    "SessionsTest",
    "Stability",
    "SubsampleStability",
    "Summary",
    "Support",
    "Transfer",
    "Valleys",
    "agreement",
    "associate",
    "benjamini_hochberg",
    "choose_k",
    "cluster_contrasts",
    "cluster_quality",
    "concatenate_scores",
    "confound",
    "consensus",
    "count_criteria",
    "covariate_columns",
    "decide_k",
    "density_valleys",
    "draw_subsample",
    "draw_surrogate",
    "equivalence",
    "exceeds",
    "excess",
    "excess_over_null",
    "grid_test",
    "holm",
    "joint_surrogates",
    "leave_one_out",
    "matched_confusion",
    "mixed_test",
    "null_seed_agreement",
    "pairwise_agreement",
    "pairwise_tests",
    "partition_figures",
    "population_test",
    "refits",
    "retained_performance",
    "score_neurons",
    "seed_agreement",
    "select_jointly",
    "sessions_test",
    "stability",
    "subsample_stability",
    "summarise",
    "summarise_clusters",
    "surrogate",
    "surrogate_embedding",
    "unit_effects",
    "within_session_null",
]
