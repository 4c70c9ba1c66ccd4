"""Science of decortex: arrays in, frozen results out. No database, no command line, no plotting state.

>>> import decortex
>>> x = decortex.embed("checkpoint.pth")                    # doctest: +SKIP
>>> decortex.cluster(x, "gmm", n_clusters=8).labels         # doctest: +SKIP
>>> decortex.count_types(x).status                          # doctest: +SKIP
"""

import lazy_loader as lazy

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
