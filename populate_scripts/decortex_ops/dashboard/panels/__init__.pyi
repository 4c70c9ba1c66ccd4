from .criteria import (
    CRITERIA,
    NULLS,
    criteria_figure,
)
from .finetune_notes import variant_notes
from .four_states import (
    states_panel,
)
from .label_panels import (
    label_panels,
)
from .side_by_side import (
    name_of,
    side_by_side,
)

__all__ = [
    "CRITERIA",
    "NULLS",
    "criteria_figure",
    "label_panels",
    "name_of",
    "side_by_side",
    "states_panel",
    "variant_notes",
]
