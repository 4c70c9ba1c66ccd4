from .building import QUESTIONS
from .facts import (
    AgreementFacts,
    AssociationFacts,
    ChosenK,
    ClusterFacts,
    Cost,
    FinetuningFacts,
    NetworkTypes,
    NullComparison,
    PopulationFacts,
    ProfileFacts,
    Sample,
    TypeFacts,
)
from .profiles import profile_facts
from .reference import reference
from .sentences.of_agreement import agreement_answer
from .sentences.of_association import association_answer
from .sentences.of_cluster import cluster_answer
from .sentences.of_finetuning import finetuning_answer, finetuning_of_table
from .sentences.of_table_labels import table_labels_answer
from .sentences.of_table_scores import WITHIN, table_scores_answer
from .sentences.of_types import types_answer
from .study_answers import answers
from .verdicts import ANSWERS, MARKS, Answer
from .words import STATUS_TEXTS, p_text

__all__ = [
    "ANSWERS",
    "MARKS",
    "QUESTIONS",
    "STATUS_TEXTS",
    "WITHIN",
    "AgreementFacts",
    "Answer",
    "AssociationFacts",
    "ChosenK",
    "ClusterFacts",
    "Cost",
    "FinetuningFacts",
    "NetworkTypes",
    "NullComparison",
    "PopulationFacts",
    "ProfileFacts",
    "Sample",
    "TypeFacts",
    "agreement_answer",
    "answers",
    "association_answer",
    "cluster_answer",
    "finetuning_answer",
    "finetuning_of_table",
    "p_text",
    "profile_facts",
    "reference",
    "table_labels_answer",
    "table_scores_answer",
    "types_answer",
]
