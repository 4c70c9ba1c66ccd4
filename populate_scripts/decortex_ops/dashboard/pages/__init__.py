"""The pages in the order of the navigation. Each is a module: PATH, TITLE, FIELDS and a pure ``render()``."""

from types import ModuleType

from decortex_ops.dashboard.pages import (
    agreement,
    association,
    cluster,
    finetune,
    map_view,
    performance,
    provenance,
    queue,
    runs,
    study,
    tuning,
)
from decortex_ops.dashboard.pages.number import type_counts, which_k

PAGES: tuple[ModuleType, ...] = (
    study,
    type_counts,
    which_k,
    agreement,
    association,
    finetune,
    cluster,
    map_view,
    performance,
    runs,
    tuning,
    provenance,
    queue,
)

__all__ = ["PAGES"]
