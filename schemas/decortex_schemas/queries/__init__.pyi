from .agreement import (
    agreement,
)
from .answering import (
    answers,
)
from .browse import (
    SORTABLE,
    agreement_by_count,
    choices,
    describe,
    runs,
    statuses,
    study_counts,
)
from .connection import (
    connect_to_read,
)
from .environments import (
    differing_numerics,
    environments,
    mixed_environments,
)
from .external_labels import PARTS, against_labels, label_sets
from .figure_rows import (
    CHOICE,
    about_study,
    agreement_pairs,
    effect,
    epochs,
    figure_neurons,
    finetuned_nulls,
    partitions,
    specifications,
    surrogates,
)
from .jobs import (
    Row,
    bin_seconds,
    failures,
    queue_state,
    throughput,
    workers,
)
from .k_selection import (
    best_k,
    selection_cost,
)
from .neurons import (
    MOST_PARTITIONS,
    NEURON,
    clusters,
    exists,
    finetuning,
    labels,
    neurons,
    partitions_at,
    performance_by_cluster,
    scores,
)
from .overview import (
    AVERAGED,
    JOB_STATES,
    PAIRED,
    failed_jobs,
    frozen_changes,
    progress,
    provenance,
    require_frozen,
    results,
    studies,
    test_performance,
    whole_key,
    worst_status,
)
from .performance import (
    confounds,
    predictability,
)
from .points import (
    EMBEDDED,
    Points,
    embeddings,
    network_points,
)
from .recompute import (
    recompute,
)
from .retained import (
    before_and_after,
    front,
    improvement,
    price,
)
from .rows import (
    PARTITION,
    START,
    Names,
)
from .states import (
    OWN_LABELS,
    has_states,
    states,
)
from .types import (
    types,
)
from .views import (
    VIEW_KEY,
    view_points,
    views,
)
from .watch import (
    known_environments,
    lost_sample,
    ping,
    schema_version,
    store_path,
    watched,
)

__all__ = [
    "AVERAGED",
    "CHOICE",
    "EMBEDDED",
    "JOB_STATES",
    "MOST_PARTITIONS",
    "NEURON",
    "OWN_LABELS",
    "PAIRED",
    "PARTITION",
    "PARTS",
    "SORTABLE",
    "START",
    "VIEW_KEY",
    "Names",
    "Points",
    "Row",
    "about_study",
    "against_labels",
    "agreement",
    "agreement_by_count",
    "agreement_pairs",
    "answers",
    "before_and_after",
    "best_k",
    "bin_seconds",
    "choices",
    "clusters",
    "confounds",
    "connect_to_read",
    "describe",
    "differing_numerics",
    "effect",
    "embeddings",
    "environments",
    "epochs",
    "exists",
    "failed_jobs",
    "failures",
    "figure_neurons",
    "finetuned_nulls",
    "finetuning",
    "front",
    "frozen_changes",
    "has_states",
    "improvement",
    "known_environments",
    "label_sets",
    "labels",
    "lost_sample",
    "mixed_environments",
    "network_points",
    "neurons",
    "partitions",
    "partitions_at",
    "performance_by_cluster",
    "ping",
    "predictability",
    "price",
    "progress",
    "provenance",
    "queue_state",
    "recompute",
    "require_frozen",
    "results",
    "runs",
    "schema_version",
    "scores",
    "selection_cost",
    "specifications",
    "states",
    "statuses",
    "store_path",
    "studies",
    "study_counts",
    "surrogates",
    "test_performance",
    "throughput",
    "types",
    "view_points",
    "views",
    "watched",
    "whole_key",
    "workers",
    "worst_status",
]
