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
from .states import (
    OWN_LABELS,
    has_states,
    states,
    states_by_name,
)

__all__ = [
    "OWN_LABELS",
    "by_construction",
    "detectable",
    "generators",
    "has_states",
    "over_generators",
    "states",
    "states_by_name",
]
