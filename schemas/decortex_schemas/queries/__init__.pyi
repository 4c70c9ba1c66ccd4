from .answering import (
    answers,
    reference,
)
from .basis.connection import (
    connect_to_read,
)
from .basis.study_rows import (
    PARTITION,
    START,
    Names,
)
from .catalogue.browse import (
    SORTABLE,
    agreement_by_count,
    choices,
    describe,
    run_groups,
    runs,
    statuses,
    study_counts,
    study_facts,
)
from .catalogue.cost_forecast import (
    asked_rows,
    forecast,
    forecast_plan,
)
from .catalogue.figure_rows import (
    CHOICE,
    about_study,
    agreement_pairs,
    effect,
    epochs,
    figure_neurons,
    finetuned_nulls,
    partitions,
    score_names,
    specifications,
    surrogates,
)
from .catalogue.overview import (
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
from .catalogue.study_size import (
    about_declared,
    study_progress,
    study_rows,
    unused_rows,
)
from .evaluation.agreement import (
    agreement,
    null_recordings,
)
from .evaluation.external_labels import (
    PARTS,
    against_labels,
    label_sets,
)
from .evaluation.finetuning.construction import (
    by_construction,
)
from .evaluation.finetuning.detectable import (
    detectable,
)
from .evaluation.finetuning.generators import (
    generators,
)
from .evaluation.finetuning.states import (
    OWN_LABELS,
    has_states,
    states,
)
from .evaluation.geometry import (
    ALL_METHODS,
    communities,
    geometries,
)
from .evaluation.k_selection import (
    best_k,
    choosing_study,
    selection_cost,
)
from .evaluation.performance import (
    confounds,
    population_tests,
    predictability,
    recordings,
)
from .evaluation.retained import (
    before_and_after,
    front,
    improvement,
    price,
)
from .evaluation.shared_labellings import (
    shared_labellings,
)
from .evaluation.table_scores import (
    table_scores,
)
from .evaluation.types import (
    types,
)
from .evaluation.types_or_axes import (
    types_or_axes,
)
from .operation.environments import (
    computation_versions,
    differing_numerics,
    environments,
    mixed_environments,
)
from .operation.jobs import (
    Row,
    bin_seconds,
    failures,
    queue_state,
    throughput,
    workers,
)
from .operation.recompute import (
    recompute,
)
from .operation.watch import (
    known_environments,
    lost_sample,
    ping,
    schema_version,
    store_path,
    watched,
)
from .population.matching import (
    matched_clusters,
)
from .population.neurons import (
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
from .population.new_neurons import (
    AssignedTo,
    NewNeurons,
    assign_new,
)
from .population.own_tables import (
    TableNames,
    feature_names,
    study_tables,
    table_names,
)
from .population.points import (
    EMBEDDED,
    Points,
    embeddings,
    network_points,
)
from .population.tuning import (
    PROFILE,
    cluster_fields,
    cluster_profiles,
    cluster_stimuli,
    first_partition,
    profile_rows,
)
from .population.views import (
    VIEW_KEY,
    view_points,
    views,
)

__all__ = [
    "ALL_METHODS",
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
    "TableNames",
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
    "by_construction",
    "choices",
    "choosing_study",
    "cluster_fields",
    "cluster_profiles",
    "cluster_stimuli",
    "clusters",
    "communities",
    "computation_versions",
    "confounds",
    "connect_to_read",
    "describe",
    "detectable",
    "differing_numerics",
    "effect",
    "embeddings",
    "environments",
    "epochs",
    "exists",
    "failed_jobs",
    "failures",
    "feature_names",
    "figure_neurons",
    "finetuned_nulls",
    "finetuning",
    "first_partition",
    "forecast",
    "forecast_plan",
    "front",
    "frozen_changes",
    "generators",
    "geometries",
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
    "run_groups",
    "runs",
    "schema_version",
    "score_names",
    "scores",
    "selection_cost",
    "shared_labellings",
    "specifications",
    "states",
    "statuses",
    "store_path",
    "studies",
    "study_counts",
    "study_facts",
    "study_progress",
    "study_rows",
    "study_tables",
    "surrogates",
    "table_names",
    "table_scores",
    "test_performance",
    "throughput",
    "types",
    "types_or_axes",
    "unused_rows",
    "view_points",
    "views",
    "watched",
    "whole_key",
    "workers",
    "worst_status",
]
