"""Clustering of neurons: the public names. Arrays in, frozen results out."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
