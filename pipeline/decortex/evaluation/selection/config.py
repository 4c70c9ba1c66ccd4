"""Settings of the choice of K: what is refitted how often, and when a K counts as supported. No algorithm here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pydantic import Field

from decortex.config import Config
from decortex.evaluation.nulls import NULL_KINDS, NullKind

NullCriterion = Literal["stability", "silhouette", "calinski_harabasz", "davies_bouldin"]
CriterionStatus = Literal[
    "ok",
    "one_cluster",
    "trivial",
    "all_singletons",
    "zero_spread",
    "too_few_neurons",
    "too_few_surrogates",
    "constant_null",
    "not_defined",
]


class SelectionConfig(Config):
    """How a number of clusters is judged."""

    nulls: tuple[NullKind, ...] = Field(
        default=NULL_KINDS, min_length=1, description="null models; a K must exceed every one"
    )
    n_surrogates: int = Field(
        default=19, ge=2, le=10_000, description="surrogates per null model; below 19 no p can reach .05"
    )
    stop_early: bool | Literal["decision"] = Field(
        default=False,
        description="true: draw no further surrogates for a K once too many were as stable for it to exceed a null any"
        " more; the decision is the same, the null bands of such K rest on fewer surrogates. 'decision': besides, none"
        " for a K on which the decision does not depend any more",
    )
    null_criteria: tuple[NullCriterion, ...] = Field(
        default=("stability", "silhouette", "calinski_harabasz", "davies_bouldin"),
        description="values also taken on surrogates; the decision needs 'stability' only",
    )
    n_subsamples: int = Field(default=3, ge=2, description="subsamples of neurons; every pair is compared")
    share: float = Field(default=0.8, gt=0, lt=1, description="share of the neurons in a subsample")
    n_splits: int = Field(
        default=2, ge=1, description="random halvings of the neurons; each half is held out once"
    )
    n_references: int = Field(default=10, ge=2, description="uniform references of the gap statistic")
    silhouette_sample: int = Field(
        default=2000, ge=1, description="neurons whose silhouette is taken, at most"
    )
    n_resamples: int = Field(
        default=50,
        ge=0,
        description="resamples of neurons, labels kept, for intervals that have no formula; 0: none",
    )
    alpha: float = Field(default=0.05, gt=0, lt=1, description="level of excess over a null, and of a valley")
    max_depth: float = Field(
        default=0.5, gt=0, lt=1, description="density in a valley over that on its sparser side, at most"
    )
    min_valley_share: float = Field(
        default=0.5, ge=0, lt=1, description="more than this share of neighbouring pairs must show a valley"
    )
    min_prediction_strength: float = Field(
        default=0.8, gt=0, le=1, description="threshold of the prediction strength's own choice"
    )
    seed: int = Field(default=0, ge=0, description="of fits, subsamples, splits and references")


@dataclass(frozen=True)
class CriterionValue:
    """One value of one number of clusters; the one result type of all criteria.

    Parameters
    ----------
    criterion : str
        Name, one of `decortex.evaluation.selection.decision.CRITERIA`.
    k : int
        Number of clusters.
    value : float or None
        None where undefined, the status saying why.
    low, high : float or None
        Interval of the value; what it is depends on the criterion (docs/science/criteria-for-k.md).
    n_used : int
        Neurons behind the value (silhouette: those sampled).
    status : str
        'ok' or why there is no value.
    """

    criterion: str
    k: int
    value: float | None
    low: float | None
    high: float | None
    n_used: int
    status: CriterionStatus


def refits(n_counts: int, config: SelectionConfig) -> dict[str, int]:
    """Number of clusterings that a choice over a grid takes: on the data, on references and on surrogates.

    Examples
    --------
    >>> from decortex.evaluation.selection import SelectionConfig
    >>> sorted(refits(5, SelectionConfig()))
    ['data', 'references', 'surrogates']
    """
    own = n_counts * (1 + config.n_subsamples + 2 * config.n_splits)
    each = config.n_subsamples + (set(config.null_criteria) != {"stability"})
    return {
        "data": own,
        "references": n_counts * config.n_references,
        "surrogates": n_counts * len(config.nulls) * config.n_surrogates * each,
    }
