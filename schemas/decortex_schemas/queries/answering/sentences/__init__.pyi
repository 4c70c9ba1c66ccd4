from .of_agreement import (
    agreement_answer,
)
from .of_association import (
    association_answer,
)
from .of_cluster import (
    cluster_answer,
)
from .of_finetuning import (
    finetuning_answer,
    finetuning_of_table,
)
from .of_table_labels import (
    table_labels_answer,
)
from .of_table_scores import (
    WITHIN,
    table_scores_answer,
)
from .of_types import (
    types_answer,
)

__all__ = [
    "WITHIN",
    "agreement_answer",
    "association_answer",
    "cluster_answer",
    "finetuning_answer",
    "finetuning_of_table",
    "table_labels_answer",
    "table_scores_answer",
    "types_answer",
]
