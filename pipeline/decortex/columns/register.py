"""The one register of columns: what every table, page, report and axis calls a number, and how it is written.

A column has one name (that of ``--csv``, ``--json`` and pandas), one heading, one number of decimals and, where there
is one, a better direction. Nothing is computed here.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from decortex.columns.details import DETAILS
from decortex.columns.kinds import Column
from decortex.columns.results import RESULTS
from decortex.errors import ConfigError

# Below this a permutation p with the usual number of permutations is written as smaller.
SMALLEST_P = 1e-4
COLUMNS: Mapping[str, Column] = MappingProxyType({**RESULTS, **DETAILS})


def column(name: str) -> Column:
    """What a column is called and how it is written.

    Raises
    ------
    ConfigError
        If no such column is registered.

    Examples
    --------
    >>> column("ari_seeds").heading
    'ARI between networks'
    """
    if name not in COLUMNS:
        raise ConfigError(f"no column is called {name!r}; columns are registered in decortex.columns.")
    return COLUMNS[name]


def axis_label(name: str) -> str:
    """Heading of a column with its better direction, for an axis.

    Examples
    --------
    >>> axis_label("silhouette")
    'silhouette (higher is better)'
    """
    known = column(name)
    return f"{known.heading} ({known.better} is better)" if known.better else known.heading


def written(name: str, value: Any, smallest: float | None = None) -> str:
    """One value of a column as text: its decimals, a dash where it is undefined.

    Parameters
    ----------
    name : str
        The column; numbers of one that is not registered (a criterion, a cluster) have three decimals.
    value : object
        True and False are yes and no.
    smallest : float, optional
        Below which a p-value cannot fall with its permutations or surrogates: one that is as small is marked ``min``.

    Examples
    --------
    >>> written("p", 0.00002), written("p_null", 0.05, 0.05), written("difference", -0.00341)
    ('< .0001', '.0500 min', '-0.0034')
    """
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    known = COLUMNS.get(name)
    if isinstance(value, bool):
        return "yes" if value else "no"
    if not isinstance(value, float):
        return str(value)
    if known is not None and known.is_p:
        if value < SMALLEST_P * (1 - 1e-9):
            return "< .0001"
        end = " min" if smallest is not None and value <= smallest * (1 + 1e-9) else ""
        return f"{value:.4f}".removeprefix("0") + end
    digits = 3 if known is None or known.digits is None else known.digits
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text
