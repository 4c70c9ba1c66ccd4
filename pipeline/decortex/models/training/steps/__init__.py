"""Pieces of a training step: losses, rates, penalties, averages."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
