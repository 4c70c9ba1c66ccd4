"""Connections, rows and groups: what every question of the read layer rests on."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
