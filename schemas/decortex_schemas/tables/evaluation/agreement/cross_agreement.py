"""Agreement across methods, and across network specifications (other cores, readouts or training)."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Mapping
from typing import Any, ClassVar

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset  # noqa: F401  (foreign keys)
from decortex_schemas.tables.evaluation.agreement.seed_agreement import PAIR_COLUMNS, compare, mean_indices
from decortex_schemas.tables.finetuning import partition_labels
from decortex_schemas.tables.specs import (  # noqa: F401  (foreign keys)
    ClusterCount,
    ClusteringMethod,
    EmbeddingSpec,
    FinetuneSpec,
    ModelSpec,
)
from decortex_schemas.tables.studies import FrozenStudy, Study, check_frozen, members_of


@schema
class MethodAgreement(Computation):
    """Whether methods find the same partition, of one network and across networks: all pairs of methods at once.

    One key holds every pair, because labels are fetched once for all of them: 33 methods are 528 pairs.
    """

    # The confusions of 528 pairs of methods do not fit one statement at large K.
    chunk_sizes: ClassVar[Mapping[str, int]] = {"Pair": 500}

    definition = f"""
    # Agreement of all methods of a study at one K and fine-tuning
    -> FrozenStudy
    -> Dataset
    -> ModelSpec
    -> EmbeddingSpec
    -> ClusterCount
    -> FinetuneSpec
    ---
    n_methods : int32
    {STAMP}
    """

    class Between(dj.Part):
        """Two methods."""

        definition = """
        -> master
        -> ClusteringMethod.proj(method_a='method', method_id_a='method_id')
        -> ClusteringMethod.proj(method_b='method', method_id_b='method_id')
        ---
        ari_same = null : float64            # mean over networks and clustering seeds that both methods have
        ari_same_min = null : float64
        ami_same = null : float64
        v_measure_same = null : float64
        fowlkes_mallows_same = null : float64
        matched_same = null : float64
        n_pairs_same : int32
        ari_other = null : float64           # one method on one network against the other on another network
        ari_other_min = null : float64
        ami_other = null : float64
        v_measure_other = null : float64
        fowlkes_mallows_other = null : float64
        matched_other = null : float64
        n_pairs_other : int32
        """

    class Pair(dj.Part):
        """Two methods' partitions of one network at one clustering seed."""

        definition = f"""
        -> master.Between
        model_seed : int32
        seed : int32
        ---
        {PAIR_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """One key per K and fine-tuning at which a frozen study has two methods or more."""
        first = Study.Finetuning.proj(method_a="method", method_id_a="method_id")
        second = Study.Finetuning.proj(method_b="method", method_id_b="method_id")
        asked = (
            FrozenStudy.proj() * Study.Model.proj() * Study.Embedding.proj() * first * second
            & "method_id_a < method_id_b"
        )
        return self.asked_keys(asked)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the members; they must still be those that were frozen."""
        check_frozen(key["study"], key)
        return (members_of(key["study"], key).proj().to_dicts(order_by="KEY"),)

    def compute(self, key: dict[str, Any], members: list[dict[str, Any]]) -> Made:
        """Compare every two methods at equal clustering seeds: on the same network, and on every other one."""
        labels: dict[tuple[int, str], dict[tuple[int, int], NDArray[np.int16]]] = defaultdict(dict)
        for one in members:
            labels[one["method_id"], one["method"]][one["model_seed"], one["seed"]] = partition_labels(one)
        between, pairs = [], []
        for (id_a, method_a), (id_b, method_b) in itertools.combinations(sorted(labels), 2):
            names = {"method_a": method_a, "method_id_a": id_a, "method_b": method_b, "method_id_b": id_b}
            same, other = compare_methods(labels[id_a, method_a], labels[id_b, method_b], key["k"])
            if same or other:
                between.append({**names, **mean_indices(same, "same"), **mean_indices(other, "other")})
                pairs += [{**names, **pair} for pair in same]
        return Made({"n_methods": len(labels)}, {"Between": between, "Pair": pairs})


Partitions = Mapping[tuple[int, int], NDArray[np.int16]]


def compare_methods(
    first: Partitions, second: Partitions, k: int
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Compare partitions by (network, clustering seed) of two methods, at equal clustering seeds.

    Returns
    -------
    same, other : list of dict
        Comparisons of one network, and of one method on one network with the other on another.
    """
    same, other = [], []
    for (network_a, seed_a), (network_b, seed_b) in itertools.product(first, second):
        if seed_a != seed_b:
            continue
        found = compare(first[network_a, seed_a], second[network_b, seed_b], k)
        if network_a == network_b:
            same.append({"model_seed": network_a, "seed": seed_a, **found})
        else:
            other.append(found)
    return same, other


@schema
class ModelAgreement(Computation):
    """Whether networks of two specifications find the same partition of the same neurons."""

    definition = f"""
    # Agreement of two network specifications at one method, K and fine-tuning
    -> FrozenStudy
    -> Dataset
    -> ModelSpec.proj(model_spec_a='model_spec_id')
    -> ModelSpec.proj(model_spec_b='model_spec_id')
    -> EmbeddingSpec
    -> ClusteringMethod
    -> ClusterCount
    -> FinetuneSpec
    ---
    ari_models = null : float64          # mean over pairs of networks, one of each, at equal clustering seed
    ari_models_min = null : float64
    ami_models = null : float64
    v_measure_models = null : float64
    fowlkes_mallows_models = null : float64
    matched_models = null : float64
    n_pairs_models : int32
    {STAMP}
    """

    class Pair(dj.Part):
        """A network of the one specification and a network of the other, at one clustering seed."""

        definition = f"""
        -> master
        model_seed_a : int32
        model_seed_b : int32
        seed : int32
        ---
        {PAIR_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """One key per pair of specifications that a frozen study has on one dataset."""
        first = Study.Model.proj(model_spec_a="model_spec_id", model_seed_a="model_seed")
        second = Study.Model.proj(model_spec_b="model_spec_id", model_seed_b="model_seed")
        asked = (
            FrozenStudy.proj() * first * second * Study.Embedding.proj() * Study.Finetuning.proj()
            & "model_spec_a < model_spec_b"
        )
        return self.asked_keys(asked)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch both specifications' members; they must still be those that were frozen."""
        both = [{**key, "model_spec_id": key[f"model_spec_{one}"]} for one in "ab"]
        for one in both:
            check_frozen(key["study"], one)
        return tuple(members_of(key["study"], one).proj().to_dicts(order_by="KEY") for one in both)

    def compute(
        self, key: dict[str, Any], members_a: list[dict[str, Any]], members_b: list[dict[str, Any]]
    ) -> Made:
        """Compare every network of the one with every network of the other."""
        first, second = (
            {(m["model_seed"], m["seed"]): partition_labels(m) for m in members}
            for members in (members_a, members_b)
        )
        pairs = [
            {
                "model_seed_a": a[0],
                "model_seed_b": b[0],
                "seed": a[1],
                **compare(first[a], second[b], key["k"]),
            }
            for a, b in itertools.product(first, second)
            if a[1] == b[1]
        ]
        return Made(mean_indices(pairs, "models"), {"Pair": pairs})
