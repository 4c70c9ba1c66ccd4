"""What fine-tuning did beyond its price: states of networks, by construction, over datasets, and what is detected."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
