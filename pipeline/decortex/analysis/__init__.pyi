from .asked_k import check_asked_k
from .count import DEFAULT_K, KFrom, chosen_k
from .run import METHODS, SEEDS, Analysis, analyse, animals_to_hold_out, summarise
from .sentences import Answer

__all__ = [
    "DEFAULT_K",
    "METHODS",
    "SEEDS",
    "Analysis",
    "Answer",
    "KFrom",
    "analyse",
    "animals_to_hold_out",
    "check_asked_k",
    "chosen_k",
    "summarise",
]
