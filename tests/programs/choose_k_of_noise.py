"""Choose K of neurons without types, on the cores that the environment leaves; prints all values to the last bit."""

from __future__ import annotations

import numpy as np

from decortex.evaluation.selection import SelectionConfig, choose_k

x = np.random.default_rng(3).normal(size=(1500, 8))
config = SelectionConfig(
    null_criteria=("stability",),
    n_surrogates=2,
    nulls=("permuted",),
    n_splits=1,
    n_references=2,
    n_resamples=0,
)
found = choose_k(x, counts=(3,), config=config, n_init=1)
print([(v.criterion, repr(v.value)) for one in found.criteria for v in one.values])
print([(one.kind, repr(one.null_mean)) for one in found.excesses], found.types.levels)
