from .criteria import (
    k_criteria,
)
from .surrogates import (
    surrogate_values,
)
from .tree import (
    types_tree,
)

__all__ = [
    "k_criteria",
    "surrogate_values",
    "types_tree",
]
