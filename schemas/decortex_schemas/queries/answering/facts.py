"""What the answers about a study are made of: stored numbers with their comparisons, one class per question.

Nothing is read and nothing is worded here; a value that is not known is None.
"""

from __future__ import annotations

from dataclasses import dataclass

# Fewer units (animals or sessions) say nothing about the population they come from; as in ClusterAssociation.
FEWEST_UNITS = 5
LEVEL = 0.05


@dataclass(frozen=True)
class Cost:
    """What asking would take.

    Parameters
    ----------
    jobs : int
        Keys to compute.
    hours : float or None
        On one core, at the mean time of rows of the same kind; None where there are none yet.
    """

    jobs: int
    hours: float | None = None


@dataclass(frozen=True)
class Sample:
    """Of what a study speaks, and in which state it is.

    Parameters
    ----------
    study : str
        Its name.
    n_networks, n_sessions, n_animals : int
        Networks, recording sessions and animals behind it; animals 0 where nobody recorded them.
    frozen : bool
        Whether what looks across its rows can exist.
    changed : str
        How a frozen study is no longer what was frozen, in words; empty where it is.
    mixed : bool
        Whether its rows were computed under more than one environment.
    recorded : bool
        Whether any of its neurons has recordings to score a network by.
    of_table : bool
        Whether its neurons come from a user's own table: there is no network then (``n_networks`` 0), and no other.
    scores : tuple of str
        Scores that the table brought.
    """

    study: str
    n_networks: int
    n_sessions: int
    n_animals: int
    frozen: bool = True
    changed: str = ""
    mixed: bool = False
    recorded: bool = True
    of_table: bool = False
    scores: tuple[str, ...] = ()

    @property
    def reaches_population(self) -> bool:
        """Whether there are animals enough to speak of others."""
        return self.n_animals >= FEWEST_UNITS


@dataclass(frozen=True)
class NetworkTypes:
    """Number of types in one network's embedding.

    Parameters
    ----------
    status : str
        'types', 'none', 'undecided', or 'waiting'.
    n_types : int or None
    at_least : bool
        Whether the number rests on a single level.
    p : float or None
        The largest of the levels that stand, or the smallest of all where none does.
    """

    status: str
    n_types: int | None = None
    at_least: bool = False
    p: float | None = None


@dataclass(frozen=True)
class ChosenK:
    """What the rule for the number of clusters says for one method.

    Parameters
    ----------
    method : str
    decision : int or None
    reason : str
        'supported', or why none is.
    n_surrogates : int
        Surrogates of each null model.
    """

    method: str
    decision: int | None
    reason: str
    n_surrogates: int


@dataclass(frozen=True)
class TypeFacts:
    """How many types stand apart.

    Parameters
    ----------
    networks : tuple of NetworkTypes
        Every network of the family.
    by_animal : bool
        Whether whole animals were held out.
    choices : tuple of ChosenK
        What the rule for K says; empty where nobody asked.
    others : int
        Other families (networks, embeddings, settings) of the study, which are not told here.
    cost : Cost or None
        Of a choice of K, where nobody asked for one.
    """

    networks: tuple[NetworkTypes, ...] = ()
    by_animal: bool = True
    choices: tuple[ChosenK, ...] = ()
    others: int = 0
    cost: Cost | None = None


@dataclass(frozen=True)
class NullComparison:
    """One number against surrogates without types.

    Parameters
    ----------
    kind : str
        The null model.
    mean, p : float or None
    n : int
        Surrogates with a value.
    status : str
        'ok', or why there is no p.
    """

    kind: str
    mean: float | None
    p: float | None
    n: int
    status: str = "ok"

    @property
    def smallest_p(self) -> float:
        """Below which no p can fall with so many surrogates."""
        return 1 / (self.n + 1)


@dataclass(frozen=True)
class AgreementFacts:
    """Agreement (adjusted Rand index) of one method at one K.

    Parameters
    ----------
    method, k : str, int
    n_networks : int
    ari, low, high : float or None
        Mean between networks, and the smallest and largest of the pairs.
    n_pairs : int
    starts : float or None
        Between starts of one network.
    methods : float or None
        Mean with other methods on the same network.
    n_methods : int
        Methods of the study.
    largest_share : float or None
        Share of the neurons in the largest cluster.
    nulls : tuple of NullComparison
    cost : Cost or None
        Of what is missing: another network, or a null.
    types_at_k : bool
        Whether so many types stand apart as there are clusters; asked of a table alone.
    """

    method: str
    k: int
    n_networks: int
    ari: float | None = None
    low: float | None = None
    high: float | None = None
    n_pairs: int = 0
    starts: float | None = None
    methods: float | None = None
    n_methods: int = 1
    largest_share: float | None = None
    nulls: tuple[NullComparison, ...] = ()
    cost: Cost | None = None
    types_at_k: bool = False


