"""What tables, pages, reports and axes call a number, and how it is written."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
