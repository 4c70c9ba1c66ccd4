from .config import SplitConfig
from .count import count_types
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
    "split_test",
]
