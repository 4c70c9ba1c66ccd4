from .asked_k import check_asked_k
from .run import (
    DEFAULT_K,
    METHODS,
    SEEDS,
    Analysis,
    analyse,
    animals_to_hold_out,
    chosen_k,
    summarise,
)
from .sentences import Answer

__all__ = [
    "DEFAULT_K",
    "METHODS",
    "SEEDS",
    "Analysis",
    "Answer",
    "analyse",
    "animals_to_hold_out",
    "check_asked_k",
    "chosen_k",
    "summarise",
]
