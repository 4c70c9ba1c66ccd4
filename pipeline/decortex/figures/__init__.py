"""Figures: one function a figure, DataFrame -> Figure. Nothing is fetched and nothing is shown here."""

from decortex.figures.curves import loss_curves
from decortex.figures.files import figure_bytes

__all__ = ["figure_bytes", "loss_curves"]
