from .checkpoints import register_checkpoint
from .defaults import register_defaults
from .label_files import register_labels
from .neuron_tables import register_table, table_of
from .plans import (
    EmbeddingPlan,
    FinetuningPlan,
    MethodPlan,
    NetworksPlan,
    PlanFile,
    SelectionPlan,
    ViewPlan,
    declare_plan,
    plan_cost,
    register_none,
)
from .priorities import apply_priorities, set_priority
from .state_plans import states_study_of

__all__ = [
    "EmbeddingPlan",
    "FinetuningPlan",
    "MethodPlan",
    "NetworksPlan",
    "PlanFile",
    "SelectionPlan",
    "ViewPlan",
    "apply_priorities",
    "declare_plan",
    "plan_cost",
    "register_checkpoint",
    "register_defaults",
    "register_labels",
    "register_none",
    "register_table",
    "set_priority",
    "states_study_of",
    "table_of",
]
