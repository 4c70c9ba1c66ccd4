"""Networks: trained, imported, fine-tuned and null ones, with their stored states."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
