"""Figures on the number of clusters and types: criteria of K, surrogates, the tree of types."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
