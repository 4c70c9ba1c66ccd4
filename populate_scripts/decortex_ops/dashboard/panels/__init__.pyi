from .construction import construction_panels
from .criteria import (
    NULLS,
    criteria_figure,
)
from .finetune_notes import variant_notes
from .geometry_panels import (
    geometry_panels,
)
from .grouped_runs import (
    GROUP,
    OPEN,
    Gathered,
    gathered,
    group_choice,
    open_and_close,
)
from .label_panels import (
    label_panels,
)
from .network_states import (
    states_panel,
)
from .side_by_side import (
    name_of,
    side_by_side,
)

__all__ = [
    "GROUP",
    "NULLS",
    "OPEN",
    "Gathered",
    "construction_panels",
    "criteria_figure",
    "gathered",
    "geometry_panels",
    "group_choice",
    "label_panels",
    "name_of",
    "open_and_close",
    "side_by_side",
    "states_panel",
    "variant_notes",
]
