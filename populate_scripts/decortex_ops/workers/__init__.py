"""Workers and the scheduler: which job comes next, running it, surviving faults."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
