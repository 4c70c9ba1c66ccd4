"""Whether clusters of an embedding or its continuous axes predict what lies outside it: scores, another network."""

from __future__ import annotations

from typing import Any, Literal

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex.evaluation import types_or_axes
from decortex_schemas.database import (  # noqa: F401  (Environment: foreign key)
    STAMP,
    Computation,
    Environment,
    Made,
    register_row,
    schema,
)
from decortex_schemas.tables.datasets import LabelSet, sessions_of
from decortex_schemas.tables.embeddings import Embedding, load_embedding
from decortex_schemas.tables.evaluation.quality import MAIN_TIER, compared_scores
from decortex_schemas.tables.evaluation.scored import animals_of
from decortex_schemas.tables.networks import Performance
from decortex_schemas.tables.specs import Seed  # noqa: F401  (foreign key)
from decortex_schemas.tables.studies import Study

FloatArray = NDArray[np.float64]
TargetKind = Literal["scores", "network", "labels"]

# Of folds, clusters and landmarks; a setting for all rows, so that any two embeddings are judged alike.
AXES_SEED = 0
# Of another network's embedding so many principal components are the target; further ones are mostly noise.
TARGET_COMPONENTS = 20
_INCREMENTS = ("clusters_add", "axes_add", "clusters_before_axes", "explained")


@schema
class AxesSpec(dj.Lookup):
    """What clusters and axes are compared by, and how; every row here is computed for every embedding of a study."""

    definition = """
    # Target and settings of a comparison of clusters and axes
    axes_spec_id : int32
    ---
    axes_hash : char(64)
    axes_spec : varchar(64)
    target_kind : varchar(16)        # 'scores' (of the network's tests), 'network' (another's embedding), 'labels'
    target_labels = '' : varchar(64) # name of the label set
    -> [nullable] Seed.proj(target_seed='seed')  # model seed of the other network, of the same specification
    params : json                    # resolved TypesOrAxesConfig
    unique index (axes_hash)
    """


def register_axes_spec(
    name: str,
    kind: TargetKind,
    *,
    model_seed: int | None = None,
    label_set: str = "",
    config: types_or_axes.TypesOrAxesConfig,
) -> int:
    """Register a target of the comparison of clusters and axes; returns ``axes_spec_id``.

    Parameters
    ----------
    name : str
        Shown in answers.
    kind : {'scores', 'network', 'labels'}
        Test scores of the network, the embedding of another network of its specification, or external labels.
    model_seed : int, optional
        Of the other network; for kind 'network' only.
    label_set : str
        Name of the label set, on every dataset that has one of this name; for kind 'labels' only.
    config : TypesOrAxesConfig

    Raises
    ------
    ConfigError
        If there is no such kind, or a seed is missing or of no use.
    """
    if kind not in ("scores", "network", "labels"):
        raise ConfigError(f"a target is of kind 'scores', 'network' or 'labels', got {kind!r}.")
    if (kind == "network") != (model_seed is not None) or (kind == "labels") != bool(label_set):
        raise ConfigError(
            "kind 'network' takes the model_seed of the other network, kind 'labels' a label_set, kind 'scores' "
            f"neither; got {kind!r} with model_seed {model_seed}, label_set {label_set!r}."
        )
    params = config.resolved()
    identity = {"kind": kind, "model_seed": model_seed, "label_set": label_set, "params": params}
    return register_row(
        AxesSpec,
        "axes_spec_id",
        {"axes_hash": config_hash(identity)},
        {
            "axes_spec": name,
            "target_kind": kind,
            "target_seed": model_seed,
            "target_labels": label_set,
            "params": params,
        },
    )


