"""Panels of the dashboard: criteria of K, states of networks, external labels."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
