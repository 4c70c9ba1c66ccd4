"""Embeddings of neurons: how features out of a network are turned and scaled before they are clustered."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
