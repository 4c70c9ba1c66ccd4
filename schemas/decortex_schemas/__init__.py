"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does.

>>> import decortex_schemas as schemas
>>> schemas.connect()                                     # doctest: +SKIP
>>> schemas.Clustering.populate(reserve_jobs=True)        # doctest: +SKIP
"""

import warnings

import lazy_loader as lazy

# decortex takes its settings from the environment; DataJoint's advice to write a file does not apply.
warnings.filterwarnings("ignore", message="No datajoint.json found")

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
