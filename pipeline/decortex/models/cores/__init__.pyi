from .equivariant import EquivariantCore, TurnedConv, check_equivariance
from .kernels import KernelBasis, turned_basis
from .neuralpredictors import UNTOLD, Stacked2dConfig, Stacked2dCore, told_by_tensors
from .space_time import SpaceTimeConfig, SpaceTimeCore, SpaceTimeLayerConfig
from .stacked import Core, LayerConfig, MapGeometry, Nonlinearity, map_geometry

__all__ = [
    "UNTOLD",
    "Core",
    "EquivariantCore",
    "KernelBasis",
    "LayerConfig",
    "MapGeometry",
    "Nonlinearity",
    "SpaceTimeConfig",
    "SpaceTimeCore",
    "SpaceTimeLayerConfig",
    "Stacked2dConfig",
    "Stacked2dCore",
    "TurnedConv",
    "check_equivariance",
    "map_geometry",
    "told_by_tensors",
    "turned_basis",
]
