"""Methods on a neighbour graph: the graph, its eigenvectors, spectral clustering, SEC and LDMGI."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
