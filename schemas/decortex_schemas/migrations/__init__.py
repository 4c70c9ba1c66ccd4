"""Migrations: bringing the tables of an older version to this one, step by step."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
