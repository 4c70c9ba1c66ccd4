"""Types or axes: whether clusters of an embedding or its continuous axes predict a target."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
