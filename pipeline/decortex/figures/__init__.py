"""Figures: one function a figure, DataFrame -> Figure. Nothing is fetched and nothing is shown here."""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
