"""Result of the comparison of clusters and axes, frozen. No algorithm here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Answer = Literal["clusters", "axes", "both", "undecided"]
Reason = Literal["decided", "not_predicted", "too_close", "too_few"]


@dataclass(frozen=True)
class Increment:
    """What one description adds to another on held-out neurons, as a share of the target's variance.

    Parameters
    ----------
    value : float
        Loss of the smaller description minus loss of the larger, over the loss of the mean.
    low, high : float
        Interval at twice the level of the tests (95 % by default), t distribution on blocks.
    p : float
        One-sided, of 'adds nothing'.
    """

    value: float
    low: float
    high: float
    p: float


@dataclass(frozen=True)
class TypesOrAxes:
    """Whether clusters or axes of an embedding predict a target.

    Parameters
    ----------
    answer : {'clusters', 'axes', 'both', 'undecided'}
    reason : {'decided', 'not_predicted', 'too_close', 'too_few'}
        Of 'undecided': nothing predicts the target; what predicts it cannot be told apart; too few neurons.
    n_neurons : int
        With a target.
    n_blocks : int or None
        Blocks that are held out whole and that intervals are over; None: neurons count as independent.
    n_targets : int
        Columns of the target; of categories, one each.
    clusters_add : Increment or None
        To axes of the same total freedom. None where there are too few neurons, as all that follows.
    axes_add : Increment or None
        To clusters.
    clusters_before_axes : Increment or None
        Axes at the clusters' own freedom against the clusters; negative where axes predict better.
    explained : Increment or None
        Best description against the mean.
    r2_clusters, r2_axes, r2_axes_wide, r2_both : float or None
        Share of the target's variance explained on held-out neurons by clusters, by axes of equal freedom, by axes of
        twice the freedom, and by clusters with axes of twice the freedom in all.
    n_clusters : float or None
        Clusters chosen, mean over folds; 1 is the mean alone.
    axes_freedom : float or None
        Degrees of freedom chosen for axes of equal freedom, mean over folds.
    """

    answer: Answer
    reason: Reason
    n_neurons: int
    n_blocks: int | None
    n_targets: int
    clusters_add: Increment | None = None
    axes_add: Increment | None = None
    clusters_before_axes: Increment | None = None
    explained: Increment | None = None
    r2_clusters: float | None = None
    r2_axes: float | None = None
    r2_axes_wide: float | None = None
    r2_both: float | None = None
    n_clusters: float | None = None
    axes_freedom: float | None = None

    @property
    def sentence(self) -> str:
        """The answer in words."""
        return axes_sentence(
            self.answer,
            self.reason,
            n_neurons=self.n_neurons,
            blocks=None if self.n_blocks is None else f"{self.n_blocks} blocks",
            r2=(self.r2_clusters, self.r2_axes, self.r2_both),
        )


def axes_sentence(
    answer: str,
    reason: str,
    *,
    n_neurons: int,
    blocks: str | None,
    r2: tuple[float | None, float | None, float | None],
) -> str:
    """Answer of a comparison in words; ``r2`` of clusters, axes of equal freedom, and both."""
    whose = f"{n_neurons} neurons" + ("" if blocks is None else f" in {blocks}")
    clusters, axes, both = map(_share, r2)
    if reason == "too_few":
        return f"Undecided: too few neurons to compare clusters and axes ({whose})."
    if reason == "not_predicted":
        return f"Undecided: neither clusters nor axes predict the target ({whose}; held-out R2 {both})."
    words = {
        "clusters": "Clusters predict the target, axes add nothing to them",
        "axes": "Axes predict the target, clusters add nothing to them",
        "both": "Clusters and axes each add to the other",
        "undecided": "Undecided: clusters and axes cannot be told apart by this target",
    }
    return f"{words[answer]} ({whose}; held-out R2: clusters {clusters}, axes of equal freedom {axes}, both {both})."


def _share(value: float | None) -> str:
    return "undefined" if value is None else f"{value:.3f}".replace("0.", ".", 1)
