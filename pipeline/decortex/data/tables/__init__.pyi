from .cells import same_number
from .names import names_of
from .read import WIDE, NeuronTable, TableColumns, neuron_table, read_table
from .text import MISSING_WORDS, SEPARATORS, check_features_named, missing, read_text_table

__all__ = [
    "MISSING_WORDS",
    "SEPARATORS",
    "WIDE",
    "NeuronTable",
    "TableColumns",
    "check_features_named",
    "missing",
    "names_of",
    "neuron_table",
    "read_table",
    "read_text_table",
    "same_number",
]
