from .bases import (
    Axes,
    Smooth,
    indicators,
)
from .compare import (
    FEWEST_BLOCKS,
    FEWEST_NEURONS,
    held_out_errors,
    types_or_axes,
    what_is_added,
)
from .config import (
    TypesOrAxesConfig,
)
from .decision import (
    Contrast,
    contrast,
    decide,
)
from .families import (
    DESCRIPTIONS,
    fold_predictions,
)
from .regression import (
    Design,
)
from .result import (
    Answer,
    Increment,
    TypesOrAxes,
    axes_sentence,
)

__all__ = [
    "DESCRIPTIONS",
    "FEWEST_BLOCKS",
    "FEWEST_NEURONS",
    "Answer",
    "Axes",
    "Contrast",
    "Design",
    "Increment",
    "Smooth",
    "TypesOrAxes",
    "TypesOrAxesConfig",
    "axes_sentence",
    "contrast",
    "decide",
    "fold_predictions",
    "held_out_errors",
    "indicators",
    "types_or_axes",
    "what_is_added",
]
