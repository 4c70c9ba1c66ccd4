from .joint_nulls import (
    SURROGATES,
    AgreementNullRequest,
    SeedNullFit,
    asked_seed_nulls,
    network_groups,
    request_agreement_null,
    requested_seed_nulls,
)
from .k_criteria import (
    SELECTION,
    KCriteria,
    NullFit,
    asked_criteria,
    asked_nulls,
)
from .k_selection import (
    KChoice,
    KSelection,
    record_choice,
)
from .types import (
    TypeCount,
)
from .types_or_axes import (
    AxesSpec,
    TypesOrAxes,
    register_axes_spec,
)

__all__ = [
    "SELECTION",
    "SURROGATES",
    "AgreementNullRequest",
    "AxesSpec",
    "KChoice",
    "KCriteria",
    "KSelection",
    "NullFit",
    "SeedNullFit",
    "TypeCount",
    "TypesOrAxes",
    "asked_criteria",
    "asked_nulls",
    "asked_seed_nulls",
    "network_groups",
    "record_choice",
    "register_axes_spec",
    "request_agreement_null",
    "requested_seed_nulls",
]
