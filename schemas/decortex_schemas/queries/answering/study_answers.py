"""The five answers about a study: reads the stored numbers that each rests on. Read only, as `queries` is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

from decortex.evaluation import agreement as agreement_of_networks
from decortex_schemas.queries.answering import costs
from decortex_schemas.queries.answering.building import change_null
from decortex_schemas.queries.answering.facts import (
    LEVEL,
    AgreementFacts,
    AssociationFacts,
    ChosenK,
    ClusterFacts,
    FinetuningFacts,
    NetworkTypes,
    NullComparison,
    PopulationFacts,
    Sample,
    TypeFacts,
)
from decortex_schemas.queries.answering.profiles import profile
from decortex_schemas.queries.answering.reference import Reference, choices_of_k, speaking
from decortex_schemas.queries.answering.samples import study_sample
from decortex_schemas.queries.answering.sentences import (
    agreement_answer,
    association_answer,
    cluster_answer,
    finetuning_answer,
    finetuning_of_table,
    table_labels_answer,
    table_scores_answer,
    types_answer,
)
from decortex_schemas.queries.answering.verdicts import Answer
from decortex_schemas.queries.basis import Row, average, defined
from decortex_schemas.queries.catalogue import one_at_a_time, worst_status
from decortex_schemas.queries.evaluation import (
    against_labels,
    agreement,
    agreement_nulls,
    confounds,
    improvement,
    network_means,
    predictability,
    price,
    table_scores,
    types,
)
from decortex_schemas.tables import (
    Clustering,
    CovariateSet,
    FinetuneSpec,
    LabelSet,
    Study,
    TuningRequest,
    looking_once,
    members_of,
    require_study,
)
from decortex_schemas.tables.evaluation import ClusterAssociation, GridAssociation, SeedAgreement


@one_at_a_time
@looking_once()
def answers(study: str, k: int | None = None) -> list[Row]:
    """The five questions of the project, answered for one study from what is stored.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.
    k : int, optional
        Number of clusters that speaks; default: see `reference`.

    Returns
    -------
    list of dict
        Five: ``question``; ``answer`` ('established', 'in these sessions', 'not established', 'undecided', 'not
        asked'); ``sentence``; ``effect`` with ``low`` and ``high`` (its interval, or its range over networks: the
        sentence says which), ``measure`` (what the number is) and ``compared_with``, all None where there is none;
        ``n_networks`` (0 for a table), ``n_sessions``, ``n_animals``; ``missing``, what it would take to say more,
        or None.

    Raises
    ------
    ConfigError
        If there is no such study, or it has no such K.

    Examples
    --------
    >>> [row["sentence"] for row in answers("v4-sweep")]    # doctest: +SKIP
    """
    of = {"study": study}
    require_study(study)
    sample = study_sample(study)
    spoken = speaking(study, sample, k)
    tuned = len(Study.Finetuning * FinetuneSpec.proj("kind") & of & "kind != 'none'") > 0
    frozen = sample.frozen and spoken is not None
    found = agreement(study) if frozen else {}
    nothing_tuned = (
        finetuning_of_table(sample)
        if sample.of_table
        else finetuning_answer(sample, (), costs.of_finetuning(study))
    )
    told = (
        types_answer(sample, _types(study, sample, spoken)),
        agreement_answer(sample, _agreement(study, spoken, found) if spoken and frozen else None),
        table_scores_answer(sample, spoken.here(table_scores(study), finetune="none") if spoken else ())
        if sample.scores
        else association_answer(
            sample, _association(study, spoken) if spoken and frozen and not sample.of_table else None
        ),
        finetuning_answer(sample, _finetuning(study, spoken, found) if spoken and frozen else None)
        if tuned
        else nothing_tuned,
        _clusters(study, sample, spoken, found if frozen else None),
    )
    return [asdict(one) for one in told]


def _types(study: str, sample: Sample, reference: Reference | None) -> TypeFacts:
    rows = types(study)
    if not rows:
        return TypeFacts()
    names = ("dataset", "model", "embedding", "spec")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    # A table has one embedding that speaks; types by today's settings come first.
    own = rows[:1] if sample.of_table else next(iter(groups.values()))
    animals = [row["n_animals"] for row in own if row["n_animals"] is not None]
    choices = choices_of_k(study)
    return TypeFacts(
        networks=tuple(_network(row) for row in own),
        by_animal=max(animals, default=0) > 1,
        choices=tuple(
            ChosenK(one["method_name"], one["decision"], one["reason"], one["n_surrogates"])
            for one in choices
            if reference is not None and all(one[name] == value for name, value in reference.family.items())
        ),
        others=len(groups) - 1,
    )


def _network(row: Row) -> NetworkTypes:
    level = next((one["p"] for one in row["levels"] if one["n_groups"] == row["n_types"]), None)
    return NetworkTypes(
        row["status"],
        row["n_types"],
        row["at_least"],
        level if row["status"] == "types" else row["p_smallest"],
    )


def _agreement(study: str, reference: Reference, found: Mapping[str, Any]) -> AgreementFacts | None:
    rows = reference.here(found["partitions"], finetune="none")
    if not rows:
        return None
    (row,) = rows
    own = {"study": study, **reference.group}
    pairs = (SeedAgreement.Pair & own & {"pair_kind": "model_seeds"} & "ari IS NOT NULL").to_arrays("ari")
    others = [
        one["ari_same"]
        for one in found["methods"]
        if reference.has(one, k=reference.k, finetune="none")
        and reference.method in (one["method_a"], one["method_b"])
    ]
    shares = (Clustering & members_of(study, reference.group).proj()).to_arrays("largest_share")
    nulls = _agreement_nulls(study, reference, found)
    networks = len(
        Study.Model & {"study": study} & {n: reference.family[n] for n in ("dataset", "model_spec_id")}
    )
    cost = None
    if networks < 2:
        cost = costs.of_another_network(study)
    elif not nulls:
        cost = costs.of_agreement_null(study)
    return AgreementFacts(
        method=reference.method,
        k=reference.k,
        n_networks=networks,
        ari=row["ari_seeds"],
        low=float(pairs.min()) if len(pairs) else None,
        high=float(pairs.max()) if len(pairs) else None,
        n_pairs=len(pairs),
        starts=row["ari_clustering_seeds"],
        methods=average(others),
        n_methods=len(Study.Method & {"study": study}),
        largest_share=float(np.mean(shares)) if len(shares) else None,
        nulls=nulls,
        cost=cost,
        types_at_k=reference.n_types == reference.k,
    )


def _agreement_nulls(
    study: str, reference: Reference, found: Mapping[str, Any]
) -> tuple[NullComparison, ...]:
    """Of the choice of K, else those asked for agreement alone; else the unmoved side of a fine-tuned null."""
    key = {**reference.family, "method_id": reference.method_key["method_id"]}
    for one in choices_of_k(study, key):
        at = next((row for row in one["counts"] if row["k"] == reference.k), None)
        if at is not None:
            return tuple(
                NullComparison(kind, null["null_mean"], null["p"], null["n_surrogates"], null["status"])
                for kind, null in at["excess"].get("seed_agreement", {}).items()
            )
    own = {**reference.family, "method_id": reference.method_key["method_id"], "k": reference.k}
    drawn = [
        NullComparison(row["null_kind"], row["null_mean"], row["p"], row["n_null"], row["status"])
        for row in agreement_nulls(study)
        if all(row[name] == value for name, value in own.items())
    ]
    if drawn:
        return tuple(drawn)
    told = {}
    for row in reference.here(found["nulls"], measure="ari_seeds"):
        told[row["null"]] = NullComparison(
            row["null"], row["before_null"], row["before_p"], row["n_null"], row["before_status"]
        )
    return tuple(told.values())


def _association(study: str, reference: Reference) -> AssociationFacts | None:
    rows = reference.here(predictability(study), finetune="none")
    if not rows:
        return None
    sets = {row["covariate_set"]: row for row in CovariateSet.to_dicts()}
    # The strictest comparison that could be made: with the most covariates.
    comparable = [row for row in rows if row["omega2"] is not None and row["status"] == "ok"]
    row = max(comparable or rows, key=lambda one: len(sets[one["covariates"]]["params"].get("names") or ()))
    own = {**reference.group, "covariate_set_id": sets[row["covariates"]]["covariate_set_id"]}
    permutations = (GridAssociation & {"study": study, **own}).to_arrays("n_permutations")
    units = ClusterAssociation.Population & own & members_of(study, reference.group).proj()
    population = []
    for unit in ("animal", "session"):
        tests = (units & {"unit_kind": unit}).to_dicts()
        ps = defined(tests, "p")
        if tests:
            status = worst_status([one["population_status"] for one in tests])
            whole = max(ps) if len(ps) == len(tests) else None
            population.append(PopulationFacts(unit, status, min(int(one["n_units"]) for one in tests), whole))
    return AssociationFacts(
        method=reference.method,
        k=reference.k,
        covariates=row["covariates"],
        status=row["status"],
        effect=row["omega2"],
        low=row["omega2_low"],
        high=row["omega2_high"],
        p=row["p_sessions_bh_max"],
        p_grid=row["p_grid"],
        smallest_p=1 / (int(permutations.min()) + 1) if len(permutations) else None,
        n_partitions=row["n_partitions"],
        population=tuple(population),
    )


def _finetuning(
    study: str, reference: Reference, found: Mapping[str, Any]
) -> tuple[FinetuningFacts, ...] | None:
    better, costs_of = improvement(study), price(study)
    summary = [row for row in better["summary"] if reference.has(row)]
    if not summary:
        return None
    told = []
    for row in summary:
        same = {name: row[name] for name in ("method", "k", "finetune")}
        pairs = [one for one in better["pairs"] if reference.has(one, **same)]
        low, high = _simultaneous(pairs, len(summary))
        priced = [one for one in costs_of if reference.has(one, **same)]
        statuses = [one["interval_status"] for one in priced]
        known = [one for one in priced if one["difference"] is not None]
        whole = bool(known) and all(one["interval_low"] is not None for one in known)
        told.append(
            FinetuningFacts(
                name=row["finetune"],
                method=row["method"],
                k=row["k"],
                n_networks=row["n_networks"],
                change=row["ari_networks_change"],
                low=low,
                high=high,
                detectable=_detectable(pairs, len(summary)),
                null=change_null([one for one in found["nulls"] if reference.has(one, **same)]),
                cost=average([one["difference"] for one in known]),
                cost_low=min(one["interval_low"] for one in known) if whole else None,
                cost_high=max(one["interval_high"] for one in known) if whole else None,
                cost_status=worst_status(statuses) if statuses else "waiting",
                margin=known[0]["margin"] if known else None,
                n_priced=len(known),
                n_within=sum(bool(one["equivalent"]) for one in known),
                by_construction=bool(row["by_construction"]),
            )
        )
    return tuple(told)


def _simultaneous(pairs: Sequence[Row], n: int) -> tuple[float | None, float | None]:
    """95 % interval over networks of the change in agreement, for ``n`` fine-tunings at once (Bonferroni)."""
    means = network_means(pairs, "ari_networks_change")
    return agreement_of_networks.means_interval(means, level=1 - LEVEL / n)


def _detectable(pairs: Sequence[Row], n: int) -> float | None:
    """Change that such an interval leaves above zero with probability .8, by the spread that the networks showed."""
    means = network_means(pairs, "ari_networks_change")
    if len(means) < 3:
        return None
    sd = float(agreement_of_networks.pseudo_values(means).std(ddof=1))
    return agreement_of_networks.detectable_effect(sd, len(means), level=1 - LEVEL / n)


def _clusters(
    study: str, sample: Sample, reference: Reference | None, found: Mapping[str, Any] | None
) -> Answer:
    facts = None if reference is None or found is None else _cluster(study, reference, found)
    if not sample.of_table:
        return cluster_answer(sample, facts)
    datasets = (Study.Model & {"study": study}).proj("dataset")
    sets = len(LabelSet.proj() & datasets) if reference is not None else 0
    compared = reference.here(against_labels(study)["partitions"]) if sets and reference is not None else []
    return table_labels_answer(sample, facts, compared if sets else None)


def _cluster(study: str, reference: Reference, found: Mapping[str, Any]) -> ClusterFacts:
    partition = next(iter(reference.here(found["partitions"], finetune="none")), {})
    follows = next(iter(reference.here(confounds(study), finetune="none")), {})
    return ClusterFacts(
        method=reference.method,
        k=reference.k,
        truth=partition.get("ari_truth"),
        session=follows.get("ami_session"),
        animal=follows.get("ami_animal"),
        kept=follows.get("transfer_share_kept"),
        profile=profile(study, reference) if len(TuningRequest & {"study": study}) else None,
    )
