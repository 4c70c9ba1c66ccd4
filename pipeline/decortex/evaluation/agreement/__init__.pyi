from .bounds import ARI_BOUNDS, CORRELATION_BOUNDS, cut_interval
from .co_association import (
    N_LANDMARKS,
    Communities,
    co_association,
    communities,
    independent_communities,
)
from .consensus import Consensus, consensus
from .detectable import (
    POWER,
    SHARES,
    PlantedEffect,
    detectable_effect,
    planted_effects,
    smallest_detected,
)
from .geometry import (
    SETTINGS,
    GeometryAgreement,
    geo_topological,
    geometry_agreement,
    n_shared_neurons,
    neuron_pairs,
)
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
from .networks import means_interval, pairs_interval, pseudo_values
from .rand_matrix import rand_matrix
from .shared_labelling import SharedLabelling, turtle
from .stability import Stability, draw_subsample, stability
from .subsamples import Clusterer, adjusted_rand, subsample_stability, subsamples

__all__ = [
    "ARI_BOUNDS",
    "CORRELATION_BOUNDS",
    "N_LANDMARKS",
    "POWER",
    "SETTINGS",
    "SHARES",
    "Agreement",
    "Clusterer",
    "Communities",
    "Consensus",
    "GeometryAgreement",
    "MatchedConfusion",
    "PlantedEffect",
    "SharedLabelling",
    "Stability",
    "adjusted_rand",
    "agreement",
    "co_association",
    "communities",
    "consensus",
    "contingency",
    "cut_interval",
    "detectable_effect",
    "draw_subsample",
    "expected_mutual_information",
    "geo_topological",
    "geometry_agreement",
    "independent_communities",
    "match_table",
    "matched_confusion",
    "means_interval",
    "mutual_information",
    "n_shared_neurons",
    "neuron_pairs",
    "pairs_interval",
    "pairwise_agreement",
    "planted_effects",
    "pseudo_values",
    "rand_matrix",
    "smallest_detected",
    "stability",
    "subsample_stability",
    "subsamples",
    "table_agreement",
    "turtle",
]
