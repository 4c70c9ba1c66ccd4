"""Fine-tuning: networks reshaped by a clustering loss, and their equal-epoch control without one."""

from __future__ import annotations

import functools
from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex import embeddings, models
from decortex import finetune as finetuning
from decortex.errors import ConfigError, InputError
from decortex.finetune import ROTATION_KINDS, FinetuneConfig
from decortex.models import training
from decortex.models.training import TrainingConfig
from decortex_schemas.database import STAMP, Computation, Environment, Made, run_state, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.clustering import Clustering
from decortex_schemas.tables.datasets import load_recordings
from decortex_schemas.tables.embeddings import array_sha256
from decortex_schemas.tables.finetune_peers import (
    load_peers,
    peer_rows,
    peers_sha256,
    without_waiting_for_peers,
)
from decortex_schemas.tables.finetune_rows import curve_rows, head_rows, moved_row
from decortex_schemas.tables.finetune_starts import start_digest, start_labels, without_waiting
from decortex_schemas.tables.networks import (
    SCORE_COLUMNS,
    SCORED_TIERS,
    STATE_TABLES,
    TrainedModel,
    check_no_state,
    checkpoint_bytes,
    checkpoint_columns,
    handover_of,
    load_network,
    score_rows,
)
from decortex_schemas.tables.specs import (
    EmbeddingSpec,
    FinetuneSpec,
    Metric,  # noqa: F401  (foreign key)
    Seed,
    Tier,  # noqa: F401  (foreign key)
    TrainingSchedule,
    batch_seed,
)
from decortex_schemas.tables.studies import Study


