from .run import (
    OnStep,
    Plan,
    living_processes,
    migrations,
    plan_upgrade,
    refuse_living,
    upgrade,
)
from .step import (
    Column,
    Migration,
    OldTables,
    Step,
    add_columns,
)

__all__ = [
    "Column",
    "Migration",
    "OldTables",
    "OnStep",
    "Plan",
    "Step",
    "add_columns",
    "living_processes",
    "migrations",
    "plan_upgrade",
    "refuse_living",
    "upgrade",
]
