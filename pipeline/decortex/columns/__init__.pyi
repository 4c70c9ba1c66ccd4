from .kinds import Better, Column
from .register import COLUMNS, SMALLEST_P, axis_label, column, written

__all__ = [
    "COLUMNS",
    "SMALLEST_P",
    "Better",
    "Column",
    "axis_label",
    "column",
    "written",
]
