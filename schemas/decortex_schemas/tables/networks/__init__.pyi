from .network_states import (
    STATE_TABLES,
    NetworkState,
    parent_key,
    register_state,
)
from .networks import (
    ModelTask,
    TrainedModel,
    check_no_state,
    handover_of,
    raw_embedding,
)
from .null_networks import (
    NullDataset,
    NullRecordings,
    NullStudy,
    check_parent,
    declare_null_datasets,
    donor_of,
    generator_of,
)
from .performance import (
    SCORE_COLUMNS,
    SCORED_TIERS,
    Performance,
    score_rows,
)
from .stored_networks import (
    TASK_COLUMNS,
    build_task,
    check_order,
    checkpoint_bytes,
    checkpoint_columns,
    load_network,
    rebuild_task,
)

__all__ = [
    "SCORED_TIERS",
    "SCORE_COLUMNS",
    "STATE_TABLES",
    "TASK_COLUMNS",
    "ModelTask",
    "NetworkState",
    "NullDataset",
    "NullRecordings",
    "NullStudy",
    "Performance",
    "TrainedModel",
    "build_task",
    "check_no_state",
    "check_order",
    "check_parent",
    "checkpoint_bytes",
    "checkpoint_columns",
    "declare_null_datasets",
    "donor_of",
    "generator_of",
    "handover_of",
    "load_network",
    "parent_key",
    "raw_embedding",
    "rebuild_task",
    "register_state",
    "score_rows",
]
