from .construction import (
    by_construction,
)
from .detectable import (
    detectable,
)
from .generators import (
    generators,
    over_generators,
)

__all__ = [
    "by_construction",
    "detectable",
    "generators",
    "over_generators",
]
