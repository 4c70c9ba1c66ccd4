"""Agreement between partitions of the same neurons, and what partitions have in common."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
