from .panels.criteria import criteria_figure
from .server import serve
from .source import CachedSource
from .theme import OKABE_ITO, SYMBOLS, cluster_colour, cluster_symbol
from .urls import LONGEST_TEXT, Field, changes, decode, encode

__all__ = [
    "LONGEST_TEXT",
    "OKABE_ITO",
    "SYMBOLS",
    "CachedSource",
    "Field",
    "changes",
    "cluster_colour",
    "cluster_symbol",
    "criteria_figure",
    "decode",
    "encode",
    "serve",
]
