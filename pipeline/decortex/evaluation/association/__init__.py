"""Whether a neuron's performance depends on its cluster: effect sizes, tests, covariates, confounds."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
