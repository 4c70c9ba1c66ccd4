from .agreement import agreement_map
from .curves import loss_curves
from .files import figure_bytes
from .map import view_map
from .nulls import finetuned_nulls
from .number.criteria import k_criteria
from .number.surrogates import surrogate_values
from .number.tree import types_tree
from .performance import performance_by_cluster
from .price import agreement_front, paired_change
from .stimuli import cluster_stimuli
from .style import TWO_COLUMNS, WIDTHS, cluster_colour, colours_of
from .summary import study_summary

__all__ = [
    "TWO_COLUMNS",
    "WIDTHS",
    "agreement_front",
    "agreement_map",
    "cluster_colour",
    "cluster_stimuli",
    "colours_of",
    "figure_bytes",
    "finetuned_nulls",
    "k_criteria",
    "loss_curves",
    "paired_change",
    "performance_by_cluster",
    "study_summary",
    "surrogate_values",
    "types_tree",
    "view_map",
]