@dataclass(frozen=True)
class PopulationFacts:
    """The population's test of one partition family, with one kind of unit.

    Parameters
    ----------
    unit : str
        'animal' or 'session'.
    status : str
        Of the partitions; 'ok' where all have a p.
    n_units : int
    p : float or None
        The largest of the partitions.
    """

    unit: str
    status: str
    n_units: int
    p: float | None = None


@dataclass(frozen=True)
class AssociationFacts:
    """How far performance is tied to cluster, for one method at one K and one set of covariates.

    Parameters
    ----------
    method, k, covariates : str, int, str
    status : str
        'ok', or why nothing was compared.
    effect, low, high : float or None
        Share of the variance of scores between clusters, after sessions and covariates (omega²); mean over partitions.
    p : float or None
        In these sessions: the largest of the partitions, corrected over the study (Benjamini-Hochberg).
    p_grid : float or None
        One p for all K and starts of the method, the largest of the networks.
    smallest_p : float or None
        Below which no permutation p can fall.
    n_partitions : int
    population : tuple of PopulationFacts
    """

    method: str
    k: int
    covariates: str
    status: str = "ok"
    effect: float | None = None
    low: float | None = None
    high: float | None = None
    p: float | None = None
    p_grid: float | None = None
    smallest_p: float | None = None
    n_partitions: int = 0
    population: tuple[PopulationFacts, ...] = ()


@dataclass(frozen=True)
class FinetuningFacts:
    """One fine-tuning of one method at one K, against its own starts and its control.

    Parameters
    ----------
    name, method, k : str, str, int
    n_networks : int
    change, low, high : float or None
        Of the agreement between networks; the interval is over networks and simultaneous over all fine-tunings.
    null : NullComparison or None
        The change against the same fine-tuning of surrogates without types.
    cost, cost_low, cost_high : float or None
        Change of the test correlation against the control that trained as long: mean, and the lowest and highest
        end of the intervals over sessions.
    cost_status : str
        Of those intervals, 'ok' or why there are none.
    margin : float or None
        Change that would matter.
    n_priced, n_within : int
        Fine-tuned partitions with a price, and those whose price is within the margin.
    detectable : float or None
        Change of the agreement that such an interval would have left above zero with probability .8; None below three
        networks.
    by_construction : bool
        Whether networks agree by construction: they start from one partition, or learnt from each other.
    """

    name: str
    method: str
    k: int
    n_networks: int
    change: float | None = None
    low: float | None = None
    high: float | None = None
    null: NullComparison | None = None
    cost: float | None = None
    cost_low: float | None = None
    cost_high: float | None = None
    cost_status: str = "ok"
    margin: float | None = None
    n_priced: int = 0
    n_within: int = 0
    detectable: float | None = None
    by_construction: bool = False


@dataclass(frozen=True)
class ProfileFacts:
    """In-silico tuning of clusters, as far as it is measured.

    Parameters
    ----------
    n_clusters, n_networks : int
        Clusters with a profile, and the fewest networks behind one; 0 where nothing is measured yet.
    index : str
        The index of tuning in which clusters differ most, for the spread of the networks.
    lowest, highest, spread : float or None
        Its smallest and largest cluster, and the mean standard deviation over networks.
    n_discriminated, n_stimuli : int
        Clusters and networks in which the cluster's own stimulus drives it more than any other, of those with stimuli.
    """

    n_clusters: int = 0
    n_networks: int = 0
    index: str = ""
    lowest: float | None = None
    highest: float | None = None
    spread: float | None = None
    n_discriminated: int = 0
    n_stimuli: int = 0


@dataclass(frozen=True)
class ClusterFacts:
    """What is stored about the clusters of one method at one K.

    Parameters
    ----------
    method, k : str, int
    truth : float or None
        Adjusted Rand index with types that somebody knows.
    session, animal : float or None
        Adjusted mutual information of clusters with sessions and with animals: 0 is chance.
    kept : float or None
        Share of a left-out animal's neurons that stay nearest to their own cluster.
    profile : ProfileFacts or None
        What clusters answer to; None where nobody asked.
    """

    method: str
    k: int
    truth: float | None = None
    session: float | None = None
    animal: float | None = None
    kept: float | None = None
    profile: ProfileFacts | None = None
