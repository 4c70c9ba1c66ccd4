"""What can be asked of fine-tuning: kinds, losses, parameters. Optimiser and epochs are the schedule's."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from decortex.config import Config

FinetuneKind = Literal[
    "none",
    "dec",
    "dec_joint",
    "dec_undetached",
    "december",
    "tell",
    "sec",
    "ldmgi",
    "mutual",
    "rotation_dec",
    "rotation_december",
]
Kernel = Literal["published", "pca10", "scaled"]

_EVERY = frozenset({"heads", "drop_empty", "start", "start_study"})
_JOINT = frozenset({"beta", "beta_rule", "beta_rise"}) | _EVERY
_DEC = frozenset({"alpha", "kernel", "update_interval", "tolerance", "detach_target"})
_BALANCED = frozenset({"target", "balance", "transport_epsilon"})
_MIXTURE = _JOINT | frozenset(
    {
        "restart_every",
        "annihilation",
        "detach_target",
        "nu",
        "learn_nu",
        "learn_weights",
        "power",
        "scale_min",
        "scale_max",
    }
)
_FIELDS: dict[str, frozenset[str]] = {
    "none": frozenset(),
    "dec": _DEC | _EVERY,
    "dec_joint": _DEC | _JOINT | _BALANCED,
    # P moves with every step, so there is no interval and no refresh to compare labels at.
    "dec_undetached": _JOINT | {"alpha", "kernel", "detach_target"},
    "december": _MIXTURE,
    "tell": _JOINT | {"temperature"},
    "sec": _JOINT | {"restart_every", "n_neighbors", "mu", "gamma"},
    "ldmgi": _JOINT | {"restart_every", "n_neighbors", "lam"},
    # One head and the own clustering's start: what other networks hold is a partition at this K.
    "mutual": frozenset(
        {"beta", "beta_rule", "beta_rise", "drop_empty", "alpha", "kernel", "balance", "transport_epsilon"}
        | {"peer_seeds", "round"}
    ),
    "rotation_dec": _DEC | _JOINT | _BALANCED | {"shift"},
    "rotation_december": _MIXTURE,
}
_DETACHED: dict[str, tuple[bool, ...]] = {
    "dec": (True,),
    "dec_joint": (True,),
    "dec_undetached": (False,),
    "december": (False, True),
    "rotation_dec": (True,),
    "rotation_december": (False, True),
}
# Parameters that came after variants had rows: at their default they are left out, so that a variant keeps its hash.
_LATER = ("beta_rise", "restart_every", "annihilation", "heads", "drop_empty", "start", "start_study")
# Kinds whose partition changes by new fits of their method alone: without them labels stay those of the start.
GRAPH_KINDS = ("sec", "ldmgi")
ROTATION_KINDS = ("rotation_dec", "rotation_december")


class FinetuneConfig(Config):
    """One fine-tuning variant; a field that its kind does not use is refused: one variant has one hash.

    Kinds: ``none`` leaves the network alone; ``dec`` trains on the clustering loss alone (Xie et al. 2016);
    ``dec_joint`` on prediction loss + beta KL (Guo et al. 2017); ``dec_undetached`` the same with the
    gradient flowing through the target; ``december`` on prediction loss + beta KL of a t-mixture that
    follows the embedding by EM (Nellen, Turishcheva et al. 2025); ``tell`` on prediction loss + beta times the
    objective of k-means with soft assignments (Peng et al. 2022); ``sec`` and ``ldmgi`` on prediction loss + beta
    times the objective of these graph methods at the present partition (Nie et al. 2011; Yang et al. 2010), which they
    make anew every ``restart_every`` epochs (default 1); ``mutual`` on prediction loss + beta KL to the assignments of
    the networks of other seeds, as they were a round before (Zhang et al. 2018; Anil et al. 2018); ``rotation_dec`` and
    ``rotation_december`` are dec_joint and december with clusters defined up to a roll of orientation; they start from
    a rotation_tmixture clustering.
    """

    kind: FinetuneKind = Field(
        description="none, dec, dec_joint, dec_undetached, december, tell, sec, ldmgi, mutual, rotation_dec, "
        "rotation_december"
    )
    beta: float = Field(1.0, gt=0, description="weight of the mean KL beside the mean prediction loss")
    beta_rule: Literal["fixed", "balanced"] = Field(
        "fixed",
        description="balanced: beta counts in units of equal gradient norms on the readout at the start",
    )
    beta_rise: int = Field(
        0, ge=0, description="epochs over which beta rises linearly to its value; 0: it has it from the start"
    )
    heads: tuple[int, ...] = Field(
        (),
        description="further numbers of clusters, increasing, whose losses are trained beside the partition's own,"
        " with equal weight",
    )
    drop_empty: bool = Field(
        False,
        description="start from the clusters that hold a neuron, where a method's K is an outcome (Leiden at a"
        " resolution); without it an empty cluster of the start is a status",
    )
    start: Literal["clustering", "consensus", "shared"] = Field(
        "clustering",
        description="consensus: the partition that a frozen study's networks and starts vote for at the same method and"
        " K; shared: the labelling that all networks of a study support at the same K (TURTLE); networks that start"
        " from one of them agree by construction",
    )
    start_study: str = Field(
        "",
        max_length=64,
        description="consensus, shared: the study that holds it, of a consensus a frozen one",
    )
    alpha: float = Field(1.0, gt=0, description="degrees of freedom of DEC's Student kernel")
    kernel: Kernel = Field(
        "published",
        description="published: exponent (alpha + 1)/2 on raw distances; scaled: exponent (alpha + D)/2 on"
        " distances over the within-cluster scale; pca10: scaled, on a fixed projection to 10 dimensions",
    )
    shift: Literal["sum", "best"] = Field(
        "sum",
        description="rotation_dec: a cluster's score is the sum over its rolls, or that of the best roll",
    )
    detach_target: bool = Field(True, description="whether the target P is constant between its updates")
    update_interval: int = Field(20, ge=1, description="steps between two updates of the target")
    tolerance: float = Field(
        0.001,
        ge=0,
        lt=1,
        description="stop when fewer labels change between two updates (share); 0: never",
    )
    target: Literal["sharpened", "balanced"] = Field(
        "sharpened",
        description="sharpened: P = q^2/f; balanced: P by relaxed optimal transport to clusters of equal size",
    )
    balance: float = Field(1.0, gt=0, description="weight of equal sizes in the balanced target")
    transport_epsilon: float = Field(0.5, gt=0, description="weight of the entropy in the balanced target")
    restart_every: int = Field(
        0,
        ge=0,
        description="epochs between two new fits of the mixture to the present embedding; 0: never; of sec and ldmgi"
        " fits of the method, default 1",
    )
    annihilation: float = Field(
        0.0,
        ge=0,
        description="mixtures: weight of the message-length penalty at which a cluster dies, in units of half its"
        " free parameters, neurons (Figueiredo & Jain 2002); 1: as published; 0: none dies",
    )
    temperature: float = Field(
        2.0,
        gt=0,
        description="tell: softness of the assignments, in units of the within-cluster variance of a dimension",
    )
    n_neighbors: int = Field(
        15, ge=2, description="sec, ldmgi: neighbours in the graph; of ldmgi the neuron itself counted"
    )
    mu: float = Field(
        0.1, ge=0, description="sec: weight of the linear regression; 0: the normalised cut alone"
    )
    gamma: float = Field(1.0, gt=0, description="sec: ridge of the regression, embedding squared")
    lam: float = Field(1.0, gt=0, description="ldmgi: ridge of the local models, embedding squared")
    peer_seeds: tuple[int, ...] = Field(
        (),
        description="mutual: seeds of the networks that learn from each other, increasing",
    )
    round: int = Field(
        1,
        ge=1,
        description="mutual: 1 learns from the networks' clusterings, 2 from what they learnt in round 1, and so on",
    )
    nu: float = Field(2.1, gt=0, description="degrees of freedom of the t-mixture (their start, if learned)")
    learn_nu: bool = Field(False, description="whether each cluster's degrees of freedom are estimated")
    learn_weights: bool = Field(False, description="whether mixing weights are estimated instead of equal")
    power: float = Field(2.0, ge=1, description="exponent e of the target p = q^e/f")
    scale_min: float = Field(1e-4, gt=0, description="smallest scale of a cluster's dimension (clamp)")
    scale_max: float = Field(1e4, gt=0, description="largest scale of a cluster's dimension (clamp)")

    @model_validator(mode="before")
    @classmethod
    def _default_of_the_kind(cls, values: Any) -> Any:
        for name in ("heads", "peer_seeds"):
            if isinstance(values, dict) and isinstance(values.get(name), list):
                values = {**values, name: tuple(values[name])}  # a dict is not read as JSON any more
        if isinstance(values, dict) and values.get("kind") in GRAPH_KINDS:
            values = {"restart_every": 1, **values}
        if isinstance(values, dict) and "detach_target" not in values:
            kind = values.get("kind")
            allowed = _DETACHED.get(kind) if isinstance(kind, str) else None
            if allowed is not None:
                return {**values, "detach_target": allowed[0]}
        return values

    @model_validator(mode="after")
    def _fits_the_kind(self) -> FinetuneConfig:
        unused = sorted(self.model_fields_set - _FIELDS[self.kind] - {"kind"})
        if unused:
            used = sorted(_FIELDS[self.kind]) or ["no parameters"]
            raise ValueError(f"{self.kind} does not use {', '.join(unused)}; it takes {', '.join(used)}")
        if self.kind in _DETACHED and self.detach_target not in _DETACHED[self.kind]:
            raise ValueError(
                f"{self.kind} has detach_target {_DETACHED[self.kind][0]}; for the other choice "
                f"take the kind {'dec_joint' if self.kind == 'dec_undetached' else 'dec_undetached'}"
            )
        if self.kind == "rotation_dec" and self.kernel == "pca10":
            raise ValueError(
                "rotation_dec has no kernel 'pca10': principal axes do not roll with the orientations; take "
                "'scaled' or 'published'"
            )
        loose = sorted({"balance", "transport_epsilon"} & self.model_fields_set)
        if self.target == "sharpened" and loose and self.kind != "mutual":
            raise ValueError(
                f"the sharpened target does not use {', '.join(loose)}; set target to 'balanced'"
            )
        if any(k < 2 for k in self.heads) or list(self.heads) != sorted(set(self.heads)):
            raise ValueError(
                f"heads should be increasing numbers of clusters from 2 on, got {list(self.heads)}"
            )
        if self.kind == "mutual" and (
            len(self.peer_seeds) < 2 or list(self.peer_seeds) != sorted(set(self.peer_seeds))
        ):
            raise ValueError(
                f"mutual needs peer_seeds, two or more increasing seeds of networks, got {list(self.peer_seeds)}"
            )
        if self.has_shared_start != bool(self.start_study):
            raise ValueError(
                "a start 'consensus' or 'shared' needs start_study, the study that holds it; no other start takes one"
            )
        if self.has_shared_start and self.kind in ROTATION_KINDS:
            raise ValueError(
                f"{self.kind} starts from shifts of orientation, which a {self.start} start does not have"
            )
        if self.drop_empty and self.heads:
            raise ValueError("drop_empty and heads exclude each other: the K that is found may be a head's")
        if self.annihilation and not self.learn_weights:
            raise ValueError("annihilation lets clusters die by their weights; set learn_weights to true")
        if self.annihilation and self.restart_every:
            raise ValueError(
                "annihilation and restart_every exclude each other: a restart at K would bring back what died"
            )
        if self.scale_min >= self.scale_max:
            raise ValueError(f"scale_min {self.scale_min} should be below scale_max {self.scale_max}")
        return self

    @property
    def has_shared_start(self) -> bool:
        """Whether all networks start from one partition, so that they agree by construction."""
        return self.start != "clustering"

    @property
    def agrees_by_construction(self) -> bool:
        """Whether networks agree however good the partition is: one start for all, or each other's targets."""
        return self.has_shared_start or self.kind == "mutual"

    def resolved(self) -> dict[str, Any]:
        """Kind and the parameters that it uses, defaults filled in; `from_params` takes them back.

        Those of `_LATER` and of the balanced target stand there only where they do something.
        """
        used = _FIELDS[self.kind] | {"kind"}
        if self.target == "sharpened" and self.kind != "mutual":
            used = used - _BALANCED
        idle = {name for name in _LATER if getattr(self, name) == type(self).model_fields[name].default}
        if self.kind in GRAPH_KINDS:
            idle -= {"restart_every"}  # its default is another there
        return {name: value for name, value in super().resolved().items() if name in used - idle}
