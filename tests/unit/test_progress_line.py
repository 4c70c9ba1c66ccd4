"""The line of progress: what it says of the time that is left, and how often."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest

import decortex
from decortex.evaluation.selection import SelectionConfig


def test_it_says_how_much_is_left_by_what_is_done() -> None:
    now, to = [0.0], io.StringIO()
    line = decortex.ProgressLine("K", to=to, clock=lambda: now[0])
    for seconds, done in ((0, 0), (0.5, 1), (60, 10), (600, 20)):
        now[0] = float(seconds)
        line(done, 20)
    said = [text.rstrip() for text in to.getvalue().splitlines()]
    assert said == ["K: 0 of 20, just begun", "K: 10 of 20, about 60 s left", "K: 20 of 20, took 10 min"]


def test_a_choice_of_k_speaks_from_its_first_moment() -> None:
    to = io.StringIO()
    rng = np.random.default_rng(0)
    x = rng.standard_normal((60, 2)) + 12 * np.repeat([[0, 0], [1, 0]], 30, axis=0)
    line = decortex.ProgressLine("K", to=to, every=0.0)
    decortex.choose_k(x, counts=(2,), config=SelectionConfig(n_surrogates=2), n_init=1, progress=line)
    said = to.getvalue().splitlines()
    assert said[0].startswith("K: 0 of 5, just begun")  # types, K = 1 and 2, two surrogates
    assert said[-1].startswith("K: 5 of 5, took ")


def test_the_notebook_s_choice_of_k_says_by_default_how_far_it_is(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    x = np.random.default_rng(0).standard_normal((60, 2))

    def choose(*_args: object, progress: Callable[[int, int], None] | None, **_how: object) -> None:
        if progress is not None:
            progress(0, 4)
            progress(4, 4)

    monkeypatch.setattr("decortex.evaluation.selection.choose_k", choose)
    decortex.choose_k(x)
    assert "choose_k: 0 of 4, just begun" in capsys.readouterr().err
    decortex.choose_k(x, progress=False)
    assert capsys.readouterr().err == ""
    steps: list[int] = []
    decortex.choose_k(x, progress=lambda done, _all: steps.append(done))
    assert steps == [0, 4]
