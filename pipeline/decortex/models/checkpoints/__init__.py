"""Checkpoints of this and of other projects: reading, rebuilding, running external code."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
