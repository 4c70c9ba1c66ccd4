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
from .own_tables import (
    TableNames,
    feature_names,
    study_tables,
    table_names,
)
from .points import (
    EMBEDDED,
    Points,
    embeddings,
    network_points,
)
from .tuning import (
    PROFILE,
    cluster_fields,
    cluster_profiles,
    cluster_stimuli,
    first_partition,
    profile_rows,
)
from .views import (
    VIEW_KEY,
    view_points,
    views,
)

__all__ = [
    "EMBEDDED",
    "MOST_PARTITIONS",
    "NEURON",
    "PROFILE",
    "VIEW_KEY",
    "AssignedTo",
    "NewNeurons",
    "Points",
    "TableNames",
    "assign_new",
    "cluster_fields",
    "cluster_profiles",
    "cluster_stimuli",
    "clusters",
    "embeddings",
    "exists",
    "feature_names",
    "finetuning",
    "first_partition",
    "labels",
    "matched_clusters",
    "network_points",
    "neurons",
    "partitions_at",
    "performance_by_cluster",
    "profile_rows",
    "scores",
    "study_tables",
    "table_names",
    "view_points",
    "views",
]
