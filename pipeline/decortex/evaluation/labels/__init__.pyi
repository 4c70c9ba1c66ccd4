from .decoding import DECODERS, Decoding, Folds, decode_clusters, decode_labels, held_out_groups
from .matching import LabelColumns, NeuronLabels, match_labels, read_label_rows
from .permuted import LabelAgreement, label_agreement
from .scores import Score, balanced_accuracy, confusions, macro_f1, score_groups

__all__ = [
    "DECODERS",
    "Decoding",
    "Folds",
    "LabelAgreement",
    "LabelColumns",
    "NeuronLabels",
    "Score",
    "balanced_accuracy",
    "confusions",
    "decode_clusters",
    "decode_labels",
    "held_out_groups",
    "label_agreement",
    "macro_f1",
    "match_labels",
    "read_label_rows",
    "score_groups",
]
