"""Labels that others gave neurons (types, Cre lines, layers): matched to neurons, compared with clusters, decoded."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
