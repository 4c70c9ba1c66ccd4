from .cut import (
    Cut,
    affinities,
    embedded_cut,
)
from .discriminants import (
    LocalDiscriminants,
    local_discriminant,
)
from .neighbours import (
    RowSums,
    neighbours_of,
    with_gradient,
)
from .term import (
    GraphTerm,
)

__all__ = [
    "Cut",
    "GraphTerm",
    "LocalDiscriminants",
    "RowSums",
    "affinities",
    "embedded_cut",
    "local_discriminant",
    "neighbours_of",
    "with_gradient",
]
