from .read import MISSING_WORDS, NeuronTable, TableColumns, neuron_table, read_table

__all__ = [
    "MISSING_WORDS",
    "NeuronTable",
    "TableColumns",
    "neuron_table",
    "read_table",
]
