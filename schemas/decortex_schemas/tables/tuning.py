"""In-silico tuning of networks, and the stimuli that tell a partition's clusters apart: what a cluster is.

As with views, what is asked here is no part of a study's plan: it changes no result and may be asked for at any time.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import tuning
from decortex.config import config_hash
from decortex.errors import ConfigError
from decortex_schemas.database import STAMP, Computation, Environment, Made, register_row, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.datasets import Dataset, load_recordings
from decortex_schemas.tables.networks import TrainedModel, load_network, require_network
from decortex_schemas.tables.specs import ClusterCount, ClusteringMethod  # noqa: F401  (foreign keys)
from decortex_schemas.tables.studies import Study, methods_named, require_study

if TYPE_CHECKING:
    from decortex.models import Network

_NETWORKS = (
    "source_kind = 'decortex'"  # trained here or rebuilt: stimuli have its pixel unit, neurons a position
)


@schema
class TuningSpec(dj.Lookup):
    """Which stimuli networks are shown."""

    definition = """
    # Stimuli of an in-silico experiment
    tuning_spec_id : int32
    ---
    spec_hash : char(64)
    params : json                # resolved TuningConfig
    unique index (spec_hash)
    """


@schema
class TuningRequest(dj.Manual):
    """Tuning that somebody wants of every network of a study."""

    definition = """
    # In-silico tuning asked of a study's networks
    -> Study
    -> TuningSpec
    """


@schema
class StimuliRequest(dj.Manual):
    """Discriminative stimuli that somebody wants of a study's partitions."""

    definition = """
    # Discriminative stimuli asked of a study's partitions
    -> Study
    -> ClusteringMethod
    -> ClusterCount
    """


@schema
class InSilicoTuning(Computation):
    """Tuning of all neurons of a network, and their linear fields."""

    version = tuning.TUNING_VERSION
    runs_network = True

    definition = f"""
    # What a network's neurons answer to: gratings, patches, spots; NaN where undefined
    -> TrainedModel
    -> TuningSpec
    ---
    orientation : <blob>                 # float64[n_neurons], preferred angle of the wave vector, radians in [0, pi)
    orientation_selectivity : <blob>     # 1 - circular variance, 0 to 1
    direction : <blob>                   # preferred drift, radians in [0, 2 pi); of movies
    direction_selectivity : <blob>       # (preferred - opposite) / (preferred + opposite); of movies
    period : <blob>                      # preferred spatial period, pixels
    modulation : <blob>                  # F1 / F0, 0 to 2: above 1 simple, below 1 complex
    radius : <blob>                      # of the best patch, pixels
    suppression : <blob>                 # by patches larger than the best, 0 to 1 and above
    sign : <blob>                        # light against dark spots, -1 OFF to 1 ON
    peak : <blob>                        # rise over grey to the best grating, unit of the recordings
    separable : <blob>                   # share of the linear field that space times time holds
    temporal_fields : <sealed_array@main>  # float32 (n_neurons, n_lags); the last is the frame that is answered to
    spatial_fields : <sealed_array@main>   # float32 (n_neurons, height, width), unit length
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Networks that predict, of studies that ask."""
        asked = Study.Model.proj() * TuningRequest.proj()
        return (TrainedModel & _NETWORKS).proj() * TuningSpec.proj() & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digest of the checkpoint and the stimuli."""
        return (TrainedModel & key).fetch1("checkpoint_sha256"), (TuningSpec & key).fetch1("params")

    def compute(self, key: dict[str, Any], sha256: str, params: dict[str, Any]) -> Made:
        """Show the stimuli."""
        network = load_network(TrainedModel & key)
        found = tuning.measure_tuning(network, tuning.TuningConfig.from_params(params), device="cpu").indices
        fields = tuning.linear_fields(network, device="cpu")
        row = {name: getattr(found, name) for name in tuning.INDICES}
        row |= {
            "separable": fields.separable,
            "temporal_fields": fields.temporal,
            "spatial_fields": fields.spatial,
        }
        return Made(row)


@schema
class ClusterStimuli(Computation):
    """For each cluster of a partition, the stimuli that drive it most, and the one that drives no other cluster."""

    version = 2  # with the most exciting stimuli
    runs_network = True

    definition = f"""
    # Most discriminative and most exciting stimuli of a partition's clusters
    -> Clustering
    ---
    n_clusters : int16                   # clusters that hold a neuron
    n_discriminated : int16              # those that their own stimulus drives more than any other cluster
    confusion : <blob>                   # float64 (n_clusters, n_clusters): response of a column's cluster to a row's
    objective : <blob>                   # float64[n_clusters]
    stimuli : <sealed_array@main>        # float32 (n_clusters, n_frames, height, width), s.d. of a pixel around grey
    exciting : <sealed_array@main>       # float32, as stimuli: optimised for the cluster's mean response alone
    exciting_responses : <blob>          # float64 (n_clusters, n_clusters), as confusion
    shown : <sealed_array@main>          # float32 (n_clusters, n_shown, n_frames, height, width): of the test stimuli
    shown_responses : <blob>             # float64 (n_clusters, n_shown), s.d. of a neuron over the test stimuli
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Partitions of networks that predict, of studies that ask."""
        asked = (
            Study.Model.proj() * Study.Embedding.proj() * Study.ClusteringSeed.proj() * StimuliRequest.proj()
        )
        several = Clustering & "k_effective > 1"
        return several.proj() & (TrainedModel & _NETWORKS).proj() & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digest of the checkpoint and the labels."""
        return (TrainedModel & key).fetch1("checkpoint_sha256"), (Clustering & key).fetch1("labels")

    def compute(self, key: dict[str, Any], sha256: str, labels: Any) -> Made:
        """Optimise two stimuli for each cluster, and find the best of those that were shown."""
        network = load_network(TrainedModel & key)
        labels, seed = np.asarray(labels), int(key["seed"])
        found = tuning.discriminative_stimuli(network, labels, seed=seed, device="cpu")
        exciting = tuning.exciting_stimuli(network, labels, seed=seed, device="cpu")
        shown = _among_shown(network, labels, key["dataset"])
        row = {
            "n_clusters": len(found.confusion),
            "n_discriminated": found.n_discriminated,
            "confusion": found.confusion,
            "objective": found.objective,
            "stimuli": found.stimuli,
            "exciting": exciting.stimuli,
            "exciting_responses": exciting.responses,
            "shown": shown.stimuli,
            "shown_responses": shown.responses,
        }
        return Made(row)


