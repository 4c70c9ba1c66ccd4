"""Recordings of movies: clips of their own lengths, at one frame rate."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
