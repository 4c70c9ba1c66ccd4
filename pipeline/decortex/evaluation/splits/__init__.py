"""How many types of neurons stand apart, if any, and which groups of a given partition do."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
