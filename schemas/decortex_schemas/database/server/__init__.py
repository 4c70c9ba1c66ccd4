"""The MySQL server: settings, connections, encryption, refusals, and guards around DataJoint."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
