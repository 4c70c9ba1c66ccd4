"""Situations of the five answers: what is known, the verdict, what the sentence must hold, and what is missing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from decortex_schemas.queries.answering import (
    AgreementFacts,
    Answer,
    AssociationFacts,
    ChosenK,
    ClusterFacts,
    Cost,
    FinetuningFacts,
    NetworkTypes,
    NullComparison,
    PopulationFacts,
    ProfileFacts,
    Sample,
    TypeFacts,
    agreement_answer,
    association_answer,
    cluster_answer,
    finetuning_answer,
    types_answer,
)

THREE = Sample("sweep", n_networks=3, n_sessions=6, n_animals=3)
SEVEN = replace(THREE, n_animals=7)
ONE_ANIMAL = replace(THREE, n_sessions=1, n_animals=1)
THAWED = replace(THREE, frozen=False)
CHANGED = replace(THREE, changed="2 of its members missing")
MIXED = replace(THREE, mixed=True)
EIGHT = NetworkTypes("types", 8, False, 0.0004)
TWO = NetworkTypes("types", 2, False, 0.00001)
NONE = NetworkTypes("none", p=0.41)
FEW = NetworkTypes("undecided")
WAITING = NetworkTypes("waiting")
AGREE = AgreementFacts("kmeans", 8, 3, 0.737, 0.70, 0.78, 3, 0.856, 0.61, 2, 0.18)
ABOVE = (NullComparison("gaussian", 0.31, 0.05, 19), NullComparison("copula", 0.39, 0.05, 19))
BELOW = (NullComparison("gaussian", 0.70, 0.60, 19), NullComparison("copula", 0.39, 0.05, 19))
ANIMALS = PopulationFacts("animal", "too_few_units 9/9", 3)
SESSIONS = PopulationFacts("session", "ok", 6, 0.03)
TIED = AssociationFacts(
    "kmeans", 8, "all known", "ok", 0.204, 0.131, 0.278, 0.0001, 0.0001, 0.0001, 9, (ANIMALS,)
)
DEC = FinetuningFacts(
    "dec", "kmeans", 8, 3, 0.0029, -0.0003, 0.0061, None, -0.0032, -0.0039, -0.0021, "ok", 0.005, 3, 1
)
BETTER = replace(DEC, change=0.08, low=0.05, high=0.11)
COST = Cost(4851, 3.2)
TUNING = ProfileFacts(8, 3, "orientation_selectivity", 0.1, 0.7, 0.05, 20, 24)

Case = tuple[Callable[[], Answer], str, tuple[str, ...], str | None]
AT = "at K = 8 of kmeans"
SITUATIONS: dict[str, Case] = {
    # How many types: count first, K second.
    "all networks see eight types": (
        lambda: types_answer(THREE, TypeFacts((EIGHT, EIGHT, EIGHT))),
        "in these sessions",
        ("8 types stand apart in each of three networks, against one group fewer, on animals that were held out",
         "(largest p .0004)"),
        "three animals: five are needed for the population",
    ),
    "all networks of seven animals see eight": (
        lambda: types_answer(SEVEN, TypeFacts((EIGHT, EIGHT))), "established", ("8 types",), None,
    ),
    "networks differ in the number": (
        lambda: types_answer(THREE, TypeFacts((TWO, TWO, NetworkTypes("types", 3, True, 0.01)))),
        "in these sessions",
        ("At least 2 to 3 types stand apart, depending on the network (2, 2 and 3)",),
        "three animals",
    ),
    "one network": (
        lambda: types_answer(SEVEN, TypeFacts((TWO,))),
        "in these sessions",
        ("2 types stand apart in the one network", "(p < .0001)"),
        "a second network",
    ),
    "neurons held out in one animal": (
        lambda: types_answer(ONE_ANIMAL, TypeFacts((TWO, TWO), by_animal=False)),
        "in these sessions", ("on neurons that were held out",), "one animal: five are needed",
    ),
    "no types seen": (
        lambda: types_answer(THREE, TypeFacts((NONE, NONE, NONE))),
        "not established",
        ("No two groups of neurons stand apart in any of three networks (smallest p .41 against a single group)",
         "types that overlap would not be seen"),
        "more neurons",
    ),
    "types in some networks only": (
        lambda: types_answer(THREE, TypeFacts((TWO, NONE, NONE))),
        "undecided", ("stand apart in one of three networks (2) and in the others not",), "networks that agree",
    ),
    "types in all networks but one": (
        lambda: types_answer(THREE, TypeFacts((TWO, TWO, NONE))),
        "undecided", ("stand apart in two of three networks (2 and 2) and in the other not",), "networks that agree",
    ),
    "too few neurons": (
        lambda: types_answer(THREE, TypeFacts((FEW, FEW))), "undecided", ("too few neurons",), "more neurons",
    ),
    "not counted yet": (
        lambda: types_answer(THREE, TypeFacts((WAITING, WAITING, WAITING))),
        "undecided", ("The types of three networks are not counted yet.",), "decortex work",
    ),
    "no network at all": (
        lambda: types_answer(THREE, TypeFacts()), "not asked", ("Not asked: the study names no network.",), None,
    ),
    "no types, and no K": (
        lambda: types_answer(THREE, TypeFacts((NONE,), choices=(ChosenK("kmeans", None, "no_valleys", 19),))),
        "not established",
        ("The rule for K, against 19 surrogates per null model, supports none for kmeans (no K has gaps",),
        "more neurons",
    ),
    "types, and a K for two methods": (
        lambda: types_answer(
            THREE,
            TypeFacts((TWO,), choices=(ChosenK("kmeans", 4, "supported", 19), ChosenK("gmm", None, "undefined", 19))),
        ),
        "in these sessions", ("supports K = 4 for kmeans and none for gmm (no criterion is defined here)",), "network",
    ),
    "other families": (
        lambda: types_answer(THREE, TypeFacts((TWO, TWO), others=2)),
        "in these sessions", ("Two more combinations of network and embedding: `decortex tree sweep`.",), "three",
    ),
    # Agreement.
    "above every null": (
        lambda: agreement_answer(THREE, replace(AGREE, nulls=ABOVE)),
        "in these sessions",
        (f"Networks trained from other seeds agree .74 {AT} (adjusted Rand index, .70 to .78 over 3 pairs; chance",
         "starts on one network agree .86", "kmeans and one other method on one network agree .61",
         "surrogates without types agree at most .39 (p .05, the smallest possible, 19 surrogates)"),
        "three animals",
    ),
    "above every null in seven animals": (
        lambda: agreement_answer(SEVEN, replace(AGREE, nulls=ABOVE)), "established", ("agree .74",), None,
    ),
    "not above one null": (
        lambda: agreement_answer(THREE, replace(AGREE, nulls=BELOW)),
        "not established", ("surrogates without types agree at most .70 (p .60, 19 surrogates)",), "three animals",
    ),
    "too few surrogates": (
        lambda: agreement_answer(THREE, replace(AGREE, nulls=(NullComparison("gaussian", 0.3, 0.2, 4),))),
        "undecided", ("agree .30 (p .20, the smallest possible, four surrogates)",), "19 surrogates",
    ),
    "no null was asked": (
        lambda: agreement_answer(THREE, replace(AGREE, cost=COST)),
        "undecided", ("how much of it neurons without types would give is not known",),
        '`decortex agreement sweep --ask` (about 4,851 jobs, 3.2 hours)',
    ),
    "nulls without a value": (
        lambda: agreement_answer(THREE, replace(AGREE, nulls=(NullComparison("t", None, None, 0, "no_null"),))),
        "undecided", ("is not known (no surrogate has a value)",), "--ask",
    ),
    "one cluster holds nearly all": (
        lambda: agreement_answer(SEVEN, replace(AGREE, largest_share=0.97, nulls=ABOVE)),
        "undecided", ("the largest cluster holds 97% of the neurons, so that this says little",), "clusters",
    ),
    "agreement of one network": (
        lambda: agreement_answer(THREE, replace(AGREE, n_networks=1, ari=None, n_pairs=0, cost=Cost(36, None))),
        "not asked",
        ("Not asked (about 36 jobs, hours unknown until one of them has run): the study has one network.",
         "Starts on one network agree .86"),
        "other seeds",
    ),
    "agreement is not defined": (
        lambda: agreement_answer(THREE, replace(AGREE, ari=None)),
        "undecided", (f"Agreement of networks {AT} is not defined: a partition has one cluster",), "several clusters",
    ),
    "agreement of a study that is not frozen": (
        lambda: agreement_answer(THAWED, None),
        "undecided", ("The study is not frozen",), "`decortex study freeze sweep`",
    ),
    "agreement is waiting": (
        lambda: agreement_answer(THREE, None), "undecided", ("Nothing is compared yet.",), "decortex work",
    ),
    "frozen and changed": (
        lambda: agreement_answer(CHANGED, replace(AGREE, nulls=ABOVE)),
        "in these sessions", ("Of a study that is no longer what was frozen: networks trained",),
        "2 of its members missing; `decortex recompute",
    ),
    "mixed environments": (
        lambda: agreement_answer(MIXED, replace(AGREE, nulls=ABOVE)),
        "in these sessions", ("agree .74",), "rows of one environment",
    ),
    # Association.
    "tied in these sessions": (
        lambda: association_answer(THREE, TIED),
        "in these sessions",
        (f".20 of the variance of the neurons' test correlations within sessions lies between clusters {AT} "
         "(omega², 95 % interval .13 to .28; all known held fixed)",
         "neurons permuted within sessions give as much with p .0001, the smallest possible, over all K",
         "For the population: no answer with three animals as units (at least five animals or sessions are needed)."),
        "three animals: five are needed for the population",
    ),
    "tied for sessions, animals too few": (
        lambda: association_answer(THREE, replace(TIED, population=(ANIMALS, SESSIONS))),
        "in these sessions", ("p .03 with six sessions as units",), "three animals",
    ),
    "tied for animals": (
        lambda: association_answer(
            SEVEN, replace(TIED, population=(PopulationFacts("animal", "ok", 7, 0.012), SESSIONS))
        ),
        "established", ("For the population: p .01 with seven animals as units",), None,
    ),
    "animals say otherwise": (
        lambda: association_answer(SEVEN, replace(TIED, population=(PopulationFacts("animal", "ok", 7, 0.4),))),
        "in these sessions", ("p .40 with seven animals",), "a p of at most .05 with animals as units",
    ),
    "animals share too few clusters": (
        lambda: association_answer(
            SEVEN, replace(TIED, population=(PopulationFacts("animal", "too_few_cells", 7),))
        ),
        "in these sessions", ("hold too few clusters in common",), "too few clusters in common",
    ),
    "not tied": (
        lambda: association_answer(THREE, replace(TIED, effect=0.008, low=-0.01, high=0.03, p=0.3, p_grid=0.2)),
        "not established", ("Not shown: .008 of the variance", "interval -.01 to .03", "p .30"), "three animals",
    ),
    "tied at this K, not over the grid": (
        lambda: association_answer(THREE, replace(TIED, p=0.01, p_grid=0.2)),
        "not established", ("Not shown", "p .20, over all K"), "three animals",
    ),
    "a covariate is missing": (
        lambda: association_answer(THREE, replace(TIED, effect=None, status="covariate_missing 9/9")),
        "undecided", ("could not be compared: a covariate is not known for these neurons",), "can be compared",
    ),
    "two reasons": (
        lambda: association_answer(THREE, replace(TIED, effect=None, status="no_scores 3/9, one_cluster 6/9")),
        "undecided", ("no neuron has a score and there is only one cluster",), "can be compared",
    ),
    "no permutation test yet": (
        lambda: association_answer(THREE, replace(TIED, p=None, p_grid=None)),
        "undecided", ("how often chance gives as much is not known: it is not computed yet",), "permutation",
    ),
    "no covariates": (
        lambda: association_answer(THREE, replace(TIED, covariates="none")),
        "in these sessions", ("95 % interval .13 to .28);",), "three animals",
    ),
    "networks without recordings": (
        lambda: association_answer(replace(THREE, recorded=False), None),
        "not asked", ("come without recordings",), "recordings",
    ),
    "scores of a study that is not frozen": (
        lambda: association_answer(THAWED, None), "undecided", ("not frozen",), "freeze sweep",
    ),
    # Fine-tuning.
    "no improvement": (
        lambda: finetuning_answer(THREE, (DEC,)),
        "not established",
        ("No improvement is shown: dec changes the agreement between networks by .0029 (95 % interval -.0003 to .0061) "
         f"against its own starts {AT}.",
         "Test correlation against the control that trained as long: the change is -.0032 (95 % intervals from -.0039 "
         "to -.0021; within the margin of .005 in 1 of 3 runs)."),
        "three networks: more",
    ),
    "no improvement, and what would have been seen": (
        lambda: finetuning_answer(THREE, (replace(DEC, detectable=0.0213),)),
        "not established", ("A rise of .021 would have been detected in 80 % of such studies.",), "three networks",
    ),
    "no label moved": (
        lambda: finetuning_answer(THREE, (replace(DEC, change=0.0, low=0.0, high=0.0, detectable=0.0),)),
        "not established",
        (f"by 0 against its own starts {AT}", "what would have been detected cannot be told"),
        "three networks",
    ),
    "several, one lowers it": (
        lambda: finetuning_answer(THREE, (DEC, replace(DEC, name="december", change=-0.07, low=-0.1, high=-0.02))),
        "not established",
        ("for all of them at once", "the most of two fine-tunings", "December (K = 8) lowers it."),
        "three networks",
    ),
    "better than starts and surrogates": (
        lambda: finetuning_answer(THREE, (replace(BETTER, null=NullComparison("gaussian", 0.01, 0.05, 19)),)),
        "in these sessions", ("Dec changes", "by .08", "surrogates without types change by .01"), "three animals",
    ),
    "surrogates gain as much": (
        lambda: finetuning_answer(SEVEN, (replace(BETTER, null=NullComparison("gaussian", 0.09, 0.7, 19)),)),
        "not established", ("change by .09 (p .70",), None,
    ),
    "better, and too few surrogates": (
        lambda: finetuning_answer(THREE, (replace(BETTER, null=NullComparison("gaussian", 0.0, 0.2, 4)),)),
        "undecided", ("surrogates without types change by 0 (p .20, the smallest possible",), "19 surrogates",
    ),
    "better, and no surrogates": (
        lambda: finetuning_answer(THREE, (BETTER,)),
        "undecided", ("whether surrogates without types gain as much is not known",), "finetuned_null",
    ),
    "one fine-tuned network": (
        lambda: finetuning_answer(THREE, (replace(DEC, n_networks=1, change=None, low=None, high=None),)),
        "undecided", ("no two networks were fine-tuned from one start", "Test correlation"), "second network",
    ),
    "no interval": (
        lambda: finetuning_answer(THREE, (replace(DEC, low=None, high=None),)),
        "undecided", ("without an interval",), "more networks",
    ),
    "agreement that was put in is no improvement": (
        lambda: finetuning_answer(THREE, (DEC, replace(BETTER, name="mutual", by_construction=True))),
        "not established",
        ("No improvement is shown: dec changes", "Networks of mutual agree by construction"),
        "three networks",
    ),
    "only agreement that was put in": (
        lambda: finetuning_answer(
            THREE,
            (replace(BETTER, name="mutual", by_construction=True, null=NullComparison("gaussian", 0.09, 0.7, 19)),),
        ),
        "not established",
        ("Mutual changes the agreement", "Networks of mutual agree by construction", "surrogates"),
        "three animals",
    ),
    "price without an interval": (
        lambda: finetuning_answer(THREE, (replace(DEC, cost_low=None, cost_high=None, cost_status="one_session 3/3"),)),
        "not established", ("-.0032 (no interval: there is only one session;",), "three networks",
    ),
    "price unknown": (
        lambda: finetuning_answer(THREE, (replace(DEC, cost=None, cost_status="no_scores"),)),
        "not established", ("Its cost is not known: no neuron has a score.",), "three networks",
    ),
    "nothing was fine-tuned": (
        lambda: finetuning_answer(THREE, (), Cost(33, 0.01)),
        "not asked", ("Not asked (about 33 jobs, less than .1 hours): the study fine-tunes nothing.",), "finetunings",
    ),
    "fine-tuning of a study that is not frozen": (
        lambda: finetuning_answer(THAWED, None), "undecided", ("not frozen",), "freeze sweep",
    ),
    # Clusters.
    "clusters and known types": (
        lambda: cluster_answer(THREE, ClusterFacts("kmeans", 8, 0.46, -0.005, -0.01, 0.96)),
        "not asked",
        ("Not asked: what the neurons of a cluster answer to.",
         "At K = 8 of kmeans: clusters agree .46 with the known types (adjusted Rand index), they agree -.01 with "
         "animals and -.005 with sessions (adjusted mutual information), 96% of a left-out animal's neurons stay",
         "chance is 0."),
        "`decortex clusters sweep --ask`",
    ),
    "clusters that differ in tuning": (
        lambda: cluster_answer(THREE, ClusterFacts("kmeans", 8, 0.46, profile=TUNING)),
        "in these sessions",
        (f"Clusters {AT} range from .10 to .70 in orientation selectivity (standard deviation over three networks .05)",
         "a cluster's own stimulus drives it most in 20 of 24 cases (chance is one in 8)", "agree .46"),
        "three animals",
    ),
    "clusters that tuning does not tell apart": (
        lambda: cluster_answer(SEVEN, ClusterFacts("kmeans", 8, profile=replace(TUNING, highest=0.15, n_stimuli=0))),
        "not established", ("No index of tuning tells clusters apart beyond the networks' spread: clusters",), None,
    ),
    "tuning of one network": (
        lambda: cluster_answer(
            THREE, ClusterFacts("kmeans", 8, profile=replace(TUNING, lowest=None, highest=None, spread=None))
        ),
        "undecided", ("In one network the tuning of eight clusters is measured",), "a second network",
    ),
    "tuning is waiting": (
        lambda: cluster_answer(THREE, ClusterFacts("kmeans", 8, profile=ProfileFacts())),
        "undecided", ("is asked and not measured yet",), "decortex work",
    ),
    "clusters of which nothing is known": (
        lambda: cluster_answer(THREE, ClusterFacts("kmeans", 8)),
        "not asked", ("Not asked: what the neurons",), "--ask",
    ),
    "clusters of a study that is not frozen": (
        lambda: cluster_answer(THAWED, None), "not asked", ("Not asked: what the neurons",), "--ask",
    ),
}  # fmt: skip
