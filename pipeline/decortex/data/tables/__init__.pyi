from .h5ad import read_h5ad
from .read import NeuronTable, TableColumns, neuron_table, read_table

__all__ = [
    "NeuronTable",
    "TableColumns",
    "neuron_table",
    "read_h5ad",
    "read_table",
]
