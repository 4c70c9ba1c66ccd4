"""What a network, a partition or a fine-tuning is worth, from arrays alone. No training, no tables."""

from decortex.evaluation.agreement.consensus import Consensus, consensus
from decortex.evaluation.agreement.indices import (
    Agreement,
    MatchedConfusion,
    PairAgreement,
    agreement,
    matched_confusion,
    pairwise_agreement,
)
from decortex.evaluation.agreement.stability import Stability, draw_subsample, stability
from decortex.evaluation.agreement.subsamples import Clusterer, SubsampleStability, subsample_stability
from decortex.evaluation.association.by_session import cluster_contrasts, unit_effects
from decortex.evaluation.association.confounds import Confound, Transfer, confound, leave_one_out
from decortex.evaluation.association.covariates import CovariateColumns, CovariateConfig, covariate_columns
from decortex.evaluation.association.freedman_lane import GridTest, SessionsTest, grid_test, sessions_test
from decortex.evaluation.association.multiple_testing import benjamini_hochberg, holm
from decortex.evaluation.association.pairwise import PairTest, pairwise_tests
from decortex.evaluation.association.permutation import within_session_null
from decortex.evaluation.association.random_sessions import (
    MixedTest,
    PopulationTest,
    mixed_test,
    population_test,
)
from decortex.evaluation.association.unadjusted import (
    AssociationResult,
    ClusterSummary,
    associate,
    summarise_clusters,
)
from decortex.evaluation.nulls.comparison import NullExcess, excess_over_null
from decortex.evaluation.nulls.surrogates import NULL_KINDS, NullKind, surrogate, surrogate_embedding
from decortex.evaluation.performance.equivalence import Equivalence, equivalence
from decortex.evaluation.performance.retained import (
    ClusterChange,
    RetainedResult,
    SessionChange,
    retained_performance,
)
from decortex.evaluation.performance.scores import (
    METRICS,
    Scores,
    Summary,
    concatenate_scores,
    score_neurons,
    summarise,
)
from decortex.evaluation.quality import QualityResult, cluster_quality
from decortex.evaluation.selection.across_networks import JointSelection, NetworkFigures, select_jointly
from decortex.evaluation.selection.choose_k import KSelection, RawFeatures, choose_k, draw_surrogate, refits
from decortex.evaluation.selection.config import CriterionValue, SelectionConfig
from decortex.evaluation.selection.criteria import CountCriteria, count_criteria, partition_figures
from decortex.evaluation.selection.decision import (
    CRITERIA,
    Excess,
    KDecision,
    Support,
    decide_k,
    exceeds,
    excess,
)
from decortex.evaluation.selection.density_valleys import PairValley, Valleys, density_valleys
from decortex.evaluation.selection.joint_nulls import joint_surrogates, null_seed_agreement, seed_agreement

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
