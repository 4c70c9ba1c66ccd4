"""A few rounds of `make fuzz`: damaged configurations and checkpoints end in a result or in one of our errors."""

from __future__ import annotations

import pytest
from fuzzing import fuzz


@pytest.mark.parametrize("seed", [1, 2])
def test_damaged_input_is_refused_in_our_words(seed: int) -> None:
    failures = [failure for _, failure in fuzz(seed=seed, rounds=300) if failure is not None]
    assert failures == [], failures[0].trace
