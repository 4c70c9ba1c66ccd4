from .asked_plans import (
    AgreementNullPlan,
    StimuliPlan,
    TuningPlan,
    ViewPlan,
)
from .check import (
    check_plan,
)
from .defaults import (
    register_defaults,
)
from .network_plans import (
    NetworksPlan,
)
from .plans import (
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
from .state_plans import (
    states_study_of,
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
    "check_plan",
    "declare_plan",
    "plan_cost",
    "register_defaults",
    "register_none",
    "selection_study_of",
    "states_study_of",
]
