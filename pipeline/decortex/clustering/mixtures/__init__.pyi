from .base import (
    Mixture,
    fitted_mixture,
    rolls,
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
from .tmixture import (
    NU_BOUNDS,
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
    "EMOptions",
    "Mixture",
    "best_exchange",
    "em_step",
    "first_mixture",
    "fitted_mixture",
    "mixture_of",
    "mixture_of_partition",
    "rolls",
    "run_em",
]
