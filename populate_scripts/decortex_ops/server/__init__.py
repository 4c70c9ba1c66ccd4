"""decortex's embedded MySQL: found or fetched without root, private to its user, started on demand."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
