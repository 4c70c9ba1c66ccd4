from .clips import ClipComparison, clip_means, compare_over_clips
from .equivalence import WEBB_WEIGHTS, equivalence
from .reliability import reliability, reliability_of
from .retained import RetainedResult, retained_performance, t_interval
from .scores import CLIP_METRICS, METRICS, Scores, concatenate_scores, score_neurons, summarise

__all__ = [
    "CLIP_METRICS",
    "METRICS",
    "WEBB_WEIGHTS",
    "ClipComparison",
    "RetainedResult",
    "Scores",
    "clip_means",
    "compare_over_clips",
    "concatenate_scores",
    "equivalence",
    "reliability",
    "reliability_of",
    "retained_performance",
    "score_neurons",
    "summarise",
    "t_interval",
]
