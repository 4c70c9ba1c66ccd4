"""Plans of studies: sweeps in words, turned into rows of the specification tables."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
