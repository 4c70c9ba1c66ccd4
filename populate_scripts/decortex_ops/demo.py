"""The demo: the whole chain on a simulated cortex with known types, or on a folder of recordings."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from decortex.clustering import algorithm_version
from decortex.config import config_hash
from decortex.data import open_filetree
from decortex.data.simulation import SimulationConfig, VideoSimulationConfig
from decortex.errors import ConfigError
from decortex_ops.reports import RESULT_COLUMNS
from decortex_ops.workers import OnRound, run_until_empty
from decortex_schemas import queries
from decortex_schemas.register import (
    AgreementNullPlan,
    EmbeddingPlan,
    FinetuningPlan,
    MethodPlan,
    NetworksPlan,
    PlanFile,
    StimuliPlan,
    TuningPlan,
    ViewPlan,
    declare_plan,
    states_study_of,
)
from decortex_schemas.tables import (
    Dataset,
    freeze_study,
    register_folder,
    register_simulated_video,
    register_simulation,
)

SIMULATION = SimulationConfig()
SIMULATION_SEED = 0
VIDEO_SIMULATION = VideoSimulationConfig()
MODEL_SEEDS = (0, 1, 2)
VIDEO_MODEL_SEEDS = (0, 1)
CLUSTERING_SEEDS = (0, 1, 2)
VIEWS = (ViewPlan(name="", seed=0), ViewPlan(name="", seed=0, params={"kind": "tsne"}))

# What a plan asks for beside its results does not name the study, so that an older demo's rows are used.
_BESIDE = ("views", "agreement_null", "communities")
# Coarser than the default, so that the demo stays short: angles 30 degrees apart, five periods, four phases.
DEMO_TUNING = {"n_angles": 12, "n_periods": 5, "n_phases": 4, "n_radii": 4}
# Coarser still: every grating is a clip.
VIDEO_DEMO_TUNING = {"n_angles": 8, "n_periods": 3, "n_phases": 4, "n_radii": 3}
# An eighth of the rates the simulated networks were trained with.
_LATE_RATES = {"learning_rate": 1e-3, "position_rate": 5e-4}

# Those of `decortex results`, and the control clustered afresh beside the known types.
ROW_FIELDS = (*RESULT_COLUMNS, "ari_truth_control")


def run_demo(
    *, data: Path | None = None, video: bool = False, workers: int | None = None, on_round: OnRound
) -> dict[str, Any]:
    """Run the chain to its end and collect what it found; what exists already is not computed again.

    Parameters
    ----------
    data : Path, optional
        Folder of FileTreeDataset sessions; default: the simulated cortex.
    video : bool
        The simulated video retina in place of the simulated cortex.
    workers : int, optional
        Worker processes (default: one per processor core).
    on_round : callable
        Takes the progress of every round.

    Returns
    -------
    dict
        ``study``, ``failed`` (keys of this dataset that ended in an error), ``seconds``, ``test_correlation``,
        ``n_neurons``, ``rows`` and ``answers`` (the five of `queries.answers`).

    Raises
    ------
    DatasetError
        If the folder is not complete.
    """
    started = time.monotonic()
    dataset = _register(data, video=video)
    plan_of = video_plan if video else simulated_plan if data is None else recorded_plan
    plan = plan_of(dataset)
    versions = {one.method: algorithm_version(one.method) for one in plan.methods}
    content = {name: value for name, value in plan.resolved().items() if name not in _BESIDE} | {
        "tuning": None
    }
    study = f"demo-{config_hash({'plan': content, 'versions': versions})[:8]}"
    declare_plan(study, plan)
    fleet_size = workers or os.cpu_count() or 1

    def freeze() -> None:
        freeze_study(study)
        if plan.states != "none":
            freeze_study(states_study_of(study))

    # What comes after the freeze compares across the frozen study.
    own = [study] if plan.states == "none" else [study, states_study_of(study)]
    run_until_empty(workers=fleet_size, on_round=on_round, then=freeze, studies=own)
    return {
        "study": study,
        "failed": [row for row in queries.failed_jobs() if row["key"].get("dataset") == dataset],
        "seconds": round(time.monotonic() - started, 1),
        "test_correlation": queries.test_performance(study)["test_correlation"],
        "n_neurons": int((Dataset & {"dataset": dataset}).fetch1("n_neurons")),
        "rows": _rows(study),
        "answers": queries.answers(study),
    }


def _rows(study: str) -> list[dict[str, Any]]:
    """Results, and the control clustered afresh beside them."""
    states = queries.states(study) if queries.has_states(study) else []
    controls = {
        (row["finetune"], row["start_method"], row["k"]): row["ari_truth"]
        for row in states
        if row["state"] == "control" and row["method"] == row["start_method"]
    }
    rows = [
        {
            **row,
            "method": row["method_name"],
            "ari_truth_control": controls.get((row["finetune"], row["method_name"], row["k"])),
        }
        for row in queries.results(study)
    ]
    return [{name: row[name] for name in (*ROW_FIELDS, "p_smallest", "p_max_smallest")} for row in rows]


def _register(data: Path | None, *, video: bool) -> str:
    if video:
        if data is not None:
            raise ConfigError("the video demo runs on a simulated retina: give either --video or --data.")
        content = {"config": VIDEO_SIMULATION.resolved(), "seed": SIMULATION_SEED}
        name = f"simulated-retina-{config_hash(content)[:8]}"
        register_simulated_video(name, VIDEO_SIMULATION, SIMULATION_SEED)
        return name
    if data is None:
        name = f"simulated-{config_hash({'config': SIMULATION.resolved(), 'seed': SIMULATION_SEED})[:8]}"
        register_simulation(name, SIMULATION, SIMULATION_SEED)
        return name
    # By place and content: a changed folder is another dataset, beside the old one.
    identity = {"folder": str(data.resolve()), "content": open_filetree(data).content_sha256}
    name = f"{data.resolve().name[:40]}-{config_hash(identity)[:8]}"
    register_folder(name, data)
    return name


def simulated_plan(dataset: str) -> PlanFile:
    """What the demo asks of the simulated cortex: eight types, three networks, k-means and GMM at three K."""
    schedule = {"max_epochs": 2, "schedule": "constant", "keep": "last", **_LATE_RATES}
    start: dict[str, Any] = {"counts": (8,), "seeds": (0,), "methods": ("kmeans",), "schedule": schedule}
    return PlanFile(
        description="The whole chain on a simulated cortex with eight known functional types",
        networks=(NetworksPlan(dataset=dataset, recipe="simulated_cortex", seeds=MODEL_SEEDS),),
        embeddings=(EmbeddingPlan(name="l2", params={"kind": "l2"}),),
        methods=(
            MethodPlan(method="kmeans", name="kmeans"),
            MethodPlan(method="gmm", name="gmm", params={"covariance": "diag"}),
        ),
        counts=(4, 8, 12),
        seeds=CLUSTERING_SEEDS,
        finetunings=(
            FinetuningPlan(name="dec", params={"kind": "dec", "kernel": "scaled"}, **start),
            FinetuningPlan(
                name="dec_joint", params={"kind": "dec_joint", "kernel": "scaled", "beta": 0.1}, **start
            ),
            FinetuningPlan(name="december", params={"kind": "december", "beta_rule": "balanced"}, **start),
        ),
        states="controls",
        views=VIEWS,
        agreement_null=AgreementNullPlan(methods=("kmeans",)),
        tuning=TuningPlan(params=DEMO_TUNING, stimuli=(StimuliPlan(method="kmeans", counts=(8,)),)),
    )


def video_plan(dataset: str) -> PlanFile:
    """What the demo asks of the simulated video retina: eight types that differ in time, two networks, three K."""
    schedule = {"max_epochs": 2, "schedule": "constant", "keep": "last", "batch_size": 4, **_LATE_RATES}
    start: dict[str, Any] = {"counts": (8,), "seeds": (0,), "methods": ("kmeans",), "schedule": schedule}
    return PlanFile(
        description="The whole chain on a simulated retina whose eight types differ in sign and time",
        networks=(NetworksPlan(dataset=dataset, recipe="simulated_retina", seeds=VIDEO_MODEL_SEEDS),),
        embeddings=(EmbeddingPlan(name="l2", params={"kind": "l2"}),),
        methods=(
            MethodPlan(method="kmeans", name="kmeans"),
            MethodPlan(method="gmm", name="gmm", params={"covariance": "diag"}),
        ),
        counts=(4, 8, 12),
        seeds=CLUSTERING_SEEDS,
        finetunings=(
            FinetuningPlan(name="dec", params={"kind": "dec", "kernel": "scaled"}, **start),
            FinetuningPlan(
                name="dec_joint", params={"kind": "dec_joint", "kernel": "scaled", "beta": 0.1}, **start
            ),
            FinetuningPlan(name="december", params={"kind": "december", "beta_rule": "balanced"}, **start),
        ),
        states="controls",
        views=VIEWS,
        agreement_null=AgreementNullPlan(methods=("kmeans",)),
        tuning=TuningPlan(params=VIDEO_DEMO_TUNING),  # stimuli would be clips: a minute per partition
    )


def recorded_plan(dataset: str) -> PlanFile:
    """What the demo asks of recordings: three networks, k-means and GMM over a grid of K, DEC at one K."""
    schedule = {"max_epochs": 3, "learning_rate": 3e-4, "schedule": "constant", "keep": "last"}
    start: dict[str, Any] = {"counts": (5,), "seeds": (0,), "methods": ("kmeans",), "schedule": schedule}
    return PlanFile(
        description="The whole chain on recordings",
        networks=(NetworksPlan(dataset=dataset, recipe="macaque_v4", seeds=MODEL_SEEDS),),
        embeddings=(EmbeddingPlan(name="l2", params={"kind": "l2"}),),
        methods=(
            MethodPlan(method="kmeans", name="kmeans"),
            MethodPlan(method="gmm", name="gmm", params={"covariance": "diag"}),
        ),
        counts=(2, 3, 5, 8, 12, 20),
        seeds=CLUSTERING_SEEDS,
        finetunings=(
            FinetuningPlan(name="dec", params={"kind": "dec", "kernel": "scaled"}, **start),
            FinetuningPlan(
                name="dec_joint", params={"kind": "dec_joint", "kernel": "scaled", "beta": 1.0}, **start
            ),
        ),
        states="controls",
        views=VIEWS,
    )
