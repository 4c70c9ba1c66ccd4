"""Partitions and embeddings against label sets: agreement within animals, and decoding on animals left out."""

from __future__ import annotations

from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.evaluation import labels as external
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import LabelSet, labels_of, sessions_of
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED, N_PERMUTATIONS
from decortex_schemas.tables.evaluation.scored import animals_of
from decortex_schemas.tables.finetuning import DECFinetune, partition_labels

# Shuffles that are decoded again, each on every animal left out.
N_DECODED_PERMUTATIONS = 999

SCORES = """
macro_f1 = null : float64            # of neurons predicted when their group was left out
macro_f1_low = null : float64        # 95-percent interval over the groups
macro_f1_high = null : float64
balanced_accuracy = null : float64
balanced_accuracy_low = null : float64
balanced_accuracy_high = null : float64
chance_accuracy = null : float64     # mean balanced accuracy of labels shuffled within groups and decoded again
p_decoding = null : float64          # share of such shuffles that reach the balanced accuracy
n_decoded_permutations : int32
"""
LEFT_OUT = """
decoding_status : varchar(24)        # 'ok', 'no_labels', 'one_class', 'class_in_one_group'
left_out : varchar(16)               # groups left out in turn: 'animal', 'session', 'neuron' (random fifths)
n_groups : int32
n_decoded : int32                    # labelled neurons of classes that lie in two groups or more
"""


@schema
class LabelAgreement(Computation):
    """Do clusters follow external labels? On the neurons that have one, shuffled within animals."""

    definition = f"""
    # Partition against external labels
    -> DECFinetune
    -> LabelSet
    ---
    labels_sha256 : char(64)
    label_status : varchar(24)           # 'ok', 'no_labels', 'one_class', 'one_cluster', 'no_permutation'
    n_neurons : int32                    # with a label and a cluster
    n_classes : int16
    n_clusters : int16
    shuffled_within : varchar(16)        # 'animal'; 'session' where animals are not known
    n_blocks : int32
    ari = null : float64
    ami = null : float64
    purity = null : float64              # share of neurons with their cluster's commonest label; rises with K by itself
    ari_null = null : float64            # means under labels shuffled within blocks
    ami_null = null : float64
    purity_null = null : float64
    p_ari = null : float64               # one-sided, shuffled within blocks
    p_ami = null : float64
    p_purity = null : float64
    n_permutations : int32
    {LEFT_OUT}
    {SCORES}
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Every partition, under every label set of its dataset."""
        return DECFinetune.proj() * LabelSet.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the partition's and the labels' digests."""
        return (DECFinetune & key).fetch1("labels_sha256"), (LabelSet & key).fetch1("label_sha256")

    def compute(self, key: dict[str, Any], digest: str, label_sha256: str) -> Made:
        """Compare, and decode labels from clusters."""
        clusters, types = partition_labels(key), labels_of(key)
        animals, sessions = animals_of(key["dataset"]), sessions_of(key["dataset"])
        known = bool((animals != "").all())
        found = external.label_agreement(
            clusters,
            types,
            animals if known else sessions,
            seed=EVALUATION_SEED,
            n_permutations=N_PERMUTATIONS,
        )
        used = (types >= 0) & (clusters >= 0)
        folds = external.held_out_groups(animals[used], sessions[used], seed=EVALUATION_SEED)
        decoded = external.decode_clusters(
            clusters[used].astype(np.int64),
            types[used],
            folds,
            seed=EVALUATION_SEED,
            n_permutations=N_DECODED_PERMUTATIONS,
        )
        names = ("n_neurons", "n_classes", "n_clusters", "n_blocks", "n_permutations")
        indices = ("ari", "ami", "purity")
        row = {
            "labels_sha256": digest,
            "label_status": found.status,
            "shuffled_within": "animal" if known else "session",
            **{name: getattr(found, name) for name in names},
            **{name: getattr(found, name) for name in indices},
            **{f"{name}_null": getattr(found, f"{name}_null") for name in indices},
            **{f"p_{name}": getattr(found, f"p_{name}") for name in indices},
        }
        return Made({**row, **left_out_row(decoded), **score_row(decoded)})


@schema
class LabelDecoding(Computation):
    """How well external labels are decoded from an embedding, on animals that the decoder has not seen."""

    definition = f"""
    # External labels decoded from an embedding
    -> Embedding
    -> LabelSet
    ---
    {LEFT_OUT}
    classes_decoded : json               # positions in the label set's classes
    {STAMP}
    """

    class Decoder(dj.Part):
        """One decoder; 'logistic' is the default, whose values stand for the embedding."""

        definition = f"""
        -> master
        decoder : varchar(16)            # 'logistic' (multinomial regression), 'neighbours' (vote of the 15 nearest)
        ---
        {SCORES}
        confusion : <blob>               # int32[n_classes, n_classes]: neurons by class and predicted class
        """

    @property
    def key_source(self) -> Any:
        """Every embedding, under every label set of its dataset."""
        return Embedding.proj() * LabelSet.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digests of embedding and labels, and the excluded neurons."""
        sha256, excluded = (Embedding & key).fetch1("embedding_sha256", "excluded")
        return sha256, excluded, (LabelSet & key).fetch1("label_sha256")

    def compute(self, key: dict[str, Any], sha256: str, excluded: dict[str, str], label_sha256: str) -> Made:
        """Decode with every decoder, on the same folds."""
        x, types = load_embedding(key), labels_of(key)
        types[np.array([int(i) for i in excluded], dtype=np.int64)] = -1
        used = types >= 0
        folds = external.held_out_groups(
            animals_of(key["dataset"])[used], sessions_of(key["dataset"])[used], seed=EVALUATION_SEED
        )
        found = [
            external.decode_labels(
                x[used],
                types[used],
                folds,
                decoder=decoder,
                seed=EVALUATION_SEED,
                n_permutations=N_DECODED_PERMUTATIONS,
            )
            for decoder in external.DECODERS
        ]
        classes = found[0].classes
        row = {**left_out_row(found[0]), "classes_decoded": [] if classes is None else classes.tolist()}
        rows = [
            {"decoder": one.decoder, **score_row(one), "confusion": _confusion(one)}
            for one in found
            if one.status == "ok"
        ]
        return Made(row, {"Decoder": rows})


def left_out_row(found: external.Decoding) -> dict[str, Any]:
    """Columns that say on what labels were decoded."""
    return {
        "decoding_status": found.status,
        "left_out": found.left_out,
        "n_groups": found.n_groups,
        "n_decoded": found.n_neurons,
    }


def score_row(found: external.Decoding) -> dict[str, Any]:
    """Columns of one decoder's scores."""
    row: dict[str, Any] = {
        "chance_accuracy": found.chance,
        "p_decoding": found.p,
        "n_decoded_permutations": found.n_permutations,
    }
    for name, score in (("macro_f1", found.macro_f1), ("balanced_accuracy", found.balanced_accuracy)):
        row |= {
            name: None if score is None else score.value,
            f"{name}_low": None if score is None else score.low,
            f"{name}_high": None if score is None else score.high,
        }
    return row


def _confusion(found: external.Decoding) -> NDArray[np.int32]:
    return np.asarray(found.confusion, dtype=np.int32)
