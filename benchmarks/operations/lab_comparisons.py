"""Synthetic rows of what compares over a frozen study: agreement, consensus, corrected p-values, choices of K."""

from __future__ import annotations

import numpy as np
from datajoint.blob import pack
from lab_study import METHODS, N_SURROGATES, NAME, LabStudy

import decortex_schemas as schemas
from decortex.evaluation.nulls import NULL_KINDS
from decortex.evaluation.selection import CRITERIA
from decortex_schemas.tables import (
    CovariateSet,
)
from decortex_schemas.tables.evaluation import SELECTION


def put_comparisons(lab: LabStudy) -> None:
    """What is compared over the frozen study."""
    lab.say("comparisons")
    lab.put(schemas.FrozenStudy, [{"study": NAME, "failed": []}])
    groups = [{"study": NAME, **cell} for cell in lab.members()]
    lab.put(schemas.FrozenStudy.Group, groups)
    lab.put(schemas.SeedAgreement, groups)
    n = len(lab.seeds)
    networks = [(a, s, b, s) for a in lab.networks for b in lab.networks if a < b for s in range(n)]
    starts = [(m, a, m, b) for m in lab.networks for a in range(n) for b in range(a + 1, n)]
    names = ("model_seed_a", "seed_a", "model_seed_b", "seed_b")
    pairs = [
        {"pair_kind": kind, **dict(zip(names, pair, strict=True))}
        for kind, found in (("model_seeds", networks), ("clustering_seeds", starts))
        for pair in found
    ]
    base = []
    for cell in groups:
        k = cell["k"]
        confusion = lab.rng.poisson(lab.size.n_neurons / k**2 / 5, size=(k, k)).astype(np.int32)
        confusion[np.diag_indices(k)] += lab.size.n_neurons * 4 // (5 * k)
        base.append(
            {
                **cell,
                "pair_status": "ok",
                "matched": pack(np.arange(k, dtype=np.int16), compress=True),
                "confusion": pack(confusion, compress=True),
            }
        )
    lab.multiply(schemas.SeedAgreement.Pair, base, over=pairs)
    rng = lab.rng
    lab.put(
        schemas.ConsensusPartition,
        (
            {
                **cell,
                "consensus_status": "ok",
                "labels": rng.integers(0, cell["k"], lab.size.n_neurons).astype(np.int16),
                "support": rng.random(lab.size.n_neurons),
            }
            for cell in groups
        ),
    )
    lab.put(
        schemas.ConsensusPartition.Cluster,
        ({**cell, "cluster": i} for cell in groups for i in range(cell["k"])),
    )
    _between_methods(lab)


def _between_methods(lab: LabStudy) -> None:
    """All pairs of methods, at every number of clusters and fine-tuning."""
    without = ("method", "method_id")
    masters = [
        {"study": NAME, **{name: value for name, value in cell.items() if name not in without}}
        for cell in lab.members()
        if cell["method"] == METHODS[0]
    ]
    lab.put(schemas.MethodAgreement, masters)
    lab.put(
        schemas.MethodAgreement.Between,
        (
            {
                **cell,
                **{f"{name}_a": value for name, value in a.items()},
                **{f"{name}_b": value for name, value in b.items()},
            }
            for cell in masters
            for i, a in enumerate(lab.methods)
            for b in lab.methods[i + 1 :]
        ),
    )


def put_decisions(lab: LabStudy) -> None:
    """P-values corrected over the study."""
    lab.say("p-values")
    sets = [int(row["covariate_set_id"]) for row in CovariateSet.to_dicts()]
    grids = [
        {
            "study": NAME,
            **lab.model,
            **lab.embedding,
            "model_seed": i,
            **method,
            "finetune_id": lab.none,
            "covariate_set_id": covariates,
        }
        for i in lab.networks
        for method in lab.methods
        for covariates in sets
    ]
    lab.put(schemas.GridAssociation, grids)
    lab.put(schemas.AdjustedPValue, ({"study": NAME, "covariate_set_id": i} for i in sets))
    members = [{"study": NAME, **cell, "covariate_set_id": i} for cell in lab.members() for i in sets]
    lab.multiply(schemas.AdjustedPValue.Partition, [{**cell, "population_status": "ok"} for cell in members])
    of_grid = [cell for cell in members if cell["finetune_id"] == lab.none]
    lab.multiply(schemas.GridAssociation.Member, [{**cell, "member_status": "ok"} for cell in of_grid])


def put_choices(lab: LabStudy) -> None:
    """Criteria of every K, surrogates of every network, and the decisions made from them."""
    lab.say("choices of K")
    cells, criteria = lab.cells(), sorted(CRITERIA)
    lab.multiply(schemas.KCriteria, [{**cell, "fit_status": "ok"} for cell in cells])
    lab.multiply(
        schemas.KCriteria.Value,
        [
            {**cell, "criterion": name, "at_k": k, "criterion_status": "ok"}
            for cell in cells
            for name in criteria
            for k in (1, cell["k"])
        ],
    )
    surrogates = [{"model_seed": m, "null_seed": s} for m in lab.networks for s in range(N_SURROGATES)]
    fits = [{**cell, "null_kind": kind} for cell in cells for kind in NULL_KINDS]
    lab.multiply(schemas.NullFit, fits, over=surrogates)
    values = [
        {**fit, "criterion": name, "criterion_status": "ok"}
        for fit in fits
        for name in SELECTION.null_criteria
    ]
    lab.multiply(schemas.NullFit.Value, values, over=surrogates)
    chosen = [{"study": NAME, **lab.model, **lab.embedding, **method} for method in lab.methods]
    joint = [
        {**one, "null_kind": kind, "null_seed": s}
        for one in chosen
        for kind in NULL_KINDS
        for s in range(N_SURROGATES)
    ]
    lab.put(schemas.SeedNullFit, joint)
    at = [{"at_k": k, "criterion": name} for k in lab.size.counts for name in criteria]
    agreed = [{"at_k": k, "criterion": "seed_agreement"} for k in lab.size.counts]
    lab.put(schemas.SeedNullFit.Value, ({**one, **value} for one in joint for value in agreed))
    lab.put(schemas.KSelection, ({**one, "decision_k": 8} for one in chosen))
    lab.put(
        schemas.KSelection.Count,
        ({**one, "k": k, "reasons": ["synthetic"]} for one in chosen for k in lab.size.counts),
    )
    lab.put(
        schemas.KSelection.Choice,
        ({**one, "criterion": name, "choice": 8} for one in chosen for name in criteria),
    )
    lab.put(schemas.KSelection.Value, ({**one, **value} for one in chosen for value in at))
    lab.put(
        schemas.KSelection.Excess,
        ({**one, **value, "null_kind": kind} for one in chosen for value in at for kind in NULL_KINDS),
    )
    lab.put(
        schemas.KSelection.Network,
        ({**one, "model_seed": m, "decision_k": 8} for one in chosen for m in lab.networks),
    )
