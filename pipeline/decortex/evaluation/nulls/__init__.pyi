from .comparison import excess_over_null
from .kinds import NULL_KINDS, NullKind
from .surrogates import (
    degrees_of_freedom,
    off_zero,
    surrogate,
    surrogate_embedding,
)

__all__ = [
    "NULL_KINDS",
    "NullKind",
    "degrees_of_freedom",
    "excess_over_null",
    "off_zero",
    "surrogate",
    "surrogate_embedding",
]
