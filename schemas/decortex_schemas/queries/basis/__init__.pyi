from .connection import (
    array,
    connect_to_read,
    name_of,
    queue_names,
    rows,
)
from .grouped import (
    defined_values,
    grouped,
    grouped_sql,
    values,
)
from .result_rows import (
    averaged,
    paired,
    paired_agreement,
)
from .study_rows import (
    GROUP,
    LABEL,
    PARTITION,
    START,
    Key,
    Names,
    Row,
    average,
    defined,
    mean,
    middle,
    pick,
)

__all__ = [
    "GROUP",
    "LABEL",
    "PARTITION",
    "START",
    "Key",
    "Names",
    "Row",
    "array",
    "average",
    "averaged",
    "connect_to_read",
    "defined",
    "defined_values",
    "grouped",
    "grouped_sql",
    "mean",
    "middle",
    "name_of",
    "paired",
    "paired_agreement",
    "pick",
    "queue_names",
    "rows",
    "values",
]
