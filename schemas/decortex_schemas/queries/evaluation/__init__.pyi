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
    price,
)
from .states import (
    OWN_LABELS,
    has_states,
    states,
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
    "OWN_LABELS",
    "PARTS",
    "against_labels",
    "agreement",
    "agreement_nulls",
    "before_and_after",
    "best_k",
    "choosing_study",
    "confounds",
    "front",
    "has_states",
    "improvement",
    "label_sets",
    "null_recordings",
    "population_tests",
    "predictability",
    "price",
    "recordings",
    "selection_cost",
    "states",
    "table_scores",
    "types",
    "types_or_axes",
]
