"""New neurons: which cluster of a frozen partition they belong to, if any."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
