from .across_networks import JointSelection, NetworkCriteria, select_jointly
from .choose_k import KSelection, choose_k
from .config import CriterionValue, SelectionConfig, refits
from .criteria import count_criteria, partition_criteria
from .decision import CRITERIA, Excess, decide_k, excess
from .density_valleys import density_valleys
from .gap import dispersion, first_within_one_error, gap_statistic, reference
from .information_criteria import information_criteria
from .joint_nulls import joint_surrogates, null_seed_agreement, seed_agreement
from .null_draws import RawFeatures, draw_surrogate
from .split_half import halvings, judge_halves, prediction_strength

__all__ = [
    "CRITERIA",
    "CriterionValue",
    "Excess",
    "JointSelection",
    "KSelection",
    "NetworkCriteria",
    "RawFeatures",
    "SelectionConfig",
    "choose_k",
    "count_criteria",
    "decide_k",
    "density_valleys",
    "dispersion",
    "draw_surrogate",
    "excess",
    "first_within_one_error",
    "gap_statistic",
    "halvings",
    "information_criteria",
    "joint_surrogates",
    "judge_halves",
    "null_seed_agreement",
    "partition_criteria",
    "prediction_strength",
    "reference",
    "refits",
    "seed_agreement",
    "select_jointly",
]
