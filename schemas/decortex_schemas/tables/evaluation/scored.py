"""What partitions are compared by: test scores, covariates, and images that no training has seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex import data
from decortex.evaluation import performance
from decortex.evaluation.association import CovariateConfig, covariate_columns, log_rate, norms, scaled_scores
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import Dataset, mapped_recordings, neuron_column, sessions_of
from decortex_schemas.tables.evaluation.quality import (
    EVALUATION_SEED,
    MAIN_METRIC,
    MAIN_TIER,
    compared_scores,
    scores_after,
)
from decortex_schemas.tables.finetuning import DECFinetune
from decortex_schemas.tables.networks import (
    NullDataset,
    NullRecordings,
    Performance,
    TrainedModel,
    raw_embedding,
)
from decortex_schemas.tables.studies import Study

FloatArray = NDArray[np.float64]


@schema
class RecordingSummary(Computation):
    """Mean responses of a dataset's neurons, and whether scores come from images that no training has seen."""

    definition = f"""
    # Mean responses, and the images that scores are read from
    -> Dataset
    ---
    mean_response : <blob>               # float64[n_neurons], over training trials; NaN without a recording
    spearman_brown : <blob>              # float64[n_neurons], of averages over the repeats of test images; NaN: none
    oracle : <blob>                      # float64[n_neurons], a test response against the others to its image
    n_test_images : int32                # different ones over all sessions, by content
    n_shared_images : int32              # those that some session shows for training or validation
    n_repeated_images : int32            # test images shown twice or more, fewest of a session: FEV rests on them
    {STAMP}
    """

    @property
    def key_source(self) -> Any:
        """Datasets with recordings that a study asks for, null datasets once their responses are drawn."""
        undrawn = NullDataset.proj() - NullRecordings.proj()
        return ((Dataset & "kind != 'neurons_only'").proj() & Study.Model.proj()) - undrawn

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the recordings' digest."""
        return ((Dataset & key).fetch1("content_sha256"),)

    def compute(self, key: dict[str, Any], sha256: str) -> Made:
        """Read all of them once."""
        recordings, places = mapped_recordings(key["dataset"])
        found = data.summarise_recordings(recordings)
        repeats = performance.reliability_of(recordings, MAIN_TIER, seed=EVALUATION_SEED)
        row = {
            "mean_response": np.where(places < 0, np.nan, found.mean_responses[places]),
            "spearman_brown": np.where(places < 0, np.nan, repeats.spearman_brown[places]),
            "oracle": np.where(places < 0, np.nan, repeats.oracle[places]),
            "n_test_images": found.n_test_images,
            "n_shared_images": found.n_shared_images,
            "n_repeated_images": found.n_repeated_images,
        }
        return Made(row)


@dataclass(frozen=True)
class Comparison:
    """Scores, sessions, animals and covariates of one network, for the neurons that have all of them.

    Parameters
    ----------
    status : str
        'ok', 'covariate_missing' or 'shared_images': with another one than 'ok', no neuron is left.
    keep : ndarray of bool, shape (n_neurons,)
        Neurons of the dataset that are compared.
    scores, columns, sessions, animals : ndarray, (n_kept, ...)
        Of these.
    used, missing : tuple of str
        Covariates.
    slopes, score_scale : str
        Whether covariates have slopes by session, and the scale of ``scores``.
    """

    status: str
    keep: NDArray[np.bool_]
    scores: FloatArray
    columns: FloatArray
    sessions: NDArray[np.str_]
    animals: NDArray[np.str_]
    used: Sequence[str]
    missing: Sequence[str]
    slopes: str
    score_scale: str


def scored_partitions() -> Any:
    """Partitions of networks that have been scored on test images."""
    return DECFinetune.proj() & (Performance & {"tier": MAIN_TIER}).proj()


def scores_of(key: dict[str, Any], kind: str) -> FloatArray | None:
    """Test scores that belong to a partition, one per neuron; None where its network cannot be scored."""
    if kind != "none":
        return scores_after(key)
    at = {"tier": MAIN_TIER, "metric": MAIN_METRIC}
    return compared_scores(key, kind) if len(Performance.Score & key & at) else None


def comparison(key: dict[str, Any], kind: str, params: dict[str, Any]) -> Comparison:
    """Gather what is compared: test scores only, and only where no test image was ever trained on."""
    # A set that was registered before these could be chosen is what it was then.
    config = CovariateConfig.from_params({"slopes": "common", "score_scale": "correlation", **params})
    scores = scaled_scores(config, compared_scores(key, kind))
    sessions = sessions_of(key["dataset"])
    built = covariate_columns(config, covariates_of(key), scores, sessions=sessions)
    shared = (RecordingSummary & key).fetch1("n_shared_images")
    status = "shared_images" if shared else built.status
    keep = built.defined if status == "ok" else np.zeros(len(scores), dtype=bool)
    return Comparison(
        status=status,
        keep=keep,
        scores=scores[keep],
        columns=built.columns[keep],
        sessions=sessions[keep],
        animals=animals_of(key["dataset"])[keep],
        used=built.used,
        missing=built.missing,
        slopes=config.slopes,
        score_scale=config.score_scale,
    )


def covariates_of(key: dict[str, Any]) -> dict[str, FloatArray]:
    """Covariates of every neuron by name, NaN where unknown; norms are those of the network before fine-tuning."""
    at = {"tier": MAIN_TIER, "metric": "fev"}
    neurons = Dataset.Neuron & {"dataset": key["dataset"]}
    places = dict(zip("xyz", neurons.to_arrays("x", "y", "z", order_by="neuron_idx"), strict=True))
    responses, halves, oracle = (RecordingSummary & key).fetch1("mean_response", "spearman_brown", "oracle")
    return {
        "log_rate": log_rate(responses),
        "reliability": (Performance.Score & key & at).fetch1("score_values"),
        "spearman_brown": halves,
        "oracle": oracle,
        "norm": norms(raw_embedding(TrainedModel & key)),
        **{axis: np.asarray(values, dtype=np.float64) for axis, values in places.items()},
    }


def animals_of(dataset: str) -> NDArray[np.str_]:
    """Animal of every neuron, in order."""
    return np.array(neuron_column(dataset, "animal"), dtype=str)
