from .config import SplitConfig
from .count import count_types
from .folds import draw_folds
from .partition import split_test
from .preparation import principal_axes
from .result import Boundary, GroupPair, Level, PartitionTest, Split, TypeCount, ValleyCount
from .subclusters import whitener

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
    "principal_axes",
    "split_test",
    "whitener",
]
