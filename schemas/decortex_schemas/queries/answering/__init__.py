"""The five answers about a study: stored facts, sentences made of them, and what asking more costs."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