@schema
class TypesOrAxes(Computation):
    """Whether clusters or axes of one embedding predict one target of its neurons, on neurons held out."""

    version = 2  # 1: increments were differences of two losses

    definition = f"""
    # Clusters or continuous axes?
    -> Embedding
    -> AxesSpec
    ---
    axes_answer : varchar(16)        # 'clusters', 'axes', 'both', 'undecided'
    axes_reason : varchar(16)        # 'decided', 'not_predicted', 'too_close', 'too_few', 'no_target'
    n_neurons : int32                # with a target
    block_kind : varchar(16)         # held out whole, what intervals are over: 'animal', 'session', 'neuron'
    n_blocks = null : int32          # null: neurons count as independent, with fewer than four sessions
    n_targets : int32
    target_sha256 = null : char(64)  # of the other network's embedding, or of the labels
    r2_clusters = null : float64     # share of the target's variance explained on held-out neurons
    r2_axes = null : float64         # at the clusters' freedom
    r2_axes_wide = null : float64    # at twice that, as both
    r2_both = null : float64
    n_clusters = null : float64      # chosen, mean over folds
    axes_freedom = null : float64
    {STAMP}
    """

    class Increment(dj.Part):
        """What one description adds to another, as a share of the target's variance."""

        definition = """
        -> master
        increment : varchar(24)          # 'clusters_add', 'axes_add', 'clusters_before_axes', 'explained'
        ---
        value : float64
        low : float64
        high : float64
        p : float64                      # one-sided, of 'adds nothing'
        """

    @property
    def key_source(self) -> Any:
        """Embeddings that a study asks for, with the targets that exist."""
        asked = Embedding.proj() & Study.Model.proj() * Study.Embedding.proj()
        scores = AxesSpec & {"target_kind": "scores"}
        scored = asked * scores.proj() & (Performance & {"tier": MAIN_TIER}).proj()
        networks = AxesSpec & {"target_kind": "network"}
        others = Embedding.proj(target_seed="model_seed")
        compared = asked * networks.proj("target_seed") & others & "model_seed != target_seed"
        labels = AxesSpec & {"target_kind": "labels"}
        # A specification names label sets of any dataset: no foreign key ties the two.
        labelled = (asked * labels.proj("target_labels")).restrict(
            LabelSet.proj(target_labels="label_set"), semantic_check=False
        )
        return scored.proj() + compared.proj() + labelled.proj()

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digests, excluded neurons, the target and the settings."""
        sha256, excluded = (Embedding & key).fetch1("embedding_sha256", "excluded")
        spec = (AxesSpec & key).fetch1()
        digest = None
        if spec["target_kind"] == "network":
            digest = (Embedding & _other(key, spec["target_seed"])).fetch1("embedding_sha256")
        elif spec["target_kind"] == "labels":
            digest = (LabelSet & _label_key(key, spec)).fetch1("label_sha256")
        return sha256, excluded, spec, digest

    def compute(
        self,
        key: dict[str, Any],
        sha256: str,
        excluded: dict[str, str],
        spec: dict[str, Any],
        digest: str | None,
    ) -> Made:
        """Compare on the neurons that both have, whole animals held out where there are enough."""
        x, target = load_embedding(key), target_of(key, spec)
        included: NDArray[np.bool_] = np.logical_not(np.isnan(target).any(axis=1))
        included[[int(i) for i in excluded]] = False
        block_kind, blocks = blocks_of(key["dataset"], included)
        row = {
            "axes_answer": "undecided",
            "axes_reason": "no_target",
            "n_neurons": int(included.sum()),
            "block_kind": block_kind,
            "n_targets": target.shape[1],
            "target_sha256": digest,
        }
        if not included.any() or not np.ptp(target[included], axis=0).any():
            return Made(row)
        found = types_or_axes.types_or_axes(
            x[included],
            target[included],
            blocks=blocks,
            categorical=spec["target_kind"] == "labels",
            standardise=spec["target_kind"] != "network",
            seed=AXES_SEED,
            config=types_or_axes.TypesOrAxesConfig.from_params(spec["params"]),
        )
        numbers = ("r2_clusters", "r2_axes", "r2_axes_wide", "r2_both", "n_clusters", "axes_freedom")
        row |= {
            "axes_answer": found.answer,
            "axes_reason": found.reason,
            "n_blocks": found.n_blocks,
            "n_targets": found.n_targets,
            **{name: getattr(found, name) for name in numbers},
        }
        return Made(row, {"Increment": increment_rows(found)})


def target_of(key: dict[str, Any], spec: dict[str, Any]) -> FloatArray:
    """Target of every neuron of the dataset, (n_neurons, n_targets); NaN: none. Of labels, positions in the classes."""
    if spec["target_kind"] == "scores":
        return compared_scores(key, "none")[:, None]
    if spec["target_kind"] == "labels":
        values = (LabelSet & _label_key(key, spec)).fetch1("label_values").astype(np.float64)
        return np.where(values < 0, np.nan, values)[:, None]
    other = _other(key, spec["target_seed"])
    return principal_components(load_embedding(other), (Embedding & other).fetch1("excluded"))


def increment_rows(found: types_or_axes.TypesOrAxes) -> list[dict[str, Any]]:
    """Rows of `TypesOrAxes.Increment`; none where there were too few neurons."""
    increments = {name: getattr(found, name) for name in _INCREMENTS}
    return [
        {"increment": name, "value": one.value, "low": one.low, "high": one.high, "p": one.p}
        for name, one in increments.items()
        if one is not None
    ]


def principal_components(x: FloatArray, excluded: dict[str, str]) -> FloatArray:
    """First principal components of an embedding, (n_neurons, at most 20); NaN for neurons that it excludes."""
    included = np.ones(len(x), dtype=bool)
    included[[int(i) for i in excluded]] = False
    centred = x[included] - x[included].mean(axis=0)
    directions = np.linalg.svd(centred, full_matrices=False)[2][:TARGET_COMPONENTS]
    components = np.full((len(x), len(directions)), np.nan)
    components[included] = centred @ directions.T
    return components


def blocks_of(dataset: str, included: NDArray[np.bool_]) -> tuple[str, NDArray[np.str_] | None]:
    """Animals if at least four have neurons here, else sessions, else none: what is held out whole, and its name."""
    for kind, names in (("animal", animals_of(dataset)), ("session", sessions_of(dataset))):
        if len(np.unique(names[included])) >= types_or_axes.FEWEST_BLOCKS:
            return kind, names[included]
    return "neuron", None


def _other(key: dict[str, Any], seed: int | None) -> dict[str, Any]:
    """Key of the embedding of the network of another seed."""
    names = Embedding().primary_key
    return {**{name: key[name] for name in names}, "model_seed": seed}


def _label_key(key: dict[str, Any], spec: dict[str, Any]) -> dict[str, Any]:
    """Key of the label set that is the target."""
    return {"dataset": key["dataset"], "label_set": spec["target_labels"]}
