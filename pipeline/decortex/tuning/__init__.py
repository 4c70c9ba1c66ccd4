"""In-silico experiments on a network: tuning to gratings, sizes and signs, linear fields, discriminative stimuli."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
