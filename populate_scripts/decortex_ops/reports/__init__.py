"""What people read of a frozen study: figures, report, methods text, export."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
