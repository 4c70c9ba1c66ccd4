from . import clustering, data, embeddings, evaluation, figures, finetune, models, tuning
from .analysis import analyse
from .evaluation.agreement import agreement, communities, consensus, geometry_agreement
from .evaluation.assignment import assign
from .evaluation.splits import count_types, split_test
from .evaluation.types_or_axes import types_or_axes
from .models import read_checkpoint
from .progress import ProgressLine
from .tuning import measure_tuning
from .verbs import (
    association,
    choose_k,
    cluster,
    cluster_grid,
    embed,
    load_network,
    open_recordings,
    simulate,
    train,
)

__version__: str

__all__ = [
    "ProgressLine",
    "agreement",
    "analyse",
    "assign",
    "association",
    "choose_k",
    "cluster",
    "cluster_grid",
    "clustering",
    "communities",
    "consensus",
    "count_types",
    "data",
    "embed",
    "embeddings",
    "evaluation",
    "figures",
    "finetune",
    "geometry_agreement",
    "load_network",
    "measure_tuning",
    "models",
    "open_recordings",
    "read_checkpoint",
    "simulate",
    "split_test",
    "train",
    "tuning",
    "types_or_axes",
]
