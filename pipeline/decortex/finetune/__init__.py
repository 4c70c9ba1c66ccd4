"""Fine-tuning of the network by a clustering loss, its control and its diagnostics."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
