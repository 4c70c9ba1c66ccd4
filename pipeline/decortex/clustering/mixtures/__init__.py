"""Mixture models: Gaussian and Student-t mixtures, their EM and their starts."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
