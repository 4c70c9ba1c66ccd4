"""Names of the null models. Drawing from them is in `surrogates`."""

from __future__ import annotations

from typing import Literal, get_args

NullKind = Literal["gaussian", "t", "permuted", "copula"]
NULL_KINDS: tuple[NullKind, ...] = get_args(NullKind)
