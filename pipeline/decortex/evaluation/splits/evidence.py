r"""From counts to p: a valley is a window that holds fewer neurons than the windows beside it.

With M neurons between and S beside on the sparser side, and a density between that is at least that beside, M of
M + S is at least Binomial(M + S, 1/2). For counts that are no whole numbers the incomplete beta function takes the
binomial's place:

.. math:: p(M, S) = P(\mathrm{Bin}(M + S, 1/2) \le M) = I_{1/2}(S, M + 1).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import betainc

from decortex.evaluation.splits.config import SplitConfig
from decortex.evaluation.splits.result import Boundary, ValleyCount

FloatArray = NDArray[np.float64]

# Kinds of count of a boundary, in the order of the arrays that hold them.
KINDS = ("path", "centres")


def valley_p(between: Any, beside: Any) -> FloatArray:
    """P of 'at least as dense between as beside', for real counts; 1 where nothing was counted beside.

    Examples
    --------
    >>> valley_p(0, 3).round(3)  # one in eight
    array(0.125)
    """
    between, beside = np.asarray(between, dtype=float), np.asarray(beside, dtype=float)
    some = beside > 0
    p: FloatArray = np.where(some, betainc(np.where(some, beside, 1.0), between + 1, 0.5), 1.0)
    return p


def valley_count(counts: FloatArray, config: SplitConfig) -> ValleyCount:
    """Sum over donors, and p without the donor that helps most; without donors there is one row.

    Parameters
    ----------
    counts : ndarray, shape (n_donors, 2)
        Neurons between and beside, per donor.
    """
    between, beside = (float(total) for total in counts.sum(axis=0))
    rest = counts
    if len(counts) > 1:
        rest = np.delete(counts, int(np.argmax(counts[:, 1] - counts[:, 0])), axis=0)
    m, s = (float(total) for total in rest.sum(axis=0))
    shallow = (m + 0.5) / (s + 0.5) > config.max_depth
    return ValleyCount(between, beside, 1.0 if shallow else float(valley_p(m, s)))


def boundary(counts: FloatArray, fold_share: float, config: SplitConfig) -> Boundary:
    """Combine the two counts of a boundary.

    The prism has more power, but across a bend it shows a valley that is none: it counts only if the path's p is at
    most `path_consent` times its own. The density path follows bends and is enough by itself, at a level that is
    `path_factor` times stricter.

    Parameters
    ----------
    counts : ndarray, shape (n_donors, 2, 2)
        Neurons between and beside, per donor and kind of count.
    """
    path, centres = (valley_count(counts[:, kind], config) for kind in range(len(KINDS)))
    p = 1.0
    if fold_share >= config.min_fold_share:
        p = min(1.0, config.path_factor * path.p, max(centres.p, path.p / config.path_consent))
    return Boundary(p, path, centres, float(fold_share))


def can_decide(one: Boundary, config: SplitConfig) -> bool:
    """Whether enough neurons were counted beside the valley for an empty one to reach the level."""
    smallest = min(config.path_factor * valley_p(0.0, one.path.n_beside), valley_p(0.0, one.centres.n_beside))
    return bool(smallest <= config.alpha)
