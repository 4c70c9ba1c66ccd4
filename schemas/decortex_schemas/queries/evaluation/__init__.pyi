from .agreement import (
    agreement,
    null_recordings,
)
from .agreement_nulls import (
    agreement_nulls,
)
from .external_labels import (
    PARTS,
    against_labels,
    label_sets,
)
from .finetuning.construction import (
    by_construction,
)
from .finetuning.detectable import (
    detectable,
)
from .finetuning.generators import (
    generators,
    over_generators,
)
from .finetuning.states import (
    OWN_LABELS,
    has_states,
    states,
)
from .geometry import (
    ALL_METHODS,
    communities,
    geometries,
)
from .k_selection import (
    best_k,
    choosing_study,
    selection_cost,
)
from .performance import (
    confounds,
    population_tests,
    predictability,
    recordings,
)
from .retained import (
    before_and_after,
    front,
    improvement,
    network_means,
    price,
)
from .shared_labellings import (
    shared_labellings,
)
from .table_scores import (
    table_scores,
)
from .types import (
    types,
)
from .types_or_axes import (
    types_or_axes,
)

__all__ = [
    "ALL_METHODS",
    "OWN_LABELS",
    "PARTS",
    "against_labels",
    "agreement",
    "agreement_nulls",
    "before_and_after",
    "best_k",
    "by_construction",
    "choosing_study",
    "communities",
    "confounds",
    "detectable",
    "front",
    "generators",
    "geometries",
    "has_states",
    "improvement",
    "label_sets",
    "network_means",
    "null_recordings",
    "over_generators",
    "population_tests",
    "predictability",
    "price",
    "recordings",
    "selection_cost",
    "shared_labellings",
    "states",
    "table_scores",
    "types",
    "types_or_axes",
]
