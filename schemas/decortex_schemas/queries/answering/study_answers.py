"""The five answers about a study: reads the stored numbers that each rests on. Read only, as `queries` is.

Which numbers speak is fixed before they are seen: the first family of networks and the first method of the plan, at the
K that the rule for K supports, else at one that the plan fine-tunes, else at the middle one.
"""

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
from decortex_schemas.queries.answering.samples import study_sample
from decortex_schemas.queries.answering.sentences import (
    agreement_answer,
    association_answer,
    cluster_answer,
    finetuning_answer,
    table_scores_answer,
    types_answer,
)
from decortex_schemas.queries.basis import Names, Row, average, defined
from decortex_schemas.queries.catalogue import one_at_a_time, worst_status
from decortex_schemas.queries.evaluation import (
    agreement,
    agreement_nulls,
    best_k,
    choosing_study,
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
    ClusteringMethod,
    CovariateSet,
    FinetuneSpec,
    FrozenStudy,
    Study,
    TuningRequest,
    looking_once,
    members_of,
    require_study,
)
from decortex_schemas.tables.evaluation import ClusterAssociation, GridAssociation, SeedAgreement

_FAMILY = ("dataset", "model_spec_id", "embedding_spec_id")


@one_at_a_time
@looking_once()
def answers(study: str) -> list[Row]:
    """The five questions of the project, answered for one study from what is stored.

    Parameters
    ----------
    study : str
        Its name; it need not be frozen.

    Returns
    -------
    list of dict
        Five: ``question``; ``answer`` ('established', 'in these sessions', 'not established', 'undecided', 'not
        asked'); ``sentence``; ``effect`` with ``low`` and ``high`` (its interval, or its range over networks: the
        sentence says which) and ``compared_with``, all None where there is no number; ``n_networks``,
        ``n_sessions``, ``n_animals``; ``missing``, what it would take to say more, or None.

    Raises
    ------
    ConfigError
        If there is no such study.

    Examples
    --------
    >>> [row["sentence"] for row in answers("v4-sweep")]    # doctest: +SKIP
    """
    of = {"study": study}
    require_study(study)
    sample = study_sample(study)
    spoken = _reference(study, sample)
    tuned = len(Study.Finetuning * FinetuneSpec.proj("kind") & of & "kind != 'none'") > 0
    frozen = sample.frozen and spoken is not None
    found = agreement(study) if frozen else {}
    told = (
        types_answer(sample, _types(study, sample, spoken)),
        agreement_answer(sample, _agreement(study, spoken, found) if spoken and frozen else None),
        (table_scores_answer(sample, spoken.here(table_scores(study), finetune="none")) if spoken else None)
        or association_answer(sample, _association(study, spoken) if spoken and frozen else None),
        finetuning_answer(
            sample,
            (_finetuning(study, spoken, found) if spoken and frozen else None) if tuned else (),
            None if tuned else costs.of_finetuning(study),
        ),
        cluster_answer(sample, _cluster(study, spoken, found) if spoken and frozen else None),
    )
    return [asdict(one) for one in told]


@one_at_a_time
def reference(study: str) -> Row | None:
    """Which rows speak for a study in `answers`.

    Returns
    -------
    dict or None
        ``dataset``, ``model_spec_id``, ``embedding_spec_id``, ``method``, ``method_id``, ``k`` and ``finetune_id`` (of
        'none'); None where the study names no network, method or K above 1.

    Examples
    --------
    >>> reference("v4-sweep")    # doctest: +SKIP
    """
    found = _reference(study, study_sample(study))
    return None if found is None else found.group


class _Reference:
    """The family, method and K that speak for a study."""

    def __init__(self, family: Mapping[str, Any], method: Mapping[str, Any], k: int) -> None:
        label = Names().of({**family, **method, "k": k, "finetune_id": _none()})
        self.family = dict(family)
        self.method = str(method["method_name"])
        self.method_key = {name: method[name] for name in ("method", "method_id")}
        self.k = k
        self.names = {name: label[name] for name in ("dataset", "model", "embedding")}

    @property
    def group(self) -> Row:
        """Key of the partitions without fine-tuning that differ in their seeds alone."""
        return {**self.family, **self.method_key, "k": self.k, "finetune_id": _none()}

    def has(self, row: Mapping[str, Any], **also: Any) -> bool:
        """Whether a row of a question is of the family, and has these values."""
        return all(row[name] == value for name, value in {**self.names, **also}.items())

    def here(self, rows: Sequence[Row], **also: Any) -> list[Row]:
        """Rows of the reference method and K."""
        return [row for row in rows if self.has(row, method=self.method, k=self.k, **also)]


def _none() -> int:
    return int((FinetuneSpec & {"kind": "none"}).to_arrays("finetune_id")[0])


def _reference(study: str, sample: Sample) -> _Reference | None:
    of = {"study": study}
    asked = ((Study.Model & of) * (Study.Embedding & of)).to_dicts(order_by=_FAMILY)
    methods = (ClusteringMethod & (Study.Method & of)).to_dicts(order_by="method_id")
    counts = sorted(int(k) for k in (Study.Count & of & "k > 1").to_arrays("k"))
    if not asked or not methods or not counts:
        return None
    family = {name: asked[0][name] for name in _FAMILY}
    method = methods[0]
    tuned = Study.Finetuning * FinetuneSpec.proj("kind") & of & "kind != 'none'"
    own = sorted({int(k) for k in (tuned & {"method_id": method["method_id"]}).to_arrays("k")})
    k = (own or counts)[len(own or counts) // 2]
    chosen = _choices_of_k(study, {**family, "method_id": method["method_id"]})
    if sample.frozen and chosen and chosen[0]["decision"] is not None:
        k = int(chosen[0]["decision"])
    return _Reference(family, method, k)


def _choices_of_k(study: str, key: Mapping[str, Any] | None = None) -> list[Row]:
    """Rows of `best_k`; none where nobody asked for a choice, or its study is not frozen yet."""
    choosing = choosing_study(study)
    return best_k(study, key) if choosing is not None and len(FrozenStudy & {"study": choosing}) else []


def _types(study: str, sample: Sample, reference: _Reference | None) -> TypeFacts:
    rows = types(study)
    if not rows:
        return TypeFacts()
    names = ("dataset", "model", "embedding", "spec")
    groups: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        groups.setdefault(tuple(row[name] for name in names), []).append(row)
    own = next(iter(groups.values()))
    animals = [row["n_animals"] for row in own if row["n_animals"] is not None]
    choices = _choices_of_k(study)
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


def _agreement(study: str, reference: _Reference, found: Mapping[str, Any]) -> AgreementFacts | None:
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
    cost = (
        costs.of_another_network(study) if networks < 2 else None if nulls else costs.of_agreement_null(study)
    )
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
    )


def _agreement_nulls(
    study: str, reference: _Reference, found: Mapping[str, Any]
) -> tuple[NullComparison, ...]:
    """Of the choice of K, else those asked for agreement alone; else the unmoved side of a fine-tuned null."""
    key = {**reference.family, "method_id": reference.method_key["method_id"]}
    for one in _choices_of_k(study, key):
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


def _association(study: str, reference: _Reference) -> AssociationFacts | None:
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
    study: str, reference: _Reference, found: Mapping[str, Any]
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


def _cluster(study: str, reference: _Reference, found: Mapping[str, Any]) -> ClusterFacts:
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
