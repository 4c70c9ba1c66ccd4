"""The price of fine-tuning in predictive performance, against the equal-epoch control."""

from __future__ import annotations

from typing import Any

import datajoint as dj
import numpy as np
from numpy.typing import NDArray

from decortex.errors import InputError
from decortex.evaluation import performance
from decortex_schemas.database import STAMP, Computation, Environment, Made, schema  # noqa: F401  (foreign key)
from decortex_schemas.tables.datasets import sessions_of
from decortex_schemas.tables.evaluation.quality import EVALUATION_SEED, scores_after, scores_before
from decortex_schemas.tables.finetuning import ContinuedTraining, DECFinetune, partition_labels
from decortex_schemas.tables.networks import Performance, TrainedModel
from decortex_schemas.tables.specs import FinetuneSpec


@schema
class RetainedPerformance(Computation):
    """What fine-tuning cost: against the same network trained as long without a clustering loss."""

    definition = f"""
    # Price of a fine-tuning in predictive performance
    -> DECFinetune
    ---
    -> ContinuedTraining
    epoch : int32                        # restored epoch; the control is read at the same one
    retained_status : varchar(24)
    n_neurons : int32                    # scored before, after and in the control
    n_lost : int32                       # scored in the control but no longer after fine-tuning
    before = null : float64              # mean correlation to average on test images
    after = null : float64
    control = null : float64
    difference = null : float64          # mean over neurons of after - control
    difference_from_start = null : float64
    difference_own_best = null : float64 # after - control, the control at its own best epoch
    fraction_retained = null : float64   # after/control
    difference_over_sessions = null : float64
    interval_status : varchar(24)
    interval_low = null : float64        # 95-percent, t distribution on session means
    interval_high = null : float64
    neuron_interval_low = null : float64 # 95-percent, takes neurons for independent
    neuron_interval_high = null : float64
    worst_session = '' : varchar(96)
    margin : float64                     # change of the mean correlation that would matter
    equivalence_status : varchar(24)
    p_equivalence = null : float64       # two one-sided tests over sessions, against the margin
    equivalent = null : bool             # p_equivalence at most .05
    p_zero = null : float64              # t test over sessions that the change is 0
    wild_p = null : float64              # the same by wild cluster bootstrap, as a check
    wild_low = null : float64
    wild_high = null : float64
    worst_cluster = null : int16         # lowest mean change
    worst_cluster_difference = null : float64
    {STAMP}
    """

    class Session(dj.Part):
        """One session's change."""

        definition = """
        -> master
        session : varchar(96)
        ---
        n_neurons : int32
        difference : float64
        difference_from_start : float64
        """

    class Cluster(dj.Part):
        """One cluster's change; all intervals together cover 95 percent."""

        definition = """
        -> master
        cluster : int16
        ---
        n_neurons : int32
        n_sessions : int32
        difference : float64
        difference_over_sessions : float64
        low = null : float64
        high = null : float64
        """

    @property
    def key_source(self) -> Any:
        """Fine-tunings whose equal-epoch control has been trained, and whose network has been scored before both."""
        tied = FinetuneSpec.proj("schedule_id", "control_seed")
        scored = (Performance & {"tier": "test"}).proj()
        return DECFinetune.proj() & (DECFinetune.proj() * tied * ContinuedTraining.proj()) & scored

    def make_fetch(self, key: dict[str, Any]) -> tuple[Any, ...]:
        """Fetch the control's key and the epochs to compare."""
        schedule_id, control_seed = (FinetuneSpec & key).fetch1("schedule_id", "control_seed")
        network = {name: key[name] for name in TrainedModel().primary_key}
        control = {**network, "schedule_id": int(schedule_id), "control_seed": int(control_seed)}
        epochs = (ContinuedTraining.Epoch & control).proj("validation_correlation").to_dicts()
        return control, (DECFinetune & key).fetch1("kept_epoch"), best_epoch(epochs)

    def compute(self, key: dict[str, Any], control: dict[str, Any], epoch: int, control_best: int) -> Made:
        """Compare neuron by neuron."""
        before, after = scores_before(key), scores_after(key)
        sessions = sessions_of(key["dataset"])
        found = performance.retained_performance(
            before,
            after,
            scores_of_control(control, epoch),
            sessions=sessions,
            labels=partition_labels(key),
            seed=EVALUATION_SEED,
        )
        own_best = performance.retained_performance(
            before, after, scores_of_control(control, control_best), sessions=sessions
        )
        row = {
            **control,
            "epoch": epoch,
            **retained_row(found),
            "difference_own_best": own_best.change,
        }
        per_session = [
            {
                "session": part.session,
                "n_neurons": part.n,
                "difference": part.change,
                "difference_from_start": part.change_from_start,
            }
            for part in found.sessions
        ]
        per_cluster = [
            {
                "cluster": part.cluster,
                "n_neurons": part.n,
                "n_sessions": part.n_sessions,
                "difference": part.change,
                "difference_over_sessions": part.change_over_sessions,
                "low": part.low,
                "high": part.high,
            }
            for part in found.clusters
        ]
        return Made(row, {"Session": per_session, "Cluster": per_cluster})


def retained_row(found: performance.RetainedResult) -> dict[str, Any]:
    """Columns of one comparison."""
    test = found.equivalence
    worst = {part.cluster: part.change for part in found.clusters}
    return {
        "retained_status": found.status,
        "n_neurons": found.n,
        "difference": found.change,
        "difference_from_start": found.change_from_start,
        "difference_over_sessions": found.change_over_sessions,
        "worst_session": found.worst_session or "",
        **{
            name: getattr(found, name)
            for name in (
                "n_lost",
                "before",
                "after",
                "control",
                "fraction_retained",
                "interval_status",
                "interval_low",
                "interval_high",
                "neuron_interval_low",
                "neuron_interval_high",
                "worst_cluster",
            )
        },
        "worst_cluster_difference": None if found.worst_cluster is None else worst[found.worst_cluster],
        "margin": test.margin,
        "equivalence_status": test.status,
        "p_equivalence": test.p,
        **{name: getattr(test, name) for name in ("equivalent", "p_zero", "wild_p", "wild_low", "wild_high")},
    }


def best_epoch(epochs: list[dict[str, Any]]) -> int:
    """The control's epoch of the best validation correlation; 0, its start, where it has none."""
    scored = [epoch for epoch in epochs if epoch["validation_correlation"] is not None]
    order = sorted(scored, key=lambda epoch: (-epoch["validation_correlation"], epoch["epoch"]))
    return int(order[0]["epoch"]) if order else 0


def scores_of_control(key: dict[str, Any], epoch: int) -> NDArray[np.float64]:
    """Test scores of the equal-epoch control after this many epochs, one per neuron; at 0 it is the start."""
    if epoch == 0:
        return scores_before(key)
    found = (ContinuedTraining.Epoch & key & {"epoch": epoch}).to_dicts()
    if not found:
        raise InputError(
            f"the control ended before epoch {epoch}, at which the fine-tuning was kept (it diverged); a lower "
            "learning rate in the schedule keeps both finite."
        )
    values: NDArray[np.float64] = found[0]["score_values"]
    return values