def _among_shown(network: Network, labels: NDArray[np.integer], dataset: str) -> tuning.ShownStimuli:
    """The most exciting of the test stimuli; none where the recordings are not there, or the network is not of them."""
    if len(Dataset & {"dataset": dataset} & "kind IN ('neurons_only', 'mapped')"):
        _, height, width = network.geometry.image_shape
        n = len(np.unique(labels[labels >= 0]))
        return tuning.ShownStimuli(np.zeros((n, 0, 1, height, width), dtype=np.float32), np.zeros((n, 0)))
    return tuning.exciting_among(network, labels, load_recordings(dataset), device="cpu")


def request_tuning(study: str, config: tuning.TuningConfig | None = None) -> int:
    """Ask for the tuning of every network of a study, now and of those still to come; asking again changes nothing.

    Returns
    -------
    int
        ``tuning_spec_id``.

    Raises
    ------
    ConfigError
        If there is no such study, or it is of tables alone, which have no network to measure.
    """
    require_study(study)
    require_network((Study.Model & {"study": study}).proj(), "The tuning of neurons")
    params = (config or tuning.TuningConfig()).resolved()
    identity = {"spec_hash": config_hash(params)}
    spec = register_row(TuningSpec, "tuning_spec_id", identity, {"params": params})
    TuningRequest.insert1({"study": study, "tuning_spec_id": spec}, skip_duplicates=True)
    return spec


def request_stimuli(study: str, method: str, counts: Iterable[int]) -> None:
    """Ask for discriminative stimuli of a study's partitions by one method at some K; again changes nothing.

    Raises
    ------
    ConfigError
        If there is no such study, or it has no such method or K.
    """
    require_study(study)
    methods = methods_named(study)
    if method not in methods:
        raise ConfigError(
            f"study {study!r} has no method {method!r}; its methods are {', '.join(sorted(methods))}."
        )
    known = {int(k) for k in (Study.Count & {"study": study}).to_arrays("k")}
    wanted = sorted(set(counts))
    if not wanted or not set(wanted) <= known:
        raise ConfigError(
            f"study {study!r} is asked for K = {wanted}; it has K = {', '.join(map(str, sorted(known)))}."
        )
    StimuliRequest.insert(({"study": study, **methods[method], "k": k} for k in wanted), skip_duplicates=True)
