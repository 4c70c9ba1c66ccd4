"""The database under the tables: connection, store, codecs, provenance, leases, queues."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
