"""What clustering methods compute with torch, on a GPU or the CPU, where a specification asks for `backend: torch`."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
