"""The tables of evaluation: quality, performance, agreement, the number of clusters."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
