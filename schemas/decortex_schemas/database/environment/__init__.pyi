from .installed_code import (
    build_facts,
    code_state,
    source_digest,
)
from .provenance import (
    ALLOW_DIRTY,
    NUMERICS,
    STAMP,
    Environment,
    UpgradeStep,
    describe_environment,
    environment_hash,
    register_environment,
    register_row,
    run_stamp,
)

__all__ = [
    "ALLOW_DIRTY",
    "NUMERICS",
    "STAMP",
    "Environment",
    "UpgradeStep",
    "build_facts",
    "code_state",
    "describe_environment",
    "environment_hash",
    "register_environment",
    "register_row",
    "run_stamp",
    "source_digest",
]
