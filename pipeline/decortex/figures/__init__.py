"""Figures: one function a figure, DataFrame -> Figure. Nothing is fetched and nothing is shown here."""

from decortex.figures.agreement import agreement_map
from decortex.figures.criteria import k_criteria
from decortex.figures.curves import loss_curves
from decortex.figures.files import figure_bytes
from decortex.figures.map import view_map
from decortex.figures.nulls import finetuned_nulls
from decortex.figures.performance import performance_by_cluster
from decortex.figures.price import agreement_front, paired_change
from decortex.figures.style import cluster_colour
from decortex.figures.surrogates import surrogate_values

__all__ = [
    "agreement_front",
    "agreement_map",
    "cluster_colour",
    "figure_bytes",
    "finetuned_nulls",
    "k_criteria",
    "loss_curves",
    "paired_change",
    "performance_by_cluster",
    "surrogate_values",
    "view_map",
]
