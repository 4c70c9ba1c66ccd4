from .kinds import Better, Column
from .looks import (
    BLACK,
    BLUE,
    CLUSTER_COLOURS,
    CRITERIA,
    GREEN,
    NULL_COLOURS,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    criterion_words,
)
from .register import COLUMNS, SMALLEST_P, axis_label, column, written

__all__ = [
    "BLACK",
    "BLUE",
    "CLUSTER_COLOURS",
    "COLUMNS",
    "CRITERIA",
    "GREEN",
    "NULL_COLOURS",
    "ORANGE",
    "PURPLE",
    "SKY",
    "SMALLEST_P",
    "VERMILION",
    "Better",
    "Column",
    "axis_label",
    "column",
    "criterion_words",
    "written",
]
