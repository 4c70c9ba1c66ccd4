"""Whether a target is predicted by clusters of an embedding or by its continuous axes, on held-out neurons."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from decortex.clustering import check_points, check_seed
from decortex.errors import InputError
from decortex.evaluation.splits import draw_folds
from decortex.evaluation.types_or_axes.config import TypesOrAxesConfig
from decortex.evaluation.types_or_axes.decision import contrast, decide
from decortex.evaluation.types_or_axes.families import (
    DESCRIPTIONS,
    block_means,
    fold_predictions,
    usable_counts,
)
from decortex.evaluation.types_or_axes.result import TypesOrAxes
from decortex.evaluation.types_or_axes.targets import target_columns

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]

# Fewer neurons are undecided; an interval over fewer blocks says nothing.
FEWEST_NEURONS, FEWEST_BLOCKS = 60, 4


def types_or_axes(
    x: Any,
    target: Any,
    *,
    blocks: Any = None,
    categorical: bool | None = None,
    standardise: bool = True,
    seed: int = 0,
    config: TypesOrAxesConfig | None = None,
) -> TypesOrAxes:
    """Compare how well clusters and axes of an embedding predict a target of its neurons.

    Cross-fitted: clusters and principal axes are made of the training neurons, their number is chosen there (each
    training neuron left out), and losses are those of held-out neurons. Three descriptions of at most equal freedom
    compete: clusters; straight or smooth functions of the axes; and clusters with axes. What both predict beyond the
    one is set against the error that the one leaves, neuron by neuron, with errors over blocks.

    Parameters
    ----------
    x : array_like, shape (n_neurons, n_features)
        Embedding, features as they should be compared.
    target : array_like, shape (n_neurons,) or (n_neurons, n_targets)
        Scores, tuning, another embedding; or categories, one per neuron. Neurons with NaN (of categories None, NaN,
        empty text or a negative number) are left out.
    blocks : array_like, shape (n_neurons,), optional
        Animal or session of every neuron: whole blocks are held out, differences of level between blocks are removed,
        intervals are over blocks. Without it neurons count as independent.
    categorical : bool, optional
        Whether target values are categories; None: text is, numbers are not.
    standardise : bool
        Whether columns of numbers count alike. False for embeddings, whose columns have one unit.
    seed : int
        Of folds, clusters and landmarks; equal input and seed give equal results.
    config : TypesOrAxesConfig, optional

    Returns
    -------
    TypesOrAxes
        Answer with both increments.

    Raises
    ------
    InputError
        If an array is unusable, or there are blocks but fewer than four.

    Examples
    --------
    >>> import numpy as np, decortex
    >>> rng = np.random.default_rng(0)
    >>> types = np.arange(300) % 3
    >>> x = rng.normal(size=(300, 5)) + 6 * np.eye(3, 5)[types]
    >>> decortex.types_or_axes(x, types + 0.3 * rng.normal(size=300)).answer
    'clusters'
    >>> decortex.types_or_axes(x, x[:, 0] + 0.3 * rng.normal(size=300)).answer
    'axes'
    """
    settings = config or TypesOrAxesConfig()
    points = check_points(x)
    check_seed(seed)
    y, defined = target_columns(target, len(points), categorical=categorical, standardise=standardise)
    points = points[defined]
    groups = None if blocks is None else _block_codes(blocks, defined)
    n_folds = settings.n_folds if groups is None else min(settings.n_folds, int(groups.max()) + 1)
    counts = usable_counts(settings, len(points) - int(np.ceil(len(points) / n_folds)))
    if len(points) < FEWEST_NEURONS or not counts:
        return _too_few(len(points), groups, y.shape[1])
    losses = np.zeros((len(DESCRIPTIONS), len(points)))
    added = np.zeros((2, len(points)))
    chosen = []
    for repeat in range(settings.n_repeats):
        rng = np.random.default_rng([seed, repeat])
        folds = draw_folds(len(points), groups, n_folds, rng)
        predictions = np.empty((len(DESCRIPTIONS), *y.shape))
        for fold in range(n_folds):
            out = folds == fold
            made = fold_predictions(
                points[~out],
                y[~out],
                points[out],
                blocks=None if groups is None else groups[~out],
                seed=int(rng.integers(2**31)),
                config=settings,
            )
            predictions[:, out] = made.values
            chosen.append((made.n_clusters, made.axes_freedom))
        errors = held_out_errors(y, predictions, groups)
        losses += (errors**2).sum(axis=2) / settings.n_repeats
        added += what_is_added(errors) / settings.n_repeats
    return _judged(losses, added, np.array(chosen), blocks=groups, n_targets=y.shape[1], settings=settings)


def held_out_errors(y: FloatArray, predictions: FloatArray, blocks: IntArray | None) -> FloatArray:
    """Error of every description, neuron and target, (n_descriptions, n_neurons, n_targets).

    With blocks a description answers for differences within blocks only: the mean error of a block is taken out.
    """
    errors: FloatArray = y - predictions
    if blocks is None:
        return errors
    return np.stack([error - block_means(error, blocks) for error in errors])


def what_is_added(errors: FloatArray) -> FloatArray:
    """What clusters add to wide axes, and axes to clusters, per neuron, (2, n_neurons), in units of the loss.

    The error that one description leaves times what both together predict beyond it, summed over targets. Its mean is
    the fall of the squared error if both predict rightly; it is zero in expectation if what they predict beyond the
    one is noise, where the difference of two losses is below zero by that noise and has twice the spread. This is the
    test of forecast encompassing (Harvey, Leybourne & Newbold 1998, J. Bus. Econ. Stat. 16, 254; Clark & West 2007, J.
    Econometrics 138, 291).
    """
    clusters, wide, both = (errors[DESCRIPTIONS.index(name)] for name in ("clusters", "axes_wide", "both"))
    added: FloatArray = np.stack([(one * (one - both)).sum(axis=1) for one in (wide, clusters)])
    return added


def _judged(
    losses: FloatArray,
    added: FloatArray,
    chosen: IntArray,
    *,
    blocks: IntArray | None,
    n_targets: int,
    settings: TypesOrAxesConfig,
) -> TypesOrAxes:
    mean, clusters, axes, wide, both = losses / losses[0].mean()
    explained, (clusters_add, axes_add) = mean - both, added / losses[0].mean()
    answer, reason = decide(
        explained, clusters_add, axes_add, blocks=blocks, alpha=settings.alpha, margin=settings.margin
    )
    clusters_before_axes = axes - clusters
    return TypesOrAxes(
        answer=answer,
        reason=reason,
        clusters_add=contrast(clusters_add, blocks).increment(settings.alpha),
        axes_add=contrast(axes_add, blocks).increment(settings.alpha),
        clusters_before_axes=contrast(clusters_before_axes, blocks).increment(settings.alpha),
        explained=contrast(explained, blocks).increment(settings.alpha),
        r2_clusters=float(1 - clusters.mean()),
        r2_axes=float(1 - axes.mean()),
        r2_axes_wide=float(1 - wide.mean()),
        r2_both=float(1 - both.mean()),
        n_clusters=float(chosen[:, 0].mean()),
        axes_freedom=float(chosen[:, 1].mean()),
        n_neurons=losses.shape[1],
        n_blocks=None if blocks is None else int(blocks.max()) + 1,
        n_targets=n_targets,
    )


def _too_few(n_neurons: int, blocks: IntArray | None, n_targets: int) -> TypesOrAxes:
    return TypesOrAxes(
        answer="undecided",
        reason="too_few",
        n_neurons=n_neurons,
        n_blocks=None if blocks is None else int(blocks.max()) + 1,
        n_targets=n_targets,
    )


def _block_codes(blocks: Any, defined: NDArray[np.bool_]) -> IntArray:
    values = np.asarray(blocks)
    if values.shape != defined.shape:
        raise InputError(f"blocks must be one per neuron, shape {defined.shape}; got {values.shape}.")
    names, codes = np.unique(values[defined], return_inverse=True)
    if len(names) < FEWEST_BLOCKS:
        raise InputError(
            f"the neurons with a target come from {len(names)} blocks; an interval over blocks needs at least "
            f"{FEWEST_BLOCKS}. Give sessions instead of animals, or no blocks: neurons then count as independent."
        )
    return codes.astype(np.int64)
