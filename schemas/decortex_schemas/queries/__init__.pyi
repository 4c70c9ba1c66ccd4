from .agreement import (
    agreement,
    null_recordings,
)
from .answering import (
    answers,
    reference,
)
from .browse import (
    SORTABLE,
    agreement_by_count,
    choices,
    describe,
    runs,
    statuses,
    study_counts,
    study_facts,
)
from .connection import (
    connect_to_read,
)
from .cost_forecast import (
    asked_rows,
    forecast,
    forecast_plan,
)
from .environments import (
    computation_versions,
    differing_numerics,
    environments,
    mixed_environments,
)
from .external_labels import (
    PARTS,
    against_labels,
    label_sets,
)
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
from .matching import (
    matched_clusters,
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
from .new_neurons import (
    AssignedTo,
    NewNeurons,
    assign_new,
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
    population_tests,
    predictability,
    recordings,
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
from .study_size import (
    about_declared,
    study_rows,
)
from .tuning import (
    PROFILE,
    cluster_fields,
    cluster_profiles,
    cluster_stimuli,
    first_partition,
    profile_rows,
)
from .types import (
    types,
)
from .types_or_axes import (
    types_or_axes,
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
    "PROFILE",
    "SORTABLE",
    "START",
    "VIEW_KEY",
    "AssignedTo",
    "Names",
    "NewNeurons",
    "Points",
    "Row",
    "about_declared",
    "about_study",
    "against_labels",
    "agreement",
    "agreement_by_count",
    "agreement_pairs",
    "answers",
    "asked_rows",
    "assign_new",
    "before_and_after",
    "best_k",
    "bin_seconds",
    "choices",
    "cluster_fields",
    "cluster_profiles",
    "cluster_stimuli",
    "clusters",
    "computation_versions",
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
    "first_partition",
    "forecast",
    "forecast_plan",
    "front",
    "frozen_changes",
    "has_states",
    "improvement",
    "known_environments",
    "label_sets",
    "labels",
    "lost_sample",
    "matched_clusters",
    "mixed_environments",
    "network_points",
    "neurons",
    "null_recordings",
    "partitions",
    "partitions_at",
    "performance_by_cluster",
    "ping",
    "population_tests",
    "predictability",
    "price",
    "profile_rows",
    "progress",
    "provenance",
    "queue_state",
    "recompute",
    "recordings",
    "reference",
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
    "study_facts",
    "study_rows",
    "surrogates",
    "test_performance",
    "throughput",
    "types",
    "types_or_axes",
    "view_points",
    "views",
    "watched",
    "whole_key",
    "workers",
    "worst_status",
]