@schema
class ContinuedTraining(Computation):
    """The same network trained on without a clustering loss: the equal-epoch control of every fine-tuning."""

    runs_network = True
    memory = "recordings"

    definition = f"""
    # Continued training without a clustering loss
    -> TrainedModel
    -> TrainingSchedule
    -> Seed.proj(control_seed='seed')
    ---
    checkpoint : <sealed_bytes@main>
    checkpoint_sha256 : char(64)
    embedding : <sealed_array@main>         # readout weights at the end, float32 (n_neurons, n_channels)
    n_epochs : int32
    kept_epoch : int32
    stop_reason : varchar(24)
    {STAMP}
    """

    class Epoch(dj.Part):
        """One epoch, with every neuron's test score, so that the control can be read at any epoch."""

        definition = """
        -> master
        epoch : int32
        ---
        train_loss = null : float64
        validation_loss = null : float64
        validation_correlation = null : float64
        score_values : <blob>            # float64[n_neurons], correlation to average on test images
        """

    @property
    def key_source(self) -> Any:
        """Networks and schedules whose fine-tuning a study asks for."""
        variants = Study.Finetuning.proj() * FinetuneSpec.proj("schedule_id", "control_seed")
        asked = Study.Model.proj() * variants & "schedule_id IS NOT NULL"
        return TrainedModel.proj() * TrainingSchedule.proj() * Seed.proj(control_seed="seed") & asked

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the digest of the network and the schedule."""
        return (TrainedModel & key).fetch1("checkpoint_sha256"), (TrainingSchedule & key).fetch1("params")

    def compute(self, key: dict[str, Any], sha256: str, params: dict[str, Any]) -> Made:
        """Train on and score every epoch."""
        state = run_state("ContinuedTraining", key, network=sha256, schedule=params)
        network, schedule = load_network(TrainedModel & key), TrainingConfig.from_params(params)
        outcome = finetuning.continue_training(
            network,
            load_recordings(key["dataset"]),
            schedule,
            seed=batch_seed(key["control_seed"], key["model_seed"]),
            after=handover_of(key) if schedule.optimiser_state == "carried" else None,
            state=state,
            maps=shared_maps(),
        )
        row = {
            **checkpoint_columns(checkpoint_bytes(network)),
            "embedding": network.embedding().detach().numpy(),
            "n_epochs": len(outcome.epochs),
            "kept_epoch": outcome.best_epoch,
            "stop_reason": outcome.stop_reason,
        }
        epochs = [
            {
                "epoch": record.epoch,
                "train_loss": record.train_loss,
                "validation_loss": record.validation_loss,
                "validation_correlation": record.validation_correlation,
                "score_values": scores,
            }
            for record, scores in zip(outcome.epochs, outcome.test_scores, strict=True)
        ]
        return Made(row, {"Epoch": epochs}, state=state)

    def before_insert(self, key: dict[str, Any], made: Made) -> None:
        """No network may hold an earlier result of this control."""
        check_no_state("ContinuedTraining", key, made.row["checkpoint_sha256"])


@schema
class DECFinetune(Computation):
    """A partition after fine-tuning; with 'none' it is its Clustering, untouched."""

    runs_network = True
    memory = "recordings"

    definition = f"""
    # A partition after fine-tuning ('none': before it)
    -> Clustering
    -> FinetuneSpec
    ---
    labels = null : <blob>               # int16[n_neurons]; null with 'none': those of the Clustering
    labels_sha256 : char(64)
    finetune_status : varchar(24)        # 'ok', 'flat_target', 'empty_start', ...; the fit's status with 'none'
    stop_reason : varchar(24)
    n_epochs : int32
    kept_epoch : int32
    share_changed = null : float64       # share of neurons whose label is not the start's
    checkpoint = null : <sealed_bytes@main>
    checkpoint_sha256 = null : char(64)
    embedding_sha256 = null : char(64)
    embedding = null : <sealed_array@main>  # moved points, float64, in the space of the Clustering's embedding
    parameters = null : <blob>           # cluster parameters of the same state as the labels
    beta = null : float64                # weight of the clustering loss that was used
    mean_max_q_start = null : float64
    kl_start = null : float64
    mean_max_q = null : float64
    entropy_mean_q = null : float64      # over log K
    distance_over_scale = null : float64 # smallest centre distance over within-cluster scale
    n_alive = null : int16               # clusters that live, where they may die or the start has fewer than K
    start_sha256 = null : char(64)       # of the consensus that it started from; null: its Clustering's labels
    peers_sha256 = null : char(64)       # of the networks' partitions that it learnt from
    {STAMP}
    """

    class Epoch(dj.Part):
        """One epoch: losses, performance and the state of the clustering."""

        definition = """
        -> master
        epoch : int32
        ---
        train_loss = null : float64      # prediction loss, mean over steps; null where no image is shown
        penalty = null : float64         # of the features' L1 norm, mean over steps
        validation_loss = null : float64
        validation_correlation = null : float64
        loss = null : float64            # weighted clustering loss, mean over steps
        kl = null : float64              # mean a neuron, nats
        mean_max_q = null : float64
        entropy_mean_q = null : float64
        n_empty = null : int16
        n_alive = null : int16           # clusters that live, where they may die
        sizes : json                     # neurons a cluster, in the start's order of clusters
        distance_over_scale = null : float64
        share_clamped = null : float64
        share_changed = null : float64   # of labels, during this epoch
        gradient_norm_prediction = null : float64
        gradient_norm_term = null : float64
        epoch_seconds : float64
        """

    class Head(dj.Part):
        """A further number of clusters that was trained beside the partition's own."""

        definition = """
        -> master
        head_k : int16                   # its number of clusters
        ---
        labels : <blob>                  # int16[n_neurons], of the same state as the partition's
        kl_start = null : float64
        mean_max_q_start = null : float64
        kl = null : float64
        mean_max_q = null : float64
        entropy_mean_q = null : float64
        n_empty : int16
        curve : json                     # what every epoch ended with: kl, mean_max_q, entropy_mean_q, n_empty
        """

    class Score(dj.Part):
        """How well the fine-tuned network predicts every neuron."""

        definition = f"""
        -> master
        -> Tier
        -> Metric
        ---
        {SCORE_COLUMNS}
        """

    @property
    def key_source(self) -> Any:
        """Fine-tunings that a study asks for; those from a consensus, or from other networks, once these are there."""
        asked = Study.Model.proj() * Study.Embedding.proj() * Study.Finetuning.proj()
        every = without_waiting(Clustering.proj() * FinetuneSpec.proj() & asked)
        return without_waiting_for_peers(every, DECFinetune)

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch digests and parameters."""
        params, schedule_id, seed = (FinetuneSpec & key).fetch1("params", "schedule_id", "control_seed")
        schedule = (
            None
            if schedule_id is None
            else (TrainingSchedule & {"schedule_id": schedule_id}).fetch1("params")
        )
        return (
            params,
            schedule,
            seed,
            (EmbeddingSpec & key).fetch1("params"),
            (TrainedModel & key).fetch1("checkpoint_sha256"),
            (Clustering & key).fetch1("fit_status"),
            start_digest(key, params),
            peers_sha256(peer_rows(key, params, DECFinetune)),
        )

    def compute(
        self,
        key: dict[str, Any],
        params: dict[str, Any],
        schedule: dict[str, Any] | None,
        seed: int | None,
        embedding: dict[str, Any],
        sha256: str,
        fit_status: str,
        start_sha256: str | None,
        peers: str | None,
    ) -> Made:
        """Fine-tune from the partition, or pass it on."""
        labels, fitted = start_labels(key, params), (Clustering & key).fetch1("parameters")
        if schedule is None or seed is None:
            return Made(untouched_row(labels, fit_status))
        if (labels < 0).any():
            raise InputError(
                f"{int((labels < 0).sum())} neurons are not in the embedding and cannot be fine-tuned; "
                "remove these neurons from the recordings, or train with a smaller feature_l1."
            )
        rotation = rotation_start(params, fitted, len(labels))
        state = run_state(
            "DECFinetune",
            key,
            network=sha256,
            embedding=embedding,
            labels=array_sha256(labels),
            shifts=None if rotation is None else array_sha256(rotation.shifts),
            finetuning=params,
            schedule=schedule,
            seed=seed,
            **({} if peers is None else {"peers": peers}),
        )
        network, how = load_network(TrainedModel & key), TrainingConfig.from_params(schedule)
        recordings = load_recordings(key["dataset"])
        raw = network.embedding().detach().numpy()
        result = finetuning.finetune(
            network,
            recordings,
            embeddings.fit_map(raw, embeddings.EmbeddingConfig.from_params(embedding)),
            labels,
            FinetuneConfig.from_params(params),
            how,
            n_clusters=key["k"],
            seed=batch_seed(seed, key["model_seed"]),
            rotation=rotation,
            peers=load_peers(
                peer_rows(key, params, DECFinetune), moved_points=moved_embedding, labels_of=partition_labels
            ),
            after=handover_of(key) if how.optimiser_state == "carried" else None,
            state=state,
            maps=shared_maps(),
        )
        scores = [
            {"tier": tier, **row}
            for tier in SCORED_TIERS
            for row in score_rows(models.score_recordings(network, recordings, tier)[0])
        ]
        return Made(
            {
                **moved_row(result, key["k"]),
                "start_sha256": start_sha256,
                "peers_sha256": peers,
                **checkpoint_columns(checkpoint_bytes(network)),
            },
            {"Epoch": curve_rows(result), "Head": head_rows(result), "Score": scores},
            state=state,
        )

    def before_insert(self, key: dict[str, Any], made: Made) -> None:
        """No network may hold an earlier result of this fine-tuning."""
        check_no_state("DECFinetune", key, made.row.get("checkpoint_sha256"))


def untouched_row(labels: NDArray[np.int16], fit_status: str) -> dict[str, Any]:
    """Columns of 'none': the partition as its method left it."""
    return {
        "labels_sha256": array_sha256(labels),
        "finetune_status": fit_status,
        "stop_reason": "none",
        "n_epochs": 0,
        "kept_epoch": 0,
    }


def rotation_start(
    params: dict[str, Any], fitted: dict[str, NDArray[np.float64]], n_neurons: int
) -> finetuning.RotationStart | None:
    """Orientations and shifts that a rotation kind starts from; None for the other kinds.

    Raises
    ------
    ConfigError
        If the clustering is not one up to a roll.
    """
    if params["kind"] not in ROTATION_KINDS:
        return None
    if "shifts" in fitted:
        return finetuning.RotationStart(
            int(fitted["n_orientations"].item()), fitted["shifts"].astype(np.int64)
        )
    if "nu" not in fitted:
        raise ConfigError(
            f"fine-tuning of kind {params['kind']!r} starts from a clustering whose parameters hold every neuron's "
            "shift: let the study's fine-tuning name a 'rotation_tmixture' method."
        )
    # A shift-EM row with one orientation is a plain t-mixture and has nothing to shift.
    return finetuning.RotationStart(1, np.zeros(n_neurons, dtype=np.int64))


def moved_embedding(key: dict[str, Any]) -> NDArray[np.float64]:
    """Read the moved points of one fine-tuning and check them against their digest.

    Raises
    ------
    InputError
        If the stored file is not the array that was inserted.
    """
    reference, digest = (DECFinetune & key).fetch1("embedding", "embedding_sha256")
    points: NDArray[np.float64] = reference.load()
    if array_sha256(points) != digest:
        raise InputError(
            f"the stored array of fine-tuning {key} is not the one that was inserted (sha256 differs): restore the "
            "store from its backup, or delete the row and recompute it."
        )
    return points


def partition_labels(key: dict[str, Any]) -> NDArray[np.int16]:
    """Labels of one `DECFinetune` row, (n_neurons,); the one place that resolves those of 'none'."""
    labels: NDArray[np.int16] | None = (DECFinetune & key).fetch1("labels")
    if labels is None:
        own: NDArray[np.int16] = (Clustering & key).fetch1("labels")
        return own
    return labels


@functools.cache
def shared_maps() -> training.MapMemory:
    """Feature maps of cores that stay as they are, shared by this process's fine-tunings, controls and nulls."""
    return training.MapMemory(2 * 1024**3)


STATE_TABLES.update(control=ContinuedTraining, fine_tuned=DECFinetune)
