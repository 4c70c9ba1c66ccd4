from .equivalence import WEBB_WEIGHTS, equivalence
from .reliability import reliability, reliability_of
from .retained import RetainedResult, retained_performance, t_interval
from .scores import METRICS, Scores, concatenate_scores, score_neurons, summarise

__all__ = [
    "METRICS",
    "WEBB_WEIGHTS",
    "RetainedResult",
    "Scores",
    "concatenate_scores",
    "equivalence",
    "reliability",
    "reliability_of",
    "retained_performance",
    "score_neurons",
    "summarise",
    "t_interval",
]
