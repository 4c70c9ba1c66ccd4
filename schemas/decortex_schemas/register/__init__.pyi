from .checkpoints import (
    register_checkpoint,
)
from .label_files import (
    register_labels,
)
from .needs import (
    asked_by,
    own_condition,
    parts_of,
    unused_condition,
)
from .neuron_tables import (
    register_table,
    table_of,
)
from .plans.asked_plans import (
    AgreementNullPlan,
    StimuliPlan,
    TuningPlan,
    ViewPlan,
)
from .plans.check import (
    check_plan,
)
from .plans.defaults import (
    register_defaults,
)
from .plans.network_plans import (
    NetworksPlan,
)
from .plans.plans import (
    EmbeddingPlan,
    FinetuningPlan,
    MethodPlan,
    PlanFile,
    SelectionPlan,
    declare_plan,
    plan_cost,
    register_none,
    selection_study_of,
)
from .plans.state_plans import (
    states_study_of,
)
from .priorities import (
    apply_priorities,
    set_priority,
)
from .removal import (
    remove_study,
    remove_unused,
    rename_study,
    resting_on,
)

__all__ = [
    "AgreementNullPlan",
    "EmbeddingPlan",
    "FinetuningPlan",
    "MethodPlan",
    "NetworksPlan",
    "PlanFile",
    "SelectionPlan",
    "StimuliPlan",
    "TuningPlan",
    "ViewPlan",
    "apply_priorities",
    "asked_by",
    "check_plan",
    "declare_plan",
    "own_condition",
    "parts_of",
    "plan_cost",
    "register_checkpoint",
    "register_defaults",
    "register_labels",
    "register_none",
    "register_table",
    "remove_study",
    "remove_unused",
    "rename_study",
    "resting_on",
    "selection_study_of",
    "set_priority",
    "states_study_of",
    "table_of",
    "unused_condition",
]
