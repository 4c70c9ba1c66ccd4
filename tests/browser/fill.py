"""Fill the database of the browser tests: the demo, a choice of K, and a study whose names are hostile."""

from __future__ import annotations

import os

from browser_visit import HOSTILE, METHOD

from decortex.embeddings import ViewConfig
from decortex_ops.cli.session import open_tables
from decortex_ops.demo import run_demo, simulated_plan
from decortex_ops.workers import run_until_empty
from decortex_schemas.register import MethodPlan, SelectionPlan, declare_plan, register_defaults
from decortex_schemas.tables import FrozenStudy, Study, freeze_study, request_view
from decortex_schemas.tables.evaluation import KSelection

WHICH_K = "e2e-which-k"


def main() -> None:
    """Fill; what is there already is not computed again."""
    open_tables(declare=True)
    if len(KSelection & {"study": WHICH_K}) and len(FrozenStudy & {"study": HOSTILE}):
        return
    register_defaults()
    demo = run_demo(workers=os.cpu_count(), on_round=lambda progress: None)
    assert demo["failed"] == [], demo["failed"]
    request_view(demo["study"], "tsne", ViewConfig(kind="tsne"))
    dataset = (Study.Model & {"study": demo["study"]}).keys()[0]["dataset"]
    alone = {"finetunings": (), "states": "none", "tuning": None, "agreement_null": None}
    plan = simulated_plan(dataset).model_copy(update={**alone, "seeds": (0,), "counts": (4, 8)})
    chosen = plan.model_copy(
        update={
            "methods": plan.methods[:1],
            "selection": SelectionPlan(nulls=("gaussian", "copula"), surrogates=2),
        }
    )
    declare_plan(WHICH_K, chosen)
    hostile = MethodPlan(method="kmeans", name=METHOD, params={"n_init": 2})
    declare_plan(HOSTILE, plan.model_copy(update={"methods": (hostile,), "description": HOSTILE}))
    workers = os.cpu_count() or 1
    run_until_empty(workers=workers, on_round=lambda progress: None)
    for study in (WHICH_K, HOSTILE):
        if not len(FrozenStudy & {"study": study}):
            freeze_study(study)
    run_until_empty(workers=workers, on_round=lambda progress: None)


if __name__ == "__main__":
    main()
