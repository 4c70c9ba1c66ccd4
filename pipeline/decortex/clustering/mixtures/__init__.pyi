from .base import (
    Covariance,
    Mixture,
    component_offsets,
    fitted_mixture,
    middle_centre,
    rolls,
    whitening,
)
from .gmm import (
    GMM,
)
from .gmm_swap import (
    EMOptions,
    best_exchange,
    mixture_of,
    mixture_of_partition,
)
from .t_expectation import (
    NU_BOUNDS,
)
from .tmixture import (
    ROTATION_TMIXTURE,
    TMIXTURE,
    em_step,
    first_mixture,
    run_em,
)

__all__ = [
    "GMM",
    "NU_BOUNDS",
    "ROTATION_TMIXTURE",
    "TMIXTURE",
    "Covariance",
    "EMOptions",
    "Mixture",
    "best_exchange",
    "component_offsets",
    "em_step",
    "first_mixture",
    "fitted_mixture",
    "middle_centre",
    "mixture_of",
    "mixture_of_partition",
    "rolls",
    "run_em",
    "whitening",
]
