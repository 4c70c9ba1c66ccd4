from .config import SplitConfig
from .count import count_types
from .folds import draw_folds
from .partition import split_test
from .result import Boundary, GroupPair, Level, PartitionTest, Split, TypeCount, ValleyCount

__all__ = [
    "Boundary",
    "GroupPair",
    "Level",
    "PartitionTest",
    "Split",
    "SplitConfig",
    "TypeCount",
    "ValleyCount",
    "count_types",
    "draw_folds",
    "split_test",
]
