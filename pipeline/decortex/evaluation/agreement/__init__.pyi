from .consensus import Consensus, consensus
from .indices import (
    Agreement,
    MatchedConfusion,
    agreement,
    contingency,
    match_table,
    matched_confusion,
    pairwise_agreement,
    table_agreement,
)
from .mutual_information import expected_mutual_information, mutual_information
from .networks import pairs_interval
from .rand_matrix import rand_matrix
from .shared_labelling import SharedLabelling, turtle
from .stability import Stability, draw_subsample, stability
from .subsamples import Clusterer, adjusted_rand, subsample_stability, subsamples

__all__ = [
    "Agreement",
    "Clusterer",
    "Consensus",
    "MatchedConfusion",
    "SharedLabelling",
    "Stability",
    "adjusted_rand",
    "agreement",
    "consensus",
    "contingency",
    "draw_subsample",
    "expected_mutual_information",
    "match_table",
    "matched_confusion",
    "mutual_information",
    "pairs_interval",
    "pairwise_agreement",
    "rand_matrix",
    "stability",
    "subsample_stability",
    "subsamples",
    "table_agreement",
    "turtle",
]
