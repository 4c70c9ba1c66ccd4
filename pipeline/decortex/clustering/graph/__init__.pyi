from .basis import Basis, basis_size, solve_by_component
from .discretise import Discretisation, discretise
from .eigen import (
    BLOCKS,
    DEGREE,
    GUARD,
    MAX_PRODUCTS,
    N_ACTIVE,
    Eigenpairs,
    Operator,
    extended,
    restarted,
    smallest_eigenpairs,
    tolerances,
)
from .ldmgi import LDMGI, laplacian, local_models
from .leiden import LEIDEN, leiden_communities, modularity
from .neighbours import components, nearest_neighbours, normalised_affinity
from .result import GraphFit, graph_result
from .sec import SEC, SECProblem
from .spectral import SPECTRAL, connectivity

__all__ = [
    "BLOCKS",
    "DEGREE",
    "GUARD",
    "LDMGI",
    "LEIDEN",
    "MAX_PRODUCTS",
    "N_ACTIVE",
    "SEC",
    "SPECTRAL",
    "Basis",
    "Discretisation",
    "Eigenpairs",
    "GraphFit",
    "Operator",
    "SECProblem",
    "basis_size",
    "components",
    "connectivity",
    "discretise",
    "extended",
    "graph_result",
    "laplacian",
    "leiden_communities",
    "local_models",
    "modularity",
    "nearest_neighbours",
    "normalised_affinity",
    "restarted",
    "smallest_eigenpairs",
    "solve_by_component",
    "tolerances",
]
