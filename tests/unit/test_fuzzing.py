"""A few rounds of `make fuzz`: damaged configurations and files end in a result or in one of our errors."""

from __future__ import annotations

from fuzzing import fuzz


def test_damaged_input_is_refused_in_our_words() -> None:
    failures = [failure for _, failure in fuzz(seed=1, rounds=570) if failure is not None]
    assert failures == [], failures[0].trace
