"""Clustering losses of fine-tuning: one module per loss, and what they share."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
