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

__all__ = [
    "CRITERIA",
    "NULLS",
    "criteria_figure",
    "label_panels",
    "states_panel",
    "variant_notes",
]
