"""The pages in the order of the navigation. Each is a module: PATH, TITLE, FIELDS and a pure ``render()``."""

from types import ModuleType

from decortex_ops.dashboard.pages import (
    agreement,
    cluster,
    finetune,
    map_view,
    performance,
    provenance,
    queue,
    runs,
    which_k,
)

PAGES: tuple[ModuleType, ...] = (
    queue,
    runs,
    map_view,
    which_k,
    agreement,
    finetune,
    performance,
    cluster,
    provenance,
)

__all__ = ["PAGES"]
