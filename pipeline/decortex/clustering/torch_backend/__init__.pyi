from .device import Held, torch_device
from .eigen import smallest_eigenpairs, sparse_map
from .kmeans import TorchEngine
from .mixtures import TorchExpectation, run_gaussian_em

__all__ = [
    "Held",
    "TorchEngine",
    "TorchExpectation",
    "run_gaussian_em",
    "smallest_eigenpairs",
    "sparse_map",
    "torch_device",
]
