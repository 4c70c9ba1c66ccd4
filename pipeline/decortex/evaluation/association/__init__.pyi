from .by_session import cluster_contrasts, unit_effects
from .confounds import confound, leave_one_out
from .covariates import CovariateConfig, covariate_columns, log_rate, norms, scaled_scores
from .effect_sizes import Chance, adjusted_share, chance_bound, one_hot, orthonormal, ranked_share
from .freedman_lane import (
    GridTest,
    Nuisance,
    adjusted_effect,
    freedman_lane_null,
    grid_test,
    sessions_test,
)
from .mixed_model import fit_random_intercept
from .multiple_testing import benjamini_hochberg, holm
from .pairwise import pairwise_tests
from .permutation import permutation_p, session_order, session_ridits, shuffled_blocks, within_session_null
from .random_sessions import cell_effect, mixed_test, population_test
from .studentised import Contrasts, ResidualMaker, Statistic, studentised_null
from .unadjusted import AssociationResult, associate, summarise_clusters

__all__ = [
    "AssociationResult",
    "Chance",
    "Contrasts",
    "CovariateConfig",
    "GridTest",
    "Nuisance",
    "ResidualMaker",
    "Statistic",
    "adjusted_effect",
    "adjusted_share",
    "associate",
    "benjamini_hochberg",
    "cell_effect",
    "chance_bound",
    "cluster_contrasts",
    "confound",
    "covariate_columns",
    "fit_random_intercept",
    "freedman_lane_null",
    "grid_test",
    "holm",
    "leave_one_out",
    "log_rate",
    "mixed_test",
    "norms",
    "one_hot",
    "orthonormal",
    "pairwise_tests",
    "permutation_p",
    "population_test",
    "ranked_share",
    "scaled_scores",
    "session_order",
    "session_ridits",
    "sessions_test",
    "shuffled_blocks",
    "studentised_null",
    "summarise_clusters",
    "unit_effects",
    "within_session_null",
]
