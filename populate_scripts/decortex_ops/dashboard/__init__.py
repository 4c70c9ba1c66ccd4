"""The dashboard: what is in the database, opened by link, changing nothing. Needs the extra ``dash``."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
