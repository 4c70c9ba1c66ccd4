"""Tables of decortex: definitions and thin make(). Importing needs no database; `connect()` does.

>>> import decortex_schemas as schemas
>>> schemas.connect()                                     # doctest: +SKIP
>>> schemas.Clustering.populate(reserve_jobs=True)        # doctest: +SKIP
"""

import os
import warnings

import lazy_loader as lazy

# decortex takes its settings from the environment; DataJoint would read files in the current folder and all above it,
# whoever wrote them.
os.environ.setdefault("DJ_IGNORE_CONFIG_FILE", "true")
# Its advice to write such a file does not apply either, where it was imported before.
warnings.filterwarnings("ignore", message="No datajoint.json found")

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
