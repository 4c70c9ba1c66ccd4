"""Queues and leases: which keys wait, and which processes may hold them."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
