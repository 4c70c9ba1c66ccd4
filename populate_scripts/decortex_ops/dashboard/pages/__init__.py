"""The pages in the order of the navigation. Each is a module: PATH, TITLE, FIELDS and a pure ``render()``."""

from types import ModuleType

from decortex_ops.dashboard.pages import queue, runs, which_k

PAGES: tuple[ModuleType, ...] = (queue, runs, which_k)

__all__ = ["PAGES"]
